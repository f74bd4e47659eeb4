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
import re
import select
import socket

from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam.http import address, failures, heads, incoming, settings
from iobeam.http import call as calls
from iobeam.utils import compat

_PIECE = 16384  # bytes written under one time-out
# A name and a value (RFC 9110, 5.5), but for the host, and for what urllib3
# leaves out.
_ORDINARY = re.compile("(?![Hh][Oo][Ss][Tt]: )[0-9A-Za-z-]+: (?!@@@)"
                       "[\\x20-\\x7e]*\\Z")


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


class _DeadlineSocket(object):
    """Stands for a socket where an HTTP response asks it for a file."""

    def __init__(self, sock, exchange):
        self._sock = sock
        self._exchange = exchange

    def makefile(self, *_, **__):
        return incoming.fileOf(self._sock, self._exchange)


def _joined(top, lines):
    """A whole head: its first lines, and those of its headers."""
    return b"".join([top, "\r\n".join(lines).encode("ascii"),
                     b"\r\n\r\n"])


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
            # http.client prints the heads that it reads, if it is asked to;
            # on 2.7, its messages are of another kind
            self._mayBeShort = (not self.debuglevel and not compat.PY2 and
                                kwargs.get("method") in ("GET", "POST"))

        def begin(self):
            reader = self._exchange.incoming
            found = (reader.takeHead() if self._mayBeShort
                     and self.msg is None else None)
            if found is not None:
                self._beginWith(*found)
                return
            base.begin(self)
            if reader.sawEnd and not reader.sawHead:
                # http.client takes an end amid the headers for their end
                self.close()
                raise socket.error(errno.ECONNRESET,
                                   "the answer ended amid its headers")

        def _beginWith(self, status, reason, fields, length):
            self.version = 11
            self.status = self.code = status
            self.reason = reason
            self.headers = self.msg = heads.messageOf(fields)
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
    _top = b""  # of the latest: what was asked for, and of which host
    _isHostGiven = False  # by who asks, as one of its headers
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
        last = self._exchange
        self._begin()
        if self.sock is not None and last is not None \
                and not last.mayFollow():
            self._renew()
        return self._base.request(self, *args, **kwargs)

    def _begin(self):
        self._exchange = exchange = Exchange()
        self._head, self._lines = None, []
        call = calls.running()
        if call is not None:
            call.exchange = exchange
        return exchange

    def _renew(self):
        self.close()
        if self._tunnelTo:  # urllib3 2 forgets it
            host, args, kwargs = self._tunnelTo
            self._base.set_tunnel(self, host, *args, **kwargs)

    def putrequest(self, method, url, skip_host=False, *args, **kwargs):
        self._isHostGiven = skip_host
        return self._base.putrequest(self, method, url, skip_host, *args,
                                     **kwargs)

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
            lines, self._lines = self._lines, []
            data = _joined(data[:end], lines) + data[end + 2:]
            self._top = (b"" if self._isHostGiven else
                         b"\r\n".join(data.split(b"\r\n", 2)[:2]) + b"\r\n")
        # The headers wait for the body, so that a small request leaves in
        # one packet and one system call.
        if data.startswith(b"POST ") and data.endswith(b"\r\n\r\n"):
            self._head = data
        else:
            self._transmit((self._head or b"") + data)

    def again(self, method, target, headers, body):
        """Do what `request` and `getresponse` do, if they just did the same.

        The two lines that they wrote then are written again, and an ordinary
        answer that comes at once is read as it is.

        Args:
            method (str), target (str), headers (dict of str): as urllib3 got
                them then; the values of headers may differ.
            body (bytes or None): with its Content-Length in the headers.

        Returns:
            (int, str, list of (str, str), bytes): status, reason, headers and
            body. Or, of any other answer, an http.client.HTTPResponse whose
            body is to be read. None if nothing was sent, since this has to go
            the long way.
        """
        last = self._exchange
        lines = ["{}: {}".format(*header) for header in headers.items()]
        if (self.sock is None or self.debuglevel or last is None
                or not last.mayFollow() or _isReadable(self.sock)
                or not self._top.startswith("{} {} HTTP/1.1\r\nHost: "
                                            .format(method, target)
                                            .encode("ascii"))
                or not all(map(_ORDINARY.match, lines))):
            return None
        exchange = self._begin()
        try:
            self._transmit(_joined(self._top, lines) + (body or b""))
        except EnvironmentError as error:
            # the answer may have come first; urllib3 looks for it, too
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
        exchange.incoming = incoming.Incoming(self.sock)
        answer = exchange.incoming.takeSmall()
        if answer is not None:
            exchange.finish()
            return answer
        more = {"strict": self.strict} if compat.PY2 else {}
        answer = self._responseClass(self.sock, exchange, method=method,
                                     **more)
        answer.begin()
        if answer.will_close:
            self.close()  # the answer keeps the socket open for itself
        return answer

    def getresponse(self, *args, **kwargs):
        if self._head is not None:  # there was no body
            self._transmit(self._head)
        if not compat.PY2:  # where urllib3 1 tries in vain what 2.7 can do
            kwargs.pop("buffering", None)
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
            self.sock.settimeout(incoming.stepSeconds())
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
