"""What comes in over a socket: each read ends by the deadline of the call.

Interim answers (RFC 9110, 15.2) are read over here, since http.client knows
but one of them, and takes each other for the answer itself.
"""
from __future__ import absolute_import

import errno
import io
import re
import socket

from iobeam.http import call as calls
from iobeam.http import failures, heads, settings
from iobeam.utils import compat

MAX_ANSWER = 256 * 1024 * 1024  # bytes; an endless one must not fill the memory
_MAX_HEAD = 256 * 1024  # bytes; http.client takes 100 lines of up to 64 KiB
_HEAD_PIECE = 2048  # bytes; holds the whole of nearly every answer
_END_OF_HEAD = re.compile(b"\n\r?\n")
_INTERIM = re.compile(b"HTTP/1\\.[0-9] +1[0-9][0-9]\\b")
_UPGRADE = re.compile(b"HTTP/1\\.[0-9] +101\\b")
_TLS_RECORDS = (b"\x15", b"\x16")  # alert, handshake (RFC 8446, 5.1)


class Incoming(object):
    """The answer to one request, and whatever else comes with it.

    Attributes:
        sock: where from.
        ahead (bytes): read, not yet handed on.
        isClean (bool): the answer is whole, with nothing left over.
        sawHead, sawEnd (bool): of the answer, of what comes at all.
    """

    def __init__(self, sock):
        self.sock = sock
        self.ahead = b""
        self._count = 0
        self._isUpgrade = False
        self.isClean = False
        self.sawHead = self.sawEnd = False

    def finish(self, isMore=False):
        """Note that the answer is over; `isMore` if some of it is left."""
        self.isClean = not (self.ahead or self._isUpgrade or isMore)

    def letGo(self):
        self.sock = None  # on 2.7, whoever refers to it keeps it open

    def seeHead(self):
        """Have the head in `ahead`, with whatever came with it."""
        if not self.sawHead and not self.sawEnd:
            self.ahead = self._readHead()

    def _readHead(self):
        head, piece = b"", bytearray(_HEAD_PIECE)
        while len(head) < _MAX_HEAD:
            count = self.receiveInto(piece)
            if count == 0:
                return head
            seen = max(0, len(head) - 3)
            head += bytes(piece[:count])
            _checkBeginning(head)
            end = _END_OF_HEAD.search(head, seen)
            while end is not None:
                self.sawHead = not _INTERIM.match(head)
                if not self.sawHead and _UPGRADE.match(head):
                    self.sawHead = self._isUpgrade = True
                if self.sawHead:
                    return head
                head = head[end.end():]
                _checkBeginning(head)
                end = _END_OF_HEAD.search(head)
        self.sawHead = True  # too long: http.client says so
        return head

    def takeHead(self):
        """Read the head, and take it off if it is ordinary; else None.

        Returns:
            (int, str, list of (str, str), int): as `heads.takeOrdinary`.
        """
        self.seeHead()
        found = heads.takeOrdinary(self.ahead)
        if found is None:
            return None
        self.ahead = found[-1]
        return found[:-1]

    def takeSmall(self):
        """Take a whole answer if it is ordinary and comes at once; else None.

        Returns:
            (int, str, list of (str, str), bytes): status, reason, names and
            values of headers, body.
        """
        self.seeHead()
        found = heads.takeOrdinary(self.ahead)
        if found is None:
            return None
        status, reason, fields, length, body = found
        names = set(name.lower() for name, _ in fields)
        if (len(body) < length or len(names) < len(fields)
                or "content-encoding" in names):
            return None
        self.ahead = body[length:]
        self.finish()
        return status, reason, fields, body[:length]

    def receiveInto(self, buffer):
        """Read what there is, or wait for it; 0 at the end."""
        while True:
            self.sock.settimeout(stepSeconds())
            try:
                count = self.sock.recv_into(buffer)
            except EnvironmentError as error:
                if error.errno == errno.EINTR:  # before Python 3.5
                    continue
                raise
            break
        self._count += count
        if self._count > MAX_ANSWER:
            raise socket.error(errno.EMSGSIZE, "the answer is longer than {} "
                               "bytes".format(MAX_ANSWER))
        self.sawEnd = self.sawEnd or count == 0
        return count


class _AnswerReader(io.RawIOBase):
    """What comes in, as a file; it keeps the socket open as it is read."""

    _file = _incoming = None  # for its finalizer, if __init__ was cut short

    def __init__(self, sock, exchange):
        self._file = sock.makefile("rb", 0)
        if exchange.incoming is None:
            exchange.incoming = Incoming(sock)
        self._incoming = exchange.incoming
        if compat.PY2:  # what `sock` stands for goes when `sock` is closed
            self._incoming.sock = self._file._sock
        self._isClosing = False

    def readable(self):
        return True

    def readinto(self, buffer):
        if self._isClosing:
            return 0
        incoming = self._incoming
        incoming.seeHead()
        if not incoming.ahead:
            return incoming.receiveInto(buffer)
        count = min(len(buffer), len(incoming.ahead))
        buffer[:count] = incoming.ahead[:count]
        incoming.ahead = incoming.ahead[count:]
        return count

    def beginClosing(self, buffered):
        """From here on nothing is read; `buffered` looks for what was."""
        self._isClosing = True
        self._incoming.finish(buffered())

    def close(self):
        if not self.closed and self._file is not None:
            self._file.close()
            if self._incoming is not None:
                self._incoming.letGo()
        io.RawIOBase.close(self)


class _AnswerFile(io.BufferedReader):
    """What http.client reads an answer from; closed at the answer's end."""

    def close(self):
        try:
            if not self.closed and not self.raw.closed:
                self.raw.beginClosing(lambda: self.peek(1))
        except ValueError:
            pass  # half closed already, since an interrupt came into that
        finally:
            io.BufferedReader.close(self)


def fileOf(sock, exchange):
    """Return a file for http.client to read the answer of an exchange from."""
    return _AnswerFile(_AnswerReader(sock, exchange))


def _checkBeginning(head):
    if head[:5] == b"HTTP/"[:len(head)]:
        return
    if head[:1] in _TLS_RECORDS:
        raise failures.SpeaksTlsError("the answer is TLS")
    # on 2.7, http.client takes it for an answer of HTTP 0.9
    raise socket.error(errno.EINVAL, "the answer is no HTTP")


def stepSeconds():
    """Seconds that the next read or write may take."""
    call = calls.running()
    if call is None:  # the end of an answer that is read outside of a call
        return settings.READ_SECONDS
    seconds = min(call.stepSeconds, call.left())
    if seconds <= 0:
        raise socket.timeout("timed out")
    return seconds
