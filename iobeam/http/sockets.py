"""Connections that keep the deadline of the running call.

Each attempt ends within the limits of `iobeam.http.call`, also against a
server that trickles one byte a second: the connections here arm the socket's
time-out anew from the deadline before every read and write, where the
time-outs of `requests` start again at every byte.

No connection is used again whose exchange is not over: an `Exchange` counts
as over only once somebody has found that it is, so that whatever interrupts
one, at whatever instant, leaves a connection that is closed before the next.
"""
from __future__ import absolute_import

import errno
import io
import re
import select
import socket

from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam.http import address, failures, heads, settings
from iobeam.http import call as calls
from iobeam.utils import compat

MAX_ANSWER = 256 * 1024 * 1024  # bytes; an endless one must not fill the memory
_MAX_HEAD = 256 * 1024  # bytes; http.client takes 100 lines of up to 64 KiB
_PIECE = 16384  # bytes read or written under one time-out
_HEAD_PIECE = 2048  # bytes; holds the whole of nearly every answer
_END_OF_HEAD = re.compile(b"\n\r?\n")
_INTERIM = re.compile(b"HTTP/1\\.[0-9] +1[0-9][0-9]\\b")
_UPGRADE = re.compile(b"HTTP/1\\.[0-9] +101\\b")
# A name and a value (RFC 9110, 5.5), but for what urllib3 leaves out.
_ORDINARY = re.compile("[0-9A-Za-z-]+: (?!@@@)[\\x20-\\x7e]*\\Z")
_TLS_RECORDS = (b"\x15", b"\x16")  # alert, handshake (RFC 8446, 5.1)


class Exchange(object):
    """One request and its answer on a connection.

    Attributes:
        isOver (bool): both are whole, and nothing else came.
        ended (float): when it was over, in monotonic seconds.
        isWritten (bool): the request was written to its end.
        isEarly (bool): something came before that.
        sock, incoming, response: where it takes place, once it has begun.
    """

    __slots__ = ("isOver", "ended", "isWritten", "isEarly", "sock", "incoming",
                 "response")

    def __init__(self):
        self.isOver = self.isWritten = self.isEarly = False
        self.sock = self.incoming = self.response = None
        self.ended = 0.0

    def finish(self):
        """Note that the answer was read; close the connection if unsure."""
        self.ended = compat.monotonic()
        self.isOver = (self.isWritten and not self.isEarly
                       and self.incoming is not None
                       and self.incoming.isClean)
        if self.isOver:
            self._closeResponse()
        else:
            self.abandon()

    def abandon(self):
        """Hang up. The connection itself may be another thread's by now."""
        if self.sock is None or self.isOver:
            return
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except (EnvironmentError, ValueError):
            pass  # hung up already
        self._closeResponse()  # it would keep the socket open

    def _closeResponse(self):
        """Close it: its finalizer would drop what a signal handler raises."""
        response, self.response = self.response, None
        if response is not None:
            response.close()

    def mayFollow(self):
        """Tell whether another one may take place on the same connection."""
        if not self.isOver or (compat.monotonic() - self.ended
                               > settings.IDLE_SECONDS):
            return False
        # what TLS has decrypted already, select() does not see
        return not (hasattr(self.sock, "pending") and self.sock.pending())


class _Incoming(object):
    """What comes in over a socket, armed from the deadline at each read.

    Interim answers (RFC 9110, 15.2) are read over here, since http.client
    knows but one of them, and takes each other for the answer itself.

    Attributes:
        ahead (bytes): read, not yet handed on.
        isClean (bool): the answer is whole, with nothing left over.
        sawHead, sawEnd (bool): of the answer, of what comes at all.
    """

    def __init__(self, sock):
        self._socket = sock
        self.ahead = b""
        self._count = 0
        self._isUpgrade = False
        self.isClean = False
        self.sawHead = self.sawEnd = False

    def finish(self, isMore=False):
        """Note that the answer is over; `isMore` if some of it is left."""
        self.isClean = not (self.ahead or self._isUpgrade or isMore)

    def letGo(self):
        self._socket = None  # on 2.7, whoever refers to it keeps it open

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
            (int, str, http.client.HTTPMessage, int): as `heads.takeOrdinary`.
        """
        self.seeHead()
        found = heads.takeOrdinary(self.ahead)
        if found is None:
            return None
        self.ahead = found[-1]
        return found[:-1]

    def receiveInto(self, buffer):
        """Read what there is, or wait for it; 0 at the end."""
        while True:
            self._socket.settimeout(_stepSeconds())
            try:
                count = self._socket.recv_into(buffer)
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
            exchange.incoming = _Incoming(self._file._sock if compat.PY2
                                          else sock)
        self._incoming = exchange.incoming
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


class _DeadlineSocket(object):
    """Stands for a socket where an HTTP response asks it for a file."""

    def __init__(self, sock, exchange):
        self._sock = sock
        self._exchange = exchange

    def makefile(self, *_, **__):
        return _AnswerFile(_AnswerReader(self._sock, self._exchange))


def _checkBeginning(head):
    if head[:5] == b"HTTP/"[:len(head)]:
        return
    if head[:1] in _TLS_RECORDS:
        raise failures.SpeaksTlsError("the answer is TLS")
    # on 2.7, http.client takes it for an answer of HTTP 0.9
    raise socket.error(errno.EINVAL, "the answer is no HTTP")


def _stepSeconds():
    """Seconds that the next read or write may take."""
    call = calls.running()
    if call is None:  # the end of an answer that is read outside of a call
        return settings.READ_SECONDS
    seconds = min(call.stepSeconds, call.left())
    if seconds <= 0:
        raise socket.timeout("timed out")
    return seconds


def _isReadable(sock):
    if hasattr(select, "poll"):  # select() stops at descriptor 1023
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


def _deadlineResponse(base):
    """A subclass of an HTTP response class that reads within the deadline."""

    class DeadlineResponse(base):
        fp = None  # what its finalizer asks for, even where __init__ was cut short

        def __init__(self, sock, exchange, *args, **kwargs):
            self._exchange = exchange
            base.__init__(self, _DeadlineSocket(sock, exchange), *args,
                          **kwargs)
            exchange.response = self
            # http.client prints the heads that it reads, if it is asked to
            self._mayBeShort = (not self.debuglevel and
                                kwargs.get("method") in ("GET", "POST"))

        def begin(self):
            incoming = self._exchange.incoming
            found = (incoming.takeHead() if self._mayBeShort
                     and self.msg is None else None)
            if found is not None:
                self._beginWith(*found)
                return
            base.begin(self)
            if incoming.sawEnd and not incoming.sawHead:
                # http.client takes an end amid the headers for their end
                self.close()
                raise socket.error(errno.ECONNRESET,
                                   "the answer ended amid its headers")

        def _beginWith(self, status, reason, headers, length):
            self.version = 11
            self.status = self.code = status
            self.reason = reason
            self.headers = self.msg = headers
            self.length = length
            self.chunked = self.will_close = False

    return DeadlineResponse


class _KeepsDeadline(object):
    """What a connection class of urllib3 gets in front of its own methods.

    Attributes:
        _base (type): that class. Not `super`: this is every request's way.
    """

    _base = None
    _responseClass = None
    _head = None
    _exchange = None  # the latest
    _lines = ()  # of the head that is being written
    _tunnelTo = None  # the arguments of set_tunnel()

    def response_class(self, sock, *args, **kwargs):
        return self._responseClass(sock, self._exchange or Exchange(), *args,
                                   **kwargs)

    def set_tunnel(self, host, *args, **kwargs):
        self._tunnelTo = host, args, kwargs
        return self._base.set_tunnel(self, host, *args, **kwargs)

    def connect(self):
        _refuseGone(self, self._tunnelTo[0] if self._tunnelTo
                    else self.host)
        return self._base.connect(self)

    def request(self, *args, **kwargs):
        last, self._exchange = self._exchange, Exchange()
        self._head, self._lines = None, []
        if self.sock is not None and last is not None \
                and not last.mayFollow():
            self._renew()
        call = calls.running()
        if call is not None:
            call.exchange = self._exchange
        return self._base.request(self, *args, **kwargs)

    def _renew(self):
        self.close()
        if self._tunnelTo:  # urllib3 2 forgets it
            host, args, kwargs = self._tunnelTo
            self._base.set_tunnel(self, host, *args, **kwargs)

    def putheader(self, name, *values):
        # What http.client and urllib3 do with each costs more than all
        # of this module; they see what is out of the ordinary.
        if len(values) == 1 and isinstance(values[0], str):
            line = "{}: {}".format(name, values[0])
            if _ORDINARY.match(line):
                self._lines.append(line)
                return
        self._base.putheader(self, name, *values)

    def send(self, data, *args):
        if self._lines:
            end = data.index(b"\r\n\r\n") + 2
            lines, self._lines = "\r\n".join(self._lines), []
            data = b"".join([data[:end], lines.encode("ascii"), b"\r\n",
                             data[end:]])
        # The headers wait for the body, so that a small request leaves in
        # one packet and one system call.
        if data.startswith(b"POST ") and data.endswith(b"\r\n\r\n"):
            self._head = data
        else:
            self._transmit((self._head or b"") + data)

    def getresponse(self, *args, **kwargs):
        if self._head is not None:  # there was no body
            self._transmit(self._head)
        return self._base.getresponse(self, *args, **kwargs)

    def _transmit(self, data):
        self._head = None
        if self.sock is None:
            self.connect()
        exchange = self._exchange
        if exchange is None:  # the request for a tunnel, to a proxy
            exchange = Exchange()
        else:
            _noteSending(len(data))
        exchange.isWritten = False
        exchange.sock = self.sock
        for start in range(0, max(1, len(data)), _PIECE):
            if start and _isReadable(self.sock):
                exchange.isEarly = True
            self.sock.settimeout(_stepSeconds())
            self._base.send(self, data[start:start + _PIECE])
        exchange.isWritten = True


def deadlineConnection(base):
    """A subclass of a urllib3 connection class that keeps the deadline."""
    found = {"_base": base,
             "_responseClass": _deadlineResponse(base.response_class)}
    if base.__module__.endswith("urllib3.connection"):  # and no SOCKS proxy
        found["_new_conn"] = _connectWithin
    return type("DeadlineConnection", (_KeepsDeadline, base), found)


def _refuseGone(connection, host):
    """Open no socket to the domain of the service of 2016."""
    if address.isGoneHost(host.strip("[]")):
        raise failures.GoneError(connection, address.goneWords()[0])


def _noteSending(size):
    call = calls.running()
    if call is not None:
        call.sending = True
        call.bytes += size


def _connectWithin(connection):
    """Connect to the first address that answers, all in one span.

    urllib3 gives each address the whole time-out, so that a name with an
    IPv6 and an IPv4 address takes twice the limit.
    """
    seconds = connection.timeout or settings.CONNECT_SECONDS
    call = calls.running()
    if call is not None:
        seconds = min(seconds, max(0.001, call.left()))
    end = compat.monotonic() + seconds
    failure = None
    # requests 2.9 leaves the brackets of an IPv6 address
    host = getattr(connection, "_dns_host", connection.host).strip("[]")
    try:
        addresses = socket.getaddrinfo(host, connection.port, socket.AF_UNSPEC,
                                       socket.SOCK_STREAM)
    except (socket.error, UnicodeError) as error:
        addresses, failure = [], error
    for number, (family, kind, protocol, _, found) in enumerate(addresses):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            left = max(0.001, end - compat.monotonic())
            # a dead address must leave time for those after it
            sock.settimeout(left / (len(addresses) - number))
            if connection.source_address:
                sock.bind(connection.source_address)
            sock.connect(found)
            sock.settimeout(max(0.001, end - compat.monotonic()))
            return sock
        except socket.error as error:
            failure = error
            sock.close()
        except BaseException:
            sock.close()
            raise
    if isinstance(failure, socket.timeout):
        raise urllib3errors.ConnectTimeoutError(
            connection, "connection to {} timed out".format(host))
    error = urllib3errors.NewConnectionError(
        connection, "failed to connect to {}: {}".format(host, failure))
    error.reason = failure
    raise error


def speaksHttp(url, seconds):
    """Tell whether the server of an https address answers to plain http.

    The request that asks for it carries nothing.
    """
    host, port = address.hostAndPort(url)
    try:
        sock = socket.create_connection((host, port), seconds)
        try:
            sock.settimeout(seconds)
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return sock.recv(5) == b"HTTP/"
        finally:
            sock.close()
    except EnvironmentError:
        return False


def speaksTls(url, seconds):
    """Tell whether the server of an http address answers to TLS."""
    import ssl  # a program that needs it here has it by now

    host, port = address.hostAndPort(url)
    context = ssl.SSLContext(getattr(ssl, "PROTOCOL_TLS_CLIENT",
                                     ssl.PROTOCOL_SSLv23))
    if hasattr(context, "check_hostname"):
        context.check_hostname = False  # novm: 2.7.9 has it
    context.verify_mode = ssl.CERT_NONE
    try:
        sock = socket.create_connection((host, port), seconds)
        try:
            sock.settimeout(seconds)
            context.wrap_socket(sock, server_hostname=host).close()
        finally:
            sock.close()
    except ssl.SSLError as error:
        return "ALERT" in str(error).upper()
    except EnvironmentError:
        return False
    return True
