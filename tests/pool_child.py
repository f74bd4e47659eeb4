"""Run by tests/test_processes.py: workers that add rows and are left to end."""
from __future__ import absolute_import, print_function

import sys

from tests import disk


def start(backend, path):
    global client, store
    client = disk.builder(backend, path or None).build()
    store = client.createDataStore(["v"])


def work(number):
    store.add(number, {"v": number})


def runPool(kind, backend, path, count):
    if kind == "executor":
        from concurrent import futures

        with futures.ProcessPoolExecutor(
                4, initializer=start, initargs=(backend, path)) as pool:
            list(pool.map(work, range(count)))
        return
    import multiprocessing

    context = (multiprocessing.get_context(kind)  # novm
               if hasattr(multiprocessing, "get_context") else multiprocessing)
    pool = context.Pool(4, start, (backend, path))
    pool.map(work, range(count), 1)
    pool.close()
    pool.join()


def addInChild(backend, path):
    start(backend, path)
    work(0)


def runProcess(kind, backend, path):
    if kind == "billiard":
        import billiard as multiprocessing
    else:
        import multiprocessing
    child = multiprocessing.Process(target=addInChild, args=(backend, path))
    child.start()
    child.join()


def runInherited(backend, path, count):
    """Children that use the client of their parent."""
    start(backend, path)  # before multiprocessing is there
    import multiprocessing

    work(0)
    context = (multiprocessing.get_context("fork")  # novm
               if hasattr(multiprocessing, "get_context") else multiprocessing)
    half = count // 2
    child = context.Process(target=lambda: list(map(work, range(1, half))))
    child.start()
    child.join()
    pool = context.Pool(2)
    pool.map(work, range(half, count), 1)
    pool.close()
    pool.join()


if __name__ == "__main__":
    kind, backend, path, count = sys.argv[1:]
    if kind == "inherited":
        runInherited(backend, path, int(count))
    elif kind in ("process", "billiard"):
        runProcess(kind, backend, path)
    else:
        runPool(kind, backend, path, int(count))
