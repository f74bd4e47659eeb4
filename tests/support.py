"""What several tests need: doubles at the seam, tokens, logs, properties."""
from __future__ import absolute_import

import base64
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings

from iobeam.http import request
from iobeam.utils import quickjson

try:
    from unittest import mock
except ImportError:  # Python 2.7
    import mock

try:
    import hypothesis
    from hypothesis import strategies
except ImportError:
    sys.stderr.write(
        "hypothesis is not installed: the property tests are skipped\n")
    hypothesis = None

__all__ = ["FakeRequester", "FakeResponse", "OneRequestRequester", "TestCase",
           "example", "given", "heldElsewhere", "makeToken", "mock", "refusal",
           "st", "useQuickJson"]

@contextlib.contextmanager
def heldElsewhere(gate):
    """Let another thread hold a gate."""
    inside, done = threading.Event(), threading.Event()

    def hold():
        with gate:
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(60)
    try:
        yield
    finally:
        done.set()
        thread.join()


# What whoever runs the tests has set up is none of theirs.
os.environ["IOBEAM_CONFIG"] = os.path.join(
    tempfile.gettempdir(), "iobeam-tests-without-configuration", "iobeam.ini")
FAR = 4102444800  # the year 2100, for tokens that are to be valid


# -- properties ---------------------------------------------------------------

if hypothesis is not None:
    # In CI the same examples each time: a change is judged by itself. New ones
    # are looked for by whoever runs the tests. A class of tests may inherit
    # some, to run them in another setting.
    hypothesis.settings.register_profile(
        "iobeam", deadline=None, database=None, max_examples=60,
        derandomize="CI" in os.environ,
        suppress_health_check=[
            getattr(hypothesis.HealthCheck, name)
            for name in ("too_slow", "differing_executors")
            if hasattr(hypothesis.HealthCheck, name)])
    hypothesis.settings.load_profile("iobeam")
    given, example, st = hypothesis.given, hypothesis.example, strategies
    note = hypothesis.note  # said where an example fails
else:
    class _Anything(object):
        """Stands for every strategy, and for what is done with it."""

        def __getattr__(self, _):
            return lambda *args, **kwargs: self

        def __or__(self, _):
            return self

    st = note = _Anything()

    def given(*_, **__):
        return unittest.skip("hypothesis is not installed")

    def example(*_, **__):
        return lambda test: test


# -- a base class ----------------------------------------------------------------


class TestCase(unittest.TestCase):
    """A TestCase with what 2.7 lacks, and a log that can be looked at."""

    if not hasattr(unittest.TestCase, "assertRaisesRegex"):
        assertRaisesRegex = unittest.TestCase.assertRaisesRegexp
        assertRegex = unittest.TestCase.assertRegexpMatches
        assertNotRegex = unittest.TestCase.assertNotRegexpMatches

    def assertSays(self, message, function, *args, **kwargs):
        """The call raises a ValueError with exactly this message."""
        with self.assertRaises(ValueError) as caught:
            function(*args, **kwargs)
        self.assertEqual(message, str(caught.exception))

    @contextlib.contextmanager
    def warnings(self, count=None):
        """Collect the messages that the library logs as warnings."""
        messages = []

        class Collector(logging.Handler):
            def emit(self, record):
                messages.append(record.getMessage())

        collector = Collector(logging.WARNING)
        logger = logging.getLogger("iobeam")
        logger.addHandler(collector)
        try:
            yield messages
        finally:
            logger.removeHandler(collector)
        if count is not None:
            self.assertEqual(count, len(messages), messages)

    def folder(self):
        """Make a folder that goes with the test."""
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path, True)
        return path


def useQuickJson(test, isQuick=True):
    """Encode by orjson in a test, or what stands in for it; or by neither."""
    from iobeam.http import transport  # which loads it, once

    assert transport
    for name, standIn in (
            ("dumps", lambda value: json.dumps(
                value, separators=(",", ":")).encode("utf-8")),
            ("loads", lambda found: json.loads(found.decode("utf-8")))):
        own = getattr(quickjson, name)
        patch = mock.patch.object(quickjson, name,
                                  (own or standIn) if isQuick else None)
        patch.start()
        test.addCleanup(patch.stop)


def runPython(test, script):
    """Run a script in a Python of its own, which has to end well."""
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out = child.communicate()[0].decode("utf-8")
    test.assertEqual(0, child.returncode, out)
    return out


def quiet(test):
    """Keep warnings that a test provokes away from 2.7's stderr."""
    logging.getLogger("iobeam").propagate = False
    return test


def ignoreWarnings(test):
    """Ignore Python's own warnings for the length of a test."""
    caught = warnings.catch_warnings()
    caught.__enter__()
    test.addCleanup(caught.__exit__, None, None, None)
    warnings.simplefilter("ignore")


# -- tokens -------------------------------------------------------------------------


def segment(claims, padded=False, standard=False):
    """One segment of a token: base64 of JSON."""
    raw = json.dumps(claims, separators=(",", ":")).encode("utf-8")
    coded = (base64.b64encode if standard else base64.urlsafe_b64encode)(raw)
    return (coded if padded else coded.rstrip(b"=")).decode("ascii")


def makeToken(claims, header=None, padded=False, standard=False):
    """A token of these claims whose signature nobody can check."""
    header = header or {"typ": "JWT", "alg": "HS256"}
    signature = u"c2lnbmF0dXJlc2lnbmF0dXJlc2lnbmF0dXJlc2lnbmE"
    return str(u".".join([segment(header, padded, standard),
                          segment(claims, padded, standard),
                          signature + (u"=" if padded else u"")]))


def validToken(projectId=1, **claims):
    """A token that is good until 2100."""
    return makeToken(dict({"uid": 0, "pid": projectId, "exp": FAR, "pms": 7},
                          **claims))


# -- doubles at the requester seam ------------------------------------------------


class FakeResponse(object):
    """An answer as doubles of 2016 give it: a status and `json()`, no more."""

    def __init__(self, status, body=None):
        self.status_code = status
        self._body = body

    def json(self):
        if isinstance(self._body, ValueError):
            raise self._body
        return self._body


class RichResponse(FakeResponse):
    """An answer with headers and text, as the real ones have them."""

    def __init__(self, status, body=None, headers=(), text=None):
        FakeResponse.__init__(self, status, body)
        self.headers = dict(headers)
        if text is None:
            text = u"" if body is None else json.dumps(body)
        else:
            self._body = ValueError("no JSON")
        self.text = text
        self.content = text.encode("utf-8")


def refusal(status, code, message="refused", **more):
    """An answer with one API error."""
    return FakeResponse(status, {"errors": [dict(more, code=code,
                                                 message=message)]})


class _Recorded(object):
    """What went out with one request."""

    def __init__(self, req):
        self.method = req.method
        self.url = req.url
        self.params = dict(req.params)
        self.headers = dict(req.headers)
        self.body = req.body

    @property
    def path(self):
        return self.url.split("/v1/", 1)[1]


class _FakeRequest(request.Request):
    def __init__(self, requester, method, url):
        request.Request.__init__(self, method, url, None)
        self._requester = requester

    def execute(self):
        self.resp = self._requester.answer(self)


class FakeRequester(object):
    """Answers from a script, then always the same; records what came.

    Args:
        script: answers, or exceptions to raise; a callable gets the request.
        default: the answer when the script is over.
    """

    def __init__(self, *script, **options):
        self.script = list(script)
        self.default = options.pop("default", FakeResponse(200, {}))
        self.base = options.pop("base", "http://127.0.0.1:1/v1/")
        assert not options, options
        self.requests = []

    def makeEndpoint(self, path):
        return self.base + path

    def get(self, url):
        return _FakeRequest(self, "GET", url)

    def post(self, url):
        return _FakeRequest(self, "POST", url)

    def answer(self, req):
        self.requests.append(_Recorded(req))
        found = self.script.pop(0) if self.script else self.default
        if isinstance(found, Exception):
            raise found
        return found(req) if callable(found) else found


class OneRequestRequester(FakeRequester):
    """Hands out one request for ever, as the doubles of 0.11.0's time did."""

    def __init__(self, *script, **options):
        FakeRequester.__init__(self, *script, **options)
        self._only = _FakeRequest(self, None, None)

    def get(self, url):
        self._only.method, self._only.url = "GET", url
        return self._only

    def post(self, url):
        self._only.method, self._only.url = "POST", url
        return self._only


quiet(None)
