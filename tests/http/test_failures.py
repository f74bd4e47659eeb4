"""Network errors in one line: where, what happened, what to look at."""
from __future__ import absolute_import

import copy
import errno
import pickle
import socket
import ssl
import unittest

import requests
from requests.packages.urllib3 import exceptions as urllib3errors

from iobeam import errors
from iobeam.http import failures
from tests import loopback

URL = "https://me:pass-word@backend.example:4620/v1/imports?fmt=table"
REFUSED = socket.error(errno.ECONNREFUSED, "Connection refused")
RESET = socket.error(errno.ECONNRESET, "Connection reset by peer")


def maxRetries(reason):
    return urllib3errors.MaxRetryError(None, "/v1/imports?fmt=table", reason)


def notConnected(reason):
    error = urllib3errors.NewConnectionError(None, "failed: {}".format(reason))
    error.reason = reason
    return requests.ConnectionError(maxRetries(error))


# (failure, whether the request was begun, words, class, final)
TABLE = [
    (notConnected(REFUSED), False, "the connection was refused; does it run",
     errors.ConnectionError, False),
    (notConnected(socket.gaierror(-2, "Name or service not known")), False,
     "the name is not known (Name or service not known); check its spelling",
     errors.ConnectionError, False),
    (notConnected(socket.error(errno.ENETUNREACH, "Network is unreachable")),
     False, "the network does not lead there", errors.ConnectionError, False),
    (notConnected(socket.error(errno.EMFILE, "Too many open files")), False,
     "no connection came about (Too many open files)",
     errors.ConnectionError, False),
    (requests.ConnectTimeout(maxRetries(urllib3errors.ConnectTimeoutError(
        None, "timed out"))), False, "no connection came about in time",
     errors.TimeoutError, False),
    (requests.ReadTimeout(urllib3errors.ReadTimeoutError(
        None, "/x", "Read timed out.")), True, "timed out, no answer",
     errors.TimeoutError, False),
    (requests.ReadTimeout("_ssl.c: The handshake operation timed out"), False,
     "timed out in the TLS handshake; does it speak https",
     errors.TimeoutError, False),
    (requests.ConnectionError(urllib3errors.ProtocolError(
        "Connection aborted.", RESET)), True, "the connection broke off "
     "(Connection reset by peer)", errors.ConnectionError, False),
    (requests.ConnectionError(urllib3errors.ProtocolError(
        "Connection aborted.", RESET)), False,
     "the server hung up in the TLS handshake", errors.ConnectionError,
     False),
    (requests.exceptions.SSLError(maxRetries(urllib3errors.SSLError(
        ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version")))),
     False, "speaks http, not https", errors.ConnectionError, True),
    (requests.exceptions.SSLError(maxRetries(urllib3errors.SSLError(
        ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
                     "failed: self signed certificate (_ssl.c:1129)")))),
     False, "its certificate is not trusted here", errors.ConnectionError,
     True),
    (requests.exceptions.ProxyError(maxRetries(socket.error(
        "Tunnel connection failed: 407 Proxy Authentication Required"))),
     False, "the proxy does not let it through: Tunnel connection failed: 407",
     errors.ConnectionError, False),
    (failures.SpeaksTlsError("x"), True, "speaks https, not http",
     errors.ConnectionError, True),
    (requests.ConnectionError(maxRetries(failures.GoneError(None, "x"))),
     False, "set IOBEAM_BACKEND", errors.ConnectionError, True),
    (requests.ConnectionError("the answer ended after 3 of 8 bytes"), True,
     "the answer ended after 3 of 8 bytes", errors.ConnectionError, False),
]


class ErrorOfTest(unittest.TestCase):
    def test_each_says_where_what_and_what_to_look_at(self):
        for failure, begun, words, kind, isFinal in TABLE:
            error = failures.errorOf(failure, URL, wasSending=begun)
            said = str(error)
            self.assertIn(words, said)
            self.assertTrue(said.startswith("https://backend.example:4620: "),
                            said)
            self.assertEqual(1, len(said.splitlines()))
            self.assertIn("; ", said)
            self.assertIsInstance(error, kind, said)
            self.assertEqual(isFinal, error.isFinal, said)
            for hidden in ("pass-word", "HTTPSConnectionPool", "fmt=table",
                           "Caused by"):
                self.assertNotIn(hidden, said)

    def test_it_is_the_error_of_requests_as_well_and_keeps_it(self):
        for failure, begun, _, _, _ in TABLE:
            error = failures.errorOf(failure, URL, wasSending=begun)
            self.assertIs(failure, error.cause)
            self.assertIs(failure, error.__cause__)
            self.assertIsInstance(error, requests.RequestException)
            if isinstance(failure, requests.RequestException):
                self.assertIsInstance(error, type(failure))

    def test_copies_and_pickles_leave_the_cause_out(self):
        failure = notConnected(REFUSED)
        failure.hidden = socket.socket()  # cannot be pickled
        self.addCleanup(failure.hidden.close)
        error = failures.errorOf(failure, URL)
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            self.assertEqual((str(error), None), (str(other), other.cause))
            self.assertIsInstance(other, requests.ConnectionError)

    def test_the_proxy_is_named_without_its_password(self):
        said = str(failures.errorOf(notConnected(REFUSED), URL,
                                    "http://me:pass-word@proxy.example:3128"))
        self.assertIn("through the proxy http://proxy.example:3128: ", said)
        self.assertNotIn("pass-word", said)

    def test_no_request_and_no_token_stays_in_it(self):
        token = loopback.makeToken(1)
        sent = requests.Request("GET", URL, headers={
            "Authorization": "Bearer " + token}).prepare()
        failure = requests.ConnectionError(
            requests.Timeout("inner", request=sent), request=sent)
        error = failures.errorOf(failure, URL)
        for one in [error] + list(failures.chain(failure)):
            self.assertIsNone(one.request)
            self.assertNotIn(token, repr(vars(one)))

    def test_who_asks_the_server_is_believed(self):
        for failure, begun, asked in (
                (requests.ReadTimeout("timed out"), False, 1),
                (requests.ReadTimeout("timed out"), True, 0),
                (notConnected(REFUSED), False, 0)):
            calls = []
            error = failures.errorOf(
                failure, URL, None, begun,
                lambda: calls.append(1) or True)
            self.assertEqual(asked, len(calls))
            self.assertEqual(bool(asked), "speaks http," in str(error))
            if asked:  # so that nobody waits for it again
                self.assertNotIsInstance(error, errors.TimeoutError)


if __name__ == "__main__":
    unittest.main()
