"""What a failed attempt means, in one line that a person can act on.

The line says which address, what happened, and what to look at. It is made of
known words only: the texts of urllib3 name addresses with their parameters.
"""
from __future__ import absolute_import

import errno
import socket
import ssl

import requests
from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam import errors
from iobeam.http import address
from iobeam.utils import compat

_MAX_DEPTH = 8  # of exceptions inside of exceptions
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL",
           "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG",
           "RECORD_TOO_LARGE")  # what OpenSSL calls an answer that is no TLS
_BAD_CERTIFICATE = ("CERTIFICATE_VERIFY_FAILED", "DOESN'T MATCH",
                    "NOT_VALID_FOR", "HOSTNAME_MISMATCH")
_HUNG_UP = (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN,
                errno.EHOSTDOWN)
_ASK_PORT = "does it run, is the port right, is there a firewall or a proxy?"
_ASK_BACKEND = "look at the backend, and at proxies on the way"
SPEAKS_HTTP = ("the server there speaks http, not https", "write the address "
               "with http://, or the port where it speaks https")
SPEAKS_TLS = ("the server there speaks https, not http",
              "write the address with https://")


class GoneError(urllib3errors.NewConnectionError):
    """The address of the service of 2016: nothing is sent there."""


class SpeaksTlsError(socket.error):
    """The answer to plain HTTP is TLS."""


def timedOut(message):
    """The error for a limit that was over before an attempt began."""
    return errors.combine(errors.TimeoutError, requests.Timeout)(message)


def isFailedConnect(failure):
    """Tell whether there was no connection, so nothing can have arrived."""
    return any(isinstance(one, (urllib3errors.NewConnectionError,
                                urllib3errors.ConnectTimeoutError,
                                requests.ConnectTimeout))
               for one in chain(failure))


def errorOf(failure, url, proxy=None, wasSending=True, speaksHttp=None):
    """The library's error for a failed attempt; also the requests' one.

    Args:
        failure (Exception): what the attempt raised.
        url (str): where it went; the message shows scheme, host and port.
        proxy (str or None): the proxy that it went through.
        wasSending (bool): False if it did not come as far as the request.
        speaksHttp (callable or None): finds out whether the server behind a
            failed TLS handshake speaks plain http.

    Returns:
        Error: with the failure as `cause`, `isFinal` if a repeat is useless,
            and `isFromTransport`, so not a double's.
    """
    found = list(chain(failure))
    what, look, isFinal = _describe(found, url, wasSending)
    bases = _basesOf(failure, found)
    if not isFinal and speaksHttp is not None and _isAmidHandshake(
            found, url, wasSending) and speaksHttp():
        (what, look), isFinal = SPEAKS_HTTP, True
        # though it may have timed out: a longer wait would not help
        bases = (errors.ConnectionError, requests.exceptions.SSLError)
    where = address.origin(url)
    if proxy:
        where += " through the proxy " + address.origin(proxy)
    error = errors.combine(*bases)(
        "{}: {}; {}".format(where, what, look))
    for one in [error] + found:
        if isinstance(one, requests.RequestException):
            one.request = one.response = None  # they would hold the token
    error.isFinal, error.isFromTransport = isFinal, True
    error.cause = error.__cause__ = failure
    return error


def chain(failure):
    """Yield a failure and the exceptions in it, the outermost first."""
    waiting, seen = [failure], []
    while waiting and len(seen) < _MAX_DEPTH:
        one = waiting.pop(0)
        # by identity: an exception may have a comparison of its own
        if isinstance(one, BaseException) and id(one) not in map(id, seen):
            seen.append(one)
            yield one
            waiting += list(one.args) + [
                getattr(one, name, None) for name in (
                    "reason", "original_error", "__cause__", "__context__")]


def _said(failure):
    """What it says; its class where even that fails (3.7: 10**5000 bytes)."""
    try:
        return str(failure) or repr(failure)
    except Exception:  # of whoever wrote its __str__
        return type(failure).__name__


def isTimeOut(failure):
    """Tell whether a socket waited in vain; 2.7's TLS says it in words only."""
    return isinstance(failure, socket.timeout) or "timed out" in _said(failure)


def _basesOf(failure, found):
    timed = isinstance(failure, requests.Timeout) or any(
        isTimeOut(one) for one in found)
    kind = type(failure)
    if isinstance(failure, urllib3errors.ProtocolError):  # amid the answer
        kind = requests.exceptions.ChunkedEncodingError
    elif isinstance(failure, urllib3errors.DecodeError):
        kind = requests.exceptions.ContentDecodingError
    elif not isinstance(failure, requests.RequestException):
        kind = requests.ConnectionError
    if not timed:
        bases = (errors.ConnectionError, kind)
    elif issubclass(kind, requests.Timeout):
        bases = (errors.TimeoutError, kind)
    else:
        bases = (errors.TimeoutError, requests.ReadTimeout)
    if isinstance(failure, requests.ConnectTimeout):
        bases = (errors.ConnectionError,) + bases
    elif issubclass(kind, requests.exceptions.ChunkedEncodingError):
        bases += (requests.ConnectionError,)  # the connection broke off
    return bases


def _describe(found, url, wasSending):
    """(what happened, what to look at, whether a repeat is useless)."""
    isTls = url.lower().startswith("https:")
    for one in found:
        if isinstance(one, GoneError):
            return address.goneWords() + (True,)
        if isinstance(one, SpeaksTlsError):
            return SPEAKS_TLS + (True,)
    tls = _describeTls(found)
    if tls is not None:
        return tls
    if isinstance(found[0], requests.exceptions.ProxyError) or any(
            "unnel connection failed" in _said(one) for one in found):
        return "the proxy does not let it through: {}".format(
            _shortest(found)), "look at HTTP_PROXY, HTTPS_PROXY and " \
            "NO_PROXY", False
    for one in found:
        number = getattr(one, "errno", None)
        if isinstance(one, socket.gaierror):
            return "the name is not known ({})".format(one.strerror), \
                "check its spelling, and the network's DNS", False
        if number == errno.ECONNREFUSED:
            return "the connection was refused", _ASK_PORT, False
        if number in _UNREACHABLE:
            return "the network does not lead there ({})".format(
                one.strerror), "check this machine's network", False
    if isFailedConnect(found[0]):
        timed = any(isinstance(one, (urllib3errors.ConnectTimeoutError,
                                     requests.ConnectTimeout))
                    and not isinstance(one, urllib3errors.NewConnectionError)
                    for one in found)
        return "no connection came about in time" if timed else \
            "no connection came about ({})".format(_shortest(found)), \
            _ASK_PORT, False
    if any(isTimeOut(one) for one in found):
        if isTls and not wasSending:
            return "timed out in the TLS handshake", \
                "does it speak https there?", False
        return "timed out, no answer (or no end of it) came in time", \
            _ASK_BACKEND, False
    return _describeBreak(found, isTls and not wasSending)


def _describeTls(found):
    for one in found:
        if not isinstance(one, (ssl.SSLError, requests.exceptions.SSLError,
                                ssl.CertificateError)):
            continue
        said = _said(one).upper().replace(" ", "_").replace(
            "DOESN'T_MATCH", "DOESN'T MATCH")
        if any(words in said for words in _NO_TLS):
            return SPEAKS_HTTP + (True,)
        if any(words in said for words in _BAD_CERTIFICATE):
            return "its certificate is not trusted here ({})".format(
                _reasonOf(found)), "is it the right address? For an " \
                "authority of your own see setSession(), or " \
                "REQUESTS_CA_BUNDLE", True
    return None


def _describeBreak(found, amidHandshake):
    for one in reversed(found):  # the outer ones say what the inner ones do
        said = _said(one)
        if amidHandshake and (getattr(one, "errno", None) in _HUNG_UP
                              or "EOF" in said):
            return "the server hung up in the TLS handshake", \
                "does it speak https there?", False
        if getattr(one, "errno", None) in _HUNG_UP \
                or "the answer ended" in said:
            return "the connection broke off ({})".format(
                _shortest([one])), _ASK_BACKEND, False
        if type(one).__name__ in ("BadStatusLine", "RemoteDisconnected",
                                  "IncompleteRead"):
            return "the server hung up without a whole answer", \
                "does it speak http there? " + _ASK_BACKEND, False
    said = _shortest(found)
    if not said.startswith("the answer "):  # our own words
        said = "no answer that can be read ({}: {})".format(
            type(found[-1]).__name__, said)
    return said, _ASK_BACKEND, False


def _isAmidHandshake(found, url, wasSending):
    return url.lower().startswith("https:") and not wasSending and not any(
        isinstance(one, (urllib3errors.NewConnectionError, socket.gaierror,
                         requests.exceptions.ProxyError))
        for one in found)


def _reasonOf(found):
    """Why a certificate is not good, in OpenSSL's words."""
    for one in found:
        if getattr(one, "verify_message", None):
            return one.verify_message
    return _shortest(found)


def _shortest(found):
    """The innermost words, without the addresses that the outer ones add."""
    inner = found[-1]
    said = getattr(inner, "strerror", None) or _said(inner)
    if not isinstance(said, compat.TEXTS):
        said = type(inner).__name__
    return " ".join(compat.toNative(said).split())[:200]
