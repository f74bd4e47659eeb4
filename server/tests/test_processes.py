"""Several server processes over one database: nothing is lost, nothing counted twice."""

from __future__ import annotations

import contextlib
import http.client
import threading

from test_kill import ROWS, WAIT_S, process, send

from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Device, Selection

REQUESTS = 15
DEVICES = 3
PROCESSES = 2


def test_several_processes_over_one_database_give_exact_totals(database: str) -> None:
    """Every device sends every row to each of the processes, all at the same time."""
    with contextlib.closing(open_storage(database, Config())) as store:
        store.projects.create_first("p", 0)
        token = issue_token(store, 1, 7, 600, None, True)
        for number in range(DEVICES):
            store.devices.register(Device(1, f"d{number}", f"d{number}", None, 0), named=True)
    statuses: list[int] = []

    def work(port: int, device: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        with contextlib.closing(connection):
            for run in range(REQUESTS):
                statuses.append(send(connection, token, device, run))

    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(process(database))[1] for _ in range(PROCESSES)]
        threads = [
            threading.Thread(target=work, args=(port, f"d{number}"))
            for port in ports
            for number in range(DEVICES)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
    assert statuses == [200] * (PROCESSES * DEVICES * REQUESTS)
    with contextlib.closing(open_storage(database, Config())) as store:
        series = store.series.find(1, INPUT, None, None)
        assert len(series) == DEVICES
        for one in series:
            assert list(store.points(one, Selection())) == [(i, i) for i in range(REQUESTS * ROWS)]
