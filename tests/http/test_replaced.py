"""Test suites and programs that put themselves between us and the network."""
from __future__ import absolute_import

import contextlib
import io
import json
import os
import sys
import unittest

import requests

from iobeam import iobeam
from iobeam.http import replaced, request
from tests import loopback, support
from tests.support import mock

try:
    import requests_mock
except ImportError:
    requests_mock = None
try:
    import responses
except ImportError:
    responses = None
try:
    import vcr
except ImportError:
    vcr = None

# requests before 2.16 uses an urllib3 of its own, where the present versions
# of these do not look, or which they ask for what it does not know.
_VENDORED = requests.packages.urllib3.__name__ != "urllib3"
OLD = "https://api.iobeam.com/v1/"  # what test suites of 2016 name
BODY = {"project_id": 1, "device_id": "dev", "timefmt": "usec",
        "sources": {"fields": ["time", "a"], "data": [[1000, 5]]}}
CASSETTE = u"""\
interactions:
- request:
    body: null
    headers: {{}}
    method: POST
    uri: {0}imports?fmt=table
  response:
    body: {{string: '{{}}'}}
    headers: {{Content-Type: [application/json], Content-Length: ['2']}}
    status: {{code: 200, message: OK}}
- request:
    body: null
    headers: {{}}
    method: GET
    uri: {0}exports/1/all/all
  response:
    body: {{string: '{{"result": [7]}}'}}
    headers: {{Content-Type: [application/json]}}
    status: {{code: 200, message: OK}}
version: 1
"""


def answer(status=200, body=None):
    """What many a test gives for an answer: nothing but these two."""
    made = mock.Mock(spec=["status_code", "json"])
    made.status_code = status
    made.json.return_value = {} if body is None else body
    return made


class ReplacedCase(support.TestCase):
    def setUp(self):
        patched = mock.patch.dict("os.environ")
        patched.start()
        self.addCleanup(patched.stop)
        for name in ("IOBEAM_BACKEND", "http_proxy", "https_proxy",
                     "HTTP_PROXY", "HTTPS_PROXY"):
            os.environ.pop(name, None)
        self.token = loopback.makeToken(1)

    def client(self, url=OLD, session=None):
        builder = iobeam.ClientBuilder(1, self.token).setBackend(url) \
            .setDeviceId("dev").setRetries(0).setTimeout(1, 1)
        if session is not None:
            builder.setSession(session)
        client = builder.build()
        self.addCleanup(client.close)
        return client

    def send(self, client):
        client.createDataStore(["a"]).add(1, {"a": 5})
        return client.send()

    def query(self, url=OLD):
        return iobeam.makeQuery(self.token, iobeam.QueryReq(1), url)

    def assertNothingReplaced(self):
        self.assertTrue(replaced.isNothing())
        self.assertEqual(set(), replaced.names())


class MockPatchTest(ReplacedCase):
    """As 0.11.0 called them: seen by running it with these replaced."""

    def expected(self, **more):
        return dict({"headers": {
            "Authorization": "Bearer " + self.token,
            "User-Agent": "iobeam python", "Connection": "keep-alive"}},
            **more)

    def test_session_post_and_get_are_called_as_ever(self):
        client = self.client()
        with mock.patch("requests.Session.post", return_value=answer()) as post:
            self.assertTrue(self.send(client))
        post.assert_called_once_with(OLD + "imports", **self.expected(
            params={"fmt": "table"}, json=BODY))
        with mock.patch("requests.Session.get",
                        return_value=answer(body={"result": []})) as get:
            self.assertEqual({"result": []}, self.query())
        get.assert_called_once_with(OLD + "exports/1/all/all",
                                    **self.expected(params={}))
        self.assertNothingReplaced()

    def test_fakes_that_take_no_other_arguments(self):
        seen = []

        def post(self, url, params=None, headers=None, json=None):
            seen.append((url, params, json))
            return answer()

        with mock.patch.object(requests.Session, "post", post):
            self.send(self.client())
        self.assertEqual([(OLD + "imports", {"fmt": "table"}, BODY)], seen)

    def test_session_request(self):
        with mock.patch("requests.Session.request",
                        return_value=answer()) as called:
            self.send(self.client())
        args, kwargs = called.call_args
        self.assertEqual(("POST", OLD + "imports"), args)
        self.assertEqual((BODY, {"fmt": "table"}),
                         (kwargs["json"], kwargs["params"]))

    def test_session_send(self):
        for autospec in (False, True):
            with mock.patch("requests.Session.send", autospec=autospec,
                            return_value=answer()) as called:
                self.send(self.client())
            sent = called.call_args[0][-1]
            self.assertEqual(("POST", OLD + "imports?fmt=table"),
                             (sent.method, sent.url))
            self.assertEqual(BODY, json.loads(sent.body.decode("ascii")))
            self.assertEqual("Bearer " + self.token,
                             sent.headers["authorization"])

    def test_session_get_adapter(self):
        adapter = mock.Mock()
        adapter.send.return_value = found = requests.Response()
        found.status_code, found._content = 200, b"{}"
        found.raw = mock.Mock(_original_response=None)
        with mock.patch("requests.Session.get_adapter",
                        return_value=adapter) as called:
            self.send(self.client())
        self.assertEqual(1, called.call_count)
        self.assertEqual(OLD + "imports?fmt=table",
                         adapter.send.call_args[0][0].url)

    def test_requests_post_and_get(self):
        client = self.client()
        with mock.patch("requests.post", return_value=answer()) as post:
            self.send(client)
        self.assertEqual(BODY, post.call_args[1]["json"])
        with mock.patch("requests.get", return_value=answer()) as get:
            self.query()
        self.assertEqual((OLD + "exports/1/all/all",), get.call_args[0])

    def test_the_class_itself(self):
        with mock.patch("requests.Session") as kind:
            kind.return_value.post.return_value = answer()
            self.send(self.client())
        kind.return_value.post.assert_called_once_with(
            OLD + "imports", **self.expected(params={"fmt": "table"},
                                             json=BODY))

    def test_a_class_that_stands_for_it_keeps_the_limits(self):
        seen = []

        class Caching(requests.Session):  # as requests_cache installs one
            def request(self, method, url, **kwargs):
                seen.append(kwargs["timeout"])
                return requests.sessions.Session.request(self, method, url,
                                                         **kwargs)

        with loopback.Loopback() as server:
            client = self.client(server.url)
            with mock.patch("requests.Session", Caching):
                self.send(client)
                self.send(client)
                server.script(loopback.step("redirect", location="/v1/x"))
                self.assertRaises(request.SendError, self.send, client)
                client._requester._session.channel()._other[1].close()
            self.assertEqual(["imports"] * 3,
                             [found.path for found in server.requests])
            self.assertEqual(1, server.connections)
        self.assertNotIn(None, seen)

    def test_in_place_before_or_after_the_client_and_taken_away_again(self):
        with loopback.Loopback() as server:
            client = self.client(server.url)
            self.send(client)
            for _ in range(2):
                with mock.patch("requests.Session.post",
                                return_value=answer()) as post:
                    self.send(client)
                    self.send(self.client(server.url))
                self.assertEqual(2, post.call_count)
                self.send(client)
            self.assertEqual((3, 1), (len(server.imports()),
                                      server.connections))

    def test_on_an_instance(self):
        session = requests.Session()
        with mock.patch.object(session, "post", return_value=answer()) as post:
            self.send(self.client(session=session))
        self.assertEqual(BODY, post.call_args[1]["json"])
        with mock.patch.object(session, "send", return_value=answer()) as send:
            self.send(self.client(session=session))
        self.assertEqual(1, send.call_count)

    def test_each_attempt_is_seen(self):
        client = iobeam.ClientBuilder(1, self.token).setBackend(OLD) \
            .setDeviceId("dev").setRetries(3).build()
        self.addCleanup(client.close)
        answers = [answer(503), answer(429), requests.ConnectionError("no"),
                   answer()]
        for one in answers[:2]:
            one.headers = {"Retry-After": "0"}
        with mock.patch("requests.Session.post", side_effect=answers) as post, \
                mock.patch("iobeam.http.retry.backoff", return_value=0.0):
            self.assertTrue(self.send(client))
        self.assertEqual(4, post.call_count)

    def test_answers_that_are_mocks_of_everything(self):
        found = mock.MagicMock(status_code=200)
        found.json.return_value = {}
        with mock.patch("requests.Session.post", return_value=found):
            self.assertTrue(self.send(self.client()))
        found = mock.Mock(status_code=200)
        found.json.return_value = {}
        with mock.patch("requests.Session.send", return_value=found):
            self.assertTrue(self.send(self.client()))

    def test_failures_of_a_double_are_those_of_requests(self):
        for kind in (requests.ConnectionError, requests.Timeout,
                     requests.exceptions.SSLError):
            with mock.patch("requests.Session.send", side_effect=kind("no")):
                with self.assertRaises(kind) as caught:
                    self.send(self.client())
            self.assertIsInstance(caught.exception, request.SendError)
            self.assertEqual(1, caught.exception.inDoubt)
            self.assertIsInstance(caught.exception.cause, kind)

    def test_booleans_and_compressed_bodies(self):
        with mock.patch("requests.Session.get", return_value=answer(
                body={"token": self.token})) as get:
            iobeam.fetchDeviceToken(self.token, 1, "dev", backend=OLD,
                                    options={"read": True, "write": False})
        params = get.call_args[1]["params"]
        self.assertEqual(("true", "false"), (params["read"], params["write"]))
        client = iobeam.ClientBuilder(1, self.token).setBackend(OLD) \
            .setDeviceId("dev").compress(True).build()
        self.addCleanup(client.close)
        client.createDataStore(["a"]).addRows(
            (k, {"a": k}) for k in range(400))
        with mock.patch("requests.Session.post", return_value=answer()) as post:
            client.send()
        self.assertEqual("gzip",
                         post.call_args[1]["headers"]["Content-Encoding"])

    def test_it_may_stand_there_before_the_library_is_imported(self):
        script = (
            "import requests\n"
            "seen = []\n"
            "def send(self, request, **kwargs):\n"
            "    seen.append(request.url)\n"
            "    answer = requests.Response()\n"
            "    answer.status_code, answer._content = 200, b'{}'\n"
            "    return answer\n"
            "own, requests.Session.send = requests.Session.send, send\n"
            "from iobeam import iobeam\n"
            "client = iobeam.ClientBuilder(1, %r).setBackend(%r)"
            ".setDeviceId('dev').setRetries(0).build()\n"
            "client.createDataStore(['a']).add(1, {'a': 5})\n"
            "assert client.send() and len(seen) == 1, seen\n"
            "from iobeam.http import replaced\n"
            "assert not replaced.isNothing()\n"
            "requests.Session.send = own\n"
            "assert replaced.isNothing()\n") % (self.token, OLD)
        support.runPython(self, script)

    def test_the_look_costs_no_more_than_a_few_lines(self):
        self.assertNothingReplaced()
        calls = []

        def trace(frame, event, _):
            calls.append(frame.f_code.co_name)

        sys.setprofile(trace)
        try:
            replaced.isNothing()
        finally:
            sys.setprofile(None)
        self.assertEqual(["isNothing", "_look"], [
            name for number, name in enumerate(calls)
            if name in ("isNothing", "_look", "_learn", "_isOwn")
            and name not in calls[:number]])


class HandmadeAnswerTest(ReplacedCase):
    def test_an_answer_whose_raw_is_any_file(self):
        made = requests.Response()
        made.status_code, made.raw = 200, io.BytesIO(b'{"result": [5]}')
        with mock.patch("requests.Session.send", return_value=made):
            self.assertEqual({"result": [5]}, self.query())

    def test_an_answer_without_anything_in_it(self):
        made = requests.Response()
        made.status_code = 200
        with mock.patch("requests.Session.send", return_value=made):
            self.assertTrue(self.send(self.client()))


class OwnSessionTest(ReplacedCase):
    def setUp(self):
        ReplacedCase.setUp(self)
        self.server = loopback.Loopback()
        self.addCleanup(self.server.close)

    def session(self, kind=requests.Session):
        session = kind()
        self.addCleanup(session.close)
        return session

    def test_response_hooks_are_called(self):
        seen = []
        session = self.session()
        session.hooks["response"].append(
            lambda response, *_, **__: seen.append(response.status_code))
        self.send(self.client(self.server.url, session))
        self.assertEqual([200], seen)

    def test_an_own_send_or_request_is_called(self):
        seen = []

        class Watching(requests.Session):
            def send(self, sent, **kwargs):
                seen.append((sent.url, kwargs["timeout"] is not None))
                return requests.Session.send(self, sent, **kwargs)

        class Named(requests.Session):
            def request(self, method, url, **kwargs):
                seen.append((url, kwargs["timeout"] is not None))
                return requests.Session.request(self, method, url, **kwargs)

        for kind, end in ((Watching, "?fmt=table"), (Named, "")):
            del seen[:]
            self.send(self.client(self.server.url, self.session(kind)))
            self.assertEqual([(self.server.url + "imports" + end, True)], seen)
        self.assertEqual([BODY, BODY],
                         [found.body for found in self.server.imports()])
        self.assertEqual(set(["Bearer " + self.token]), set(
            found.headers["Authorization"] for found
            in self.server.imports()))

    def test_the_auth_of_a_session_is_applied(self):
        def sign(sent):
            sent.headers["X-Signature"] = str(len(sent.body))
            return sent

        session = self.session()
        session.auth = sign
        self.send(self.client(self.server.url, session))
        sent = self.server.imports()[0]
        self.assertEqual(str(len(sent.raw)), sent.headers["X-Signature"])
        self.assertEqual("Bearer " + self.token,
                         sent.headers["Authorization"])

    def test_a_redirect_is_not_followed_through_one_either(self):
        session = self.session()
        session.hooks["response"].append(lambda response, *_, **__: response)
        self.server.script(loopback.step("redirect", location="/v1/other"))
        with self.assertRaises(request.SendError) as caught:
            self.send(self.client(self.server.url, session))
        self.assertEqual(302, caught.exception.statusCode)
        self.assertEqual(["imports"],
                         [found.path for found in self.server.requests])

    def test_a_request_may_be_given_any_session(self):
        session = mock.Mock()
        session.get.return_value = answer(body={"a": 1})
        req = request.Request("GET", "http://127.0.0.1:1/x", session)
        req.setParam("p", True).execute()
        self.assertEqual({"a": 1}, req.getResponse())
        self.assertEqual({"p": "true"}, session.get.call_args[1]["params"])


@unittest.skipIf(_VENDORED, "requests_mock needs requests 2.16")
@unittest.skipIf(requests_mock is None, "requests_mock is not installed")
class RequestsMockTest(ReplacedCase):
    def test_it_sees_what_it_saw_with_0_11_0(self):
        client = self.client()
        with requests_mock.Mocker() as mocked:
            mocked.post(OLD + "imports", json={})
            mocked.get(OLD + "exports/1/all/all", json={"result": [1]})
            self.assertTrue(self.send(client))
            self.assertEqual({"result": [1]}, self.query())
        sent, asked = mocked.request_history
        self.assertEqual(("POST", BODY, {"fmt": ["table"]}),
                         (sent.method, sent.json(), sent.qs))
        self.assertEqual("Bearer " + self.token,
                         sent.headers["authorization"])
        self.assertEqual("GET", asked.method)
        self.assertNothingReplaced()

    def test_its_failures_and_refusals(self):
        with requests_mock.Mocker() as mocked:
            mocked.post(OLD + "imports", exc=requests.exceptions.ConnectTimeout)
            with self.assertRaises(requests.exceptions.ConnectTimeout) as caught:
                self.send(self.client())
            self.assertEqual(0, caught.exception.inDoubt)
            mocked.post(OLD + "imports", status_code=422, json={
                "errors": [{"code": 3, "message": "bad"}]})
            with self.assertRaises(request.SendError) as caught:
                self.send(self.client())
            self.assertEqual(1, len(caught.exception.rejected))
            # as it is raised, and not one of ours: a test wants to see it
            self.assertRaises(requests_mock.NoMockAddress, self.query)

    def test_what_it_does_not_mock_goes_to_the_network(self):
        with loopback.Loopback() as server:
            client = self.client(server.url)
            with requests_mock.Mocker(real_http=True):
                self.send(client)
                server.script("hang")
                self.assertRaises(request.TimeoutError, self.send, client)
            self.assertEqual(2, len(server.imports()))

    def test_an_adapter_in_a_session_of_the_programs(self):
        session = requests.Session()
        adapter = requests_mock.Adapter()
        session.mount("https://api.iobeam.com", adapter)
        adapter.register_uri("POST", OLD + "imports", json={})
        self.assertTrue(self.send(self.client(session=session)))
        self.assertEqual(BODY, adapter.last_request.json())


@unittest.skipIf(responses is None, "responses is not installed")
class ResponsesTest(ReplacedCase):
    def test_it_sees_what_it_saw_with_0_11_0(self):
        client = self.client()
        with responses.RequestsMock() as mocked:
            mocked.add(responses.POST, OLD + "imports", json={})
            mocked.add(responses.GET, OLD + "exports/1/all/all",
                       json={"result": [1]})
            self.assertTrue(self.send(client))
            self.assertEqual({"result": [1]}, self.query())
            sent = mocked.calls[0].request
        self.assertEqual(("POST", OLD + "imports?fmt=table"),
                         (sent.method, sent.url))
        self.assertEqual(BODY, json.loads(sent.body.decode("ascii")))
        self.assertEqual("Bearer " + self.token,
                         sent.headers["authorization"])
        self.assertNothingReplaced()

    def test_what_it_does_not_know_is_a_connection_error(self):
        with responses.RequestsMock():
            with self.assertRaises(requests.ConnectionError):
                self.send(self.client())


@unittest.skipIf(_VENDORED, "vcrpy needs requests 2.16")
@unittest.skipIf(vcr is None, "vcrpy is not installed")
class VcrTest(ReplacedCase):
    def cassette(self, url=OLD, **more):
        path = os.path.join(self.folder(), "cassette.yaml")
        with open(path, "w") as opened:
            opened.write(str(CASSETTE.format(url)))
        return vcr.use_cassette(path, record_mode="none", **more)

    def test_a_cassette_for_the_old_address_is_played(self):
        client = self.client()
        with self.cassette() as cassette:
            self.assertTrue(self.send(client))
            self.assertEqual({"result": [7]}, self.query())
        self.assertEqual(2, cassette.play_count)
        self.assertEqual("POST", cassette.requests[0].method)

    def test_before_between_and_after_requests_of_one_client(self):
        with loopback.Loopback() as server:
            client = self.client(server.url)
            self.send(client)
            with self.cassette(server.url) as cassette:
                self.send(client)
            self.assertEqual(1, cassette.play_count)
            self.send(client)
            self.assertEqual(2, len(server.imports()))

    def test_what_is_sent_can_be_recorded(self):
        path = os.path.join(self.folder(), "new.yaml")
        with loopback.Loopback() as server:
            client = self.client(server.url)
            with vcr.use_cassette(path) as cassette:
                self.send(client)
            self.assertEqual(1, len(server.imports()))
            self.assertEqual(BODY, json.loads(
                cassette.requests[0].body.decode("ascii")))


class DeadDomainTest(ReplacedCase):
    """No socket is opened to the domain of the service of 2016."""

    def setUp(self):
        ReplacedCase.setUp(self)
        self.asked = []

    @contextlib.contextmanager
    def nothingOpened(self):
        def refuse(*args, **_):
            self.asked.append(args)
            raise AssertionError("a socket was wanted: {}".format(args))

        with mock.patch("socket.getaddrinfo", refuse), \
                mock.patch("socket.socket.connect", refuse, create=True):
            yield
        self.assertEqual([], self.asked)

    def refused(self, *args, **kwargs):
        with self.nothingOpened(), \
                self.assertRaises(request.ConnectionError) as caught:
            self.send(self.client(*args, **kwargs))
        error = caught.exception
        self.assertIsInstance(error, requests.ConnectionError)
        self.assertIn("IOBEAM_BACKEND", str(error))
        self.assertEqual(0, error.inDoubt)
        return error

    def test_where_nobody_has_set_a_backend(self):
        client = iobeam.ClientBuilder(1, self.token).setDeviceId("dev").build()
        self.addCleanup(client.close)
        with self.nothingOpened(), mock.patch("time.sleep") as slept, \
                self.assertRaises(request.ConnectionError):
            self.send(client)  # with the 4 repeats of the default
        self.assertEqual(0, slept.call_count)
        self.assertEqual(1, client.stats()["requests"])

    def test_nor_by_whatever_name(self):
        for url in (OLD, "http://api.iobeam.com/v1/",
                    "https://API-dev.iobeam.com:8443/v1/",
                    "https://api.iobeam.com./v1/", "https://iobeam.com/v1/"):
            self.refused(url)

    def test_nor_through_a_proxy(self):
        for url in (OLD, "http://api.iobeam.com/v1/"):
            os.environ.update(http_proxy="http://127.0.0.1:9",
                              https_proxy="http://127.0.0.1:9")
            self.refused(url)

    def test_nor_through_a_session_of_the_programs(self):
        class Watching(requests.Session):
            def send(self, sent, **kwargs):
                return requests.Session.send(self, sent, **kwargs)

        for kind in (requests.Session, Watching):
            for url in (OLD, "http://api.iobeam.com/v1/"):
                self.refused(url, kind())

    def test_nor_past_a_double_that_passes_it_on(self):
        own = requests.Session.send
        with mock.patch("requests.Session.send", autospec=True,
                        side_effect=own):
            self.refused()

    def test_an_address_that_only_looks_like_it_is_tried(self):
        with self.assertRaises(request.ConnectionError) as caught:
            self.send(self.client("http://api.iobeam.com.invalid/v1/"))
        self.assertNotIn("IOBEAM_BACKEND", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
