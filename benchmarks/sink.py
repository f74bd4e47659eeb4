"""A loopback server that takes bodies and answers at once.

Runs as a process of its own and prints the port it listens on. The first part
of the path says what it advertises:

    /large/  takes 20 000 values a request (Iobeam-Max-Values)
    /small/  says nothing, so that a client stays at 1000
    /gzip/   as large, and takes gzip

Whatever comes in is counted, thrown away and answered with success. GET /stats
returns what has been counted.
"""
import email.utils
import json
import os
import re
import socket
import sys
import threading
import time

_LENGTH = re.compile(br"\r\ncontent-length: *(\d+)", re.I)
_PIECE = 1 << 18  # bytes taken from the socket at once
_NO_CONTENT = (b"/write", b"/api/v2/write")  # as InfluxDB and QuestDB answer


class Sink:
    """Counts the requests and bytes that arrive on a listening socket."""

    def __init__(self, listener):
        self._listener = listener
        self._lock = threading.Lock()
        self.requests = self.bytes = 0

    def serve(self):
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,),
                             daemon=True).start()

    def _serve(self, connection):
        piece = bytearray(_PIECE)
        try:
            self._answerAll(connection, memoryview(piece))
        except OSError:
            pass  # the client has gone without closing
        finally:
            connection.close()

    def _answerAll(self, connection, piece):
        waiting = b""
        while True:
            while b"\r\n\r\n" not in waiting:
                received = connection.recv(_PIECE)
                if not received:
                    return
                waiting += received
            head, _, waiting = waiting.partition(b"\r\n\r\n")
            found = _LENGTH.search(head)
            length = int(found.group(1)) if found else 0
            left = length - len(waiting)
            while left > 0:
                count = connection.recv_into(piece, min(left, _PIECE))
                if not count:
                    return
                left -= count
            waiting = waiting[length:]
            path = head.split(b" ", 2)[1].partition(b"?")[0]
            if path == b"/stats":
                connection.sendall(_answer(b"200 OK", json.dumps(
                    {"requests": self.requests, "bytes": self.bytes}).encode()))
                continue
            with self._lock:
                self.requests += 1
                self.bytes += length
            connection.sendall(self._answerTo(path))

    def _answerTo(self, path):
        if path in _NO_CONTENT:
            return _answer(b"204 No Content", None)
        advertised = []
        if not path.startswith(b"/small/"):
            advertised.append(b"Iobeam-Max-Values: 20000")
        if path.startswith(b"/gzip/"):
            advertised.append(b"Accept-Encoding: gzip")
        return _answer(b"200 OK", b"{}", advertised)


def _answer(status, body, headers=()):
    lines = [b"HTTP/1.1 " + status, b"Date: " + _date(int(time.time()))]
    if body is not None:
        lines += [b"Content-Type: application/json",
                  b"Content-Length: %d" % len(body)]
    lines += headers
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")


_dates = {}


def _date(second):
    if second not in _dates:
        _dates.clear()
        _dates[second] = email.utils.formatdate(second, usegmt=True).encode()
    return _dates[second]


def main():
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, [int(sys.argv[1])])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    # Ends with the process that started it, however that dies.
    threading.Thread(target=Sink(listener).serve, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
