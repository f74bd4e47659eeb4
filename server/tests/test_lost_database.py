"""PostgreSQL stops in the middle of it all: what was answered 200 is there afterwards."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

import pytest
from engines import Postgres, missing
from test_kill import ROWS, WAIT_S, process, send

from iobeam_server.config import Config
from iobeam_server.rights.keyring import issue_token
from iobeam_server.storage import open_storage
from iobeam_server.storage.base import INPUT, Device, Selection

DEVICES = 3
ENOUGH = 15  # requests


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """One that may be stopped: the session's is everybody's."""
    if missing() is not None:
        pytest.skip(str(missing()))
    server = Postgres()
    yield server
    server.close()


def test_an_immediate_stop_of_postgresql_loses_nothing_answered_200(
    own_postgres: Postgres,
) -> None:
    """Stopped without a checkpoint, as by a power cut; the same server goes on when it is back."""
    url = own_postgres.url
    with contextlib.closing(open_storage(url, Config())) as store:
        store.projects.create_first("p", 0)
        token = issue_token(store, 1, 7, 600, None, True)
        for number in range(DEVICES):
            store.devices.register(Device(1, f"d{number}", f"d{number}", None, 0), named=True)
    promised = [0] * DEVICES
    refused: list[int] = []
    enough, back = threading.Event(), threading.Event()

    def work(port: int, number: int) -> None:
        """Send until the database is back and took one more; repeat what was refused."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
        with contextlib.closing(connection):
            while True:
                is_back = back.is_set()
                status = send(connection, token, f"d{number}", promised[number])
                if status != 200:
                    refused.append(status)
                    back.wait(WAIT_S)
                    continue
                promised[number] += 1
                if sum(promised) >= ENOUGH:
                    enough.set()
                if is_back:
                    return

    with process(url) as (_, port):
        threads = [threading.Thread(target=work, args=(port, n)) for n in range(DEVICES)]
        for thread in threads:
            thread.start()
        assert enough.wait(WAIT_S), refused
        own_postgres.stop_at_once()
        own_postgres.start_again()
        back.set()
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
    # those that the database was away for too long, if any
    assert set(refused) <= {503}
    with contextlib.closing(open_storage(url, Config())) as store:
        for number in range(DEVICES):
            (series,) = store.series.find(1, INPUT, f"d{number}", "n")
            found = list(store.points(series, Selection()))
            assert found == [(i, i) for i in range(promised[number] * ROWS)]
