"""No token and no Authorization header is ever shown, whatever goes wrong."""
from __future__ import absolute_import

import contextlib
import logging
import traceback

import requests

from iobeam import iobeam
from iobeam.http import request
from iobeam.resources import query
from tests import loopback, support

USER = loopback.makeToken(projectId=None, expiresIn=None, uid=7)
ECHO = "you sent Bearer {}"


class SecretsTest(support.TestCase):
    def setUp(self):
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)
        self.secrets = [USER]
        self.server.mint = lambda: self.secret(expiresIn=90000)
        self.shown = []
        self.seen = set()

    def secret(self, **options):
        token = loopback.makeToken(**options)
        self.secrets.append(token)
        return token

    @contextlib.contextmanager
    def everythingLogged(self):
        """Collect what every logger says at every level, as it is printed."""
        shown = self.shown

        class Handler(logging.Handler):
            def emit(self, record):
                shown.append(self.format(record))
                shown.append(repr(record.args))

        handler, root = Handler(), logging.getLogger()
        level = root.level
        logger = logging.getLogger("iobeam")
        root.addHandler(handler)
        logger.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            root.removeHandler(handler)
            logger.removeHandler(handler)
            root.setLevel(level)

    def attempt(self, function, *args, **kwargs):
        """Call it, and note whatever its exception can be made to show."""
        try:
            self.show(function(*args, **kwargs))
        except Exception as error:
            self.shown.append(traceback.format_exc())
            while error is not None and id(error) not in self.seen:
                self.show(error)
                self.show(vars(error))
                error = getattr(error, "__cause__", None) or getattr(
                    error, "__context__", None)

    def show(self, value):
        self.shown += [repr(value), str(value)]

    def assertHidden(self, secret):
        self.assertEqual([], [text[-400:] for text in self.shown
                              if secret in text][:3])

    def answers(self):
        """Everything that goes wrong, as steps of the server."""
        echo = {"errors": [{"code": 9, "message": ECHO.format(token),
                            "details": {"header": [ECHO.format(token)]}}
                           for token in self.secrets]}
        for status in (200, 201, 302, 400, 401, 403, 404, 413, 422, 429, 500):
            # not followed, so that nothing but our own code could tell it
            target = "http://other.invalid/?t=" + self.secrets[-1]
            yield (0, status, {"Retry-After": "0", "Location": target}, echo)
            yield (0, status, {"Retry-After": "0"}, "<pre>{}</pre>".format(
                " ".join(self.secrets)))
        for fault in ("drop", "reset", "close", "half-headers", "garbage",
                      "reset-amid", "hang"):
            yield fault

    def test_whatever_goes_wrong(self):
        with self.everythingLogged():
            for session in (None, requests.Session()):
                self.everyCall(session)
                if session is not None:
                    session.close()
        for token in self.secrets:
            self.assertHidden(token)
            self.assertHidden(token.split(".")[1])
        text = "\n".join(self.shown)
        self.assertIn("[token]", text)  # it did echo, and was hidden
        self.assertGreater(len(text), 10000)

    def everyCall(self, session):
        folder = self.folder()
        token = self.secret(expiresIn=90000)
        for step in list(self.answers()):
            self.server.always(None)
            builder = loopback.builder(self.server, token=token, retries=0,
                                       read=0.1).saveToDisk(folder)
            if session is not None:
                builder.setSession(session)
            self.show(builder)
            client = builder.registerOrSetId("dev").build()
            client.createDataStore(["a"]).addRows(
                (k, {"a": k}) for k in range(3))
            for thing in (client, client._tokens, client._identity,
                          client._requester, client._tokenService,
                          client._importService, client._outbox,
                          client._requester.post("u").token(token)):
                self.show(thing)
            self.server.always(step)
            self.attempt(client.send)
            self.show(client.stats())
            self.show(client.rejected())
            self.attempt(client.registerDevice, "dev-2")
            for life in (-100, 100):  # expired, and in its last day
                client._tokens._token = self.secret(expiresIn=life)
                client._tokens._nextDue = client._tokens._nextTry = None
                self.attempt(client._checkToken)
            self.attempt(client._deviceService.getTimestamp)
            backend = client._requester  # with its short time-outs
            self.attempt(iobeam.makeQuery, token, query.Query(1), backend)
            self.attempt(iobeam.fetchDeviceToken, USER, 1, "dev",
                         backend=backend)
            client.createDataStore(["a"]).clear()
            client.close()

    def test_wrong_arguments(self):
        token = self.secret()
        with self.everythingLogged():
            for odd in (token + u"\xe9", token + "\n\nX: y", token[:-5] + "\0",
                        u"\u20ac" + token, "x" + token, token + ".x",
                        token.replace(".", ":"), token.replace(".", u".\xe9", 1),
                        token.replace(".", u"\xe9.")):
                self.attempt(iobeam.ClientBuilder(1, odd).setBackend(
                    self.server.url).registerDevice().build)
                self.attempt(iobeam.makeQuery, odd, query.Query(1),
                             backend=self.server.url)
                self.attempt(iobeam.fetchDeviceToken, odd, 1, "dev",
                             backend=self.server.url)
            for projectId in (2, "1", None):
                self.attempt(lambda: iobeam.ClientBuilder(projectId, token)
                             .setBackend(self.server.url).build())
            self.attempt(iobeam.ClientBuilder, 1, [token])
            self.attempt(request.Requester("http://127.0.0.1:1/v1/").get(
                "nonsense").token(token).execute)
        for part in (token, token.split(".")[1]):
            self.assertHidden(part)

    def test_credentials_in_the_address_of_the_backend(self):
        for url in ("http://me:pass-secret@127.0.0.1:1/v1/",
                    "http://me:pass-secret@example.invalid/v1/",
                    "ftp://me:pass-secret@127.0.0.1/",
                    "http://me:pass-secret/x@127.0.0.1:1/v1/",
                    "http://me:1/pass-secret@127.0.0.1:1/v1/",
                    "http://me:x@pass-secret@127.0.0.1:1/v1/",
                    "http://me:pass-secret#@127.0.0.1:1/v1/",
                    "http://me:pass-secret", "me:pass-secret@127.0.0.1/v1/",
                    "http:/me:pass-secret@127.0.0.1/v1/",
                    "http://me:[pass-secret@127.0.0.1/v1/",
                    "http://127.0.0.1:1/v1/?key=pass-secret"):
            with self.everythingLogged():
                builder = iobeam.ClientBuilder(1, self.secret()).setBackend(
                    url).setRetries(0).setTimeout(1, 1)
                self.attempt(builder.registerOrSetId("dev").build)
                self.show(builder)
        self.assertHidden("pass-secret")
