"""A normal client, as a process of its own: python bystander.py PORT TOKEN DEVICE.

It pings, each time on a new connection, and imports, on one that it keeps. Once it has
seen how fast both are it says so; when its input ends it says how slow they became.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import threading
import time
from typing import Any, Optional

PING_TIMEOUT_S = 15.0  # well above what is allowed: a freeze is to end the test, not to last
IMPORT_TIMEOUT_S = 30.0
PAUSE_S = 0.03
IDLE = 10  # rounds before the attack
ROWS = 5  # of an import
TRIES = 20  # of an import, while it is told to come again


class Client:
    """Times what it does; `errors` are in words."""

    def __init__(self, port: int, token: str, device: str) -> None:
        self.port, self.token, self.device = port, token, device
        self.pings: list[float] = []
        self.imports: list[float] = []
        self.stored: list[int] = []
        self.errors: list[str] = []
        self.refusals = 0
        self._kept: Optional[http.client.HTTPConnection] = None

    def ping(self) -> None:
        began = time.monotonic()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PING_TIMEOUT_S)
            with contextlib.closing(connection):
                connection.request("GET", "/v1/ping")
                answer = connection.getresponse()
                answer.read()
            if answer.status != 200:
                self.errors.append(f"ping was answered {answer.status}")
        except (OSError, http.client.HTTPException) as error:
            self.errors.append(f"ping: {error!r}")
        self.pings.append(time.monotonic() - began)

    def send(self, number: int) -> None:
        """Import rows of one number; come again when told to, as the client library does."""
        began = time.monotonic()
        for _ in range(TRIES):
            status, wait_s = self._post(number)
            if status not in (429, 503):
                break
            self.refusals += 1
            time.sleep(min(wait_s, IMPORT_TIMEOUT_S))
        if status == 200:
            self.stored.append(number)
        elif status:
            self.errors.append(f"import was answered {status}")
        self.imports.append(time.monotonic() - began)

    def _post(self, number: int) -> tuple[int, float]:
        rows = [[number * ROWS + i, number] for i in range(ROWS)]
        body = {
            "project_id": 1,
            "device_id": self.device,
            "timefmt": "usec",
            "sources": {"fields": ["time", "beside"], "data": rows},
        }
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        for attempt in range(2):  # one that was kept may be closed by now
            was_kept = self._kept is not None
            if self._kept is None:
                self._kept = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=IMPORT_TIMEOUT_S
                )
            try:
                self._kept.request("POST", "/v1/imports?fmt=table", json.dumps(body), headers)
                answer = self._kept.getresponse()
                answer.read()
                if answer.will_close:
                    self.hang_up()
                return answer.status, float(answer.headers.get("Retry-After", 0))
            except (OSError, http.client.HTTPException) as error:
                self.hang_up()
                if attempt or not was_kept:
                    self.errors.append(f"import: {error!r}")
                    return 0, 0.0
        raise AssertionError("not reached")

    def hang_up(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def main(port: str, token: str, device: str) -> None:
    client = Client(int(port), token, device)
    for number in range(IDLE):
        client.ping()
        client.send(number)
    idle = {"ping": max(client.pings), "import": max(client.imports), "errors": client.errors}
    print(json.dumps(idle), flush=True)
    client.pings.clear()
    client.imports.clear()
    over = threading.Event()

    def importing() -> None:
        number = IDLE
        client.send(number)  # once at least, however short the attack
        while not over.wait(PAUSE_S):
            number += 1
            client.send(number)

    def pinging() -> None:
        client.ping()
        while not over.wait(PAUSE_S):
            client.ping()

    threads = [threading.Thread(target=work, daemon=True) for work in (importing, pinging)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    client.hang_up()
    report: dict[str, Any] = {
        "ping": max(client.pings, default=0.0),
        "import": max(client.imports, default=0.0),
        "pings": len(client.pings),
        "imports": len(client.imports),
        "refusals": client.refusals,
        "stored": client.stored,
        "errors": client.errors,
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
