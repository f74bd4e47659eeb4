# -*- coding: utf-8 -*-
from __future__ import absolute_import

import os

from iobeam import iobeam
from iobeam.http import request
from tests import support
from tests.support import (FakeRequester, FakeResponse, makeToken, mock,
                           refusal, validToken)

TOKEN = validToken(1)


def registered(deviceId="generated"):
    return FakeResponse(201, {"device_id": deviceId, "device_name": "n"})


class BuilderTest(support.TestCase):
    def setUp(self):
        patched = mock.patch.dict("os.environ")
        patched.start()
        self.addCleanup(patched.stop)
        os.environ.pop("IOBEAM_BACKEND", None)

    def builder(self, *script, **options):
        self.requester = FakeRequester(*script, **options)
        return iobeam.ClientBuilder(1, TOKEN).setBackend(self.requester)


class ArgumentsTest(BuilderTest):
    def test_bad_project_ids_are_refused(self):
        for value in (None, "1", 1.5, True):
            self.assertSays("projectId must be an int", iobeam.ClientBuilder,
                            value, TOKEN)
        for value in (0, -1):
            self.assertSays("projectId must be greater than 0",
                            iobeam.ClientBuilder, value, TOKEN)

    def test_bad_tokens_are_refused(self):
        for value in (None, 5, []):
            self.assertSays("token must be a string", iobeam.ClientBuilder, 1,
                            value)
        self.assertSays("token must be more than 0 characters",
                        iobeam.ClientBuilder, 1, "")

    def test_bad_device_ids_are_refused_at_once(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        for call in (builder.setDeviceId, builder.registerDevice,
                     builder.registerOrSetId):
            self.assertSays("deviceId must be a string", call, 5)
            self.assertSays("deviceId must be more than 0 characters", call,
                            "")
            self.assertSays("deviceId can only include a-z, A-Z, 0-9, _, :, "
                            "and -", call, "a b")

    def test_an_id_is_needed_where_nothing_can_be_generated(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        for call in (builder.setDeviceId, builder.registerOrSetId):
            self.assertSays("deviceId must be a string", call, None)

    def test_every_setter_gives_the_builder_back(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        folder = self.folder()
        for found in (
                builder.saveToDisk(), builder.saveToDisk(folder),
                builder.setDeviceId("d"), builder.registerDevice(),
                builder.registerOrSetId("d"), builder.setBackend("test.com"),
                builder.setTimeout(), builder.setTimeout(1, 2.5),
                builder.setTimeout(connect=1, read=2),
                builder.setGiveUpAfter(5), builder.setRetries(0),
                builder.compress(), builder.compress(False),
                builder.setBatchSize(5), builder.setSession(None),
                builder.useServerTime(), builder.bufferToDisk(folder),
                builder.bufferToDisk(folder, maxBytes=10 ** 6,
                                     autoFlush=100)):
            self.assertIs(builder, found)

    def test_settings_out_of_range_are_refused(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        for value in (0, -1, "5", None, True, float("nan"), float("inf")):
            self.assertRaises(ValueError, builder.setTimeout, value)
            self.assertRaises(ValueError, builder.setTimeout, 1, value)
            self.assertRaises(ValueError, builder.setGiveUpAfter, value)
            self.assertRaises(ValueError, builder.setBatchSize, value)
        for value in (-1, "5", None, True, 1.5):
            self.assertRaises(ValueError, builder.setRetries, value)
        self.assertRaises(ValueError, builder.setBatchSize, 1.5)

    def test_a_buffer_needs_a_folder_and_limits_above_zero(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        folder = self.folder()
        self.assertRaises(ValueError, builder.bufferToDisk,
                          os.path.join(folder, "none"))
        for value in (0, -1, 1.5, "5", True, None):
            self.assertRaises(ValueError, builder.bufferToDisk, folder, value)
            self.assertRaises(ValueError, builder.bufferToDisk, folder,
                              autoFlush=value)

    def test_its_repr_holds_no_token(self):
        self.assertNotIn(TOKEN, repr(iobeam.ClientBuilder(1, TOKEN)))


class EnvironmentTest(BuilderTest):
    NAMES = {"IOBEAM_PROJECT_ID": "7", "IOBEAM_TOKEN": validToken(7),
             "IOBEAM_BACKEND": "http://127.0.0.1:1/v1/"}

    def test_all_three_make_a_builder(self):
        os.environ.update(self.NAMES)
        client = iobeam.ClientBuilder.fromEnvironment().build()
        self.assertEqual((7, validToken(7)), (client.projectId,
                                              client.projectToken))
        self.assertEqual("http://127.0.0.1:1/v1/x",
                         client._requester.makeEndpoint("x"))

    def test_a_missing_one_is_named(self):
        for name in self.NAMES:
            os.environ.update(self.NAMES)
            for value in (None, "", "  "):
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
                with self.assertRaisesRegex(ValueError, name):
                    iobeam.ClientBuilder.fromEnvironment()

    def test_a_project_that_is_no_number_is_named(self):
        os.environ.update(self.NAMES, IOBEAM_PROJECT_ID="seven")
        with self.assertRaisesRegex(ValueError, "IOBEAM_PROJECT_ID.*seven"):
            iobeam.ClientBuilder.fromEnvironment()


class BackendTest(BuilderTest):
    def test_nothing_is_checked_before_build(self):
        builder = iobeam.ClientBuilder(1, TOKEN).setBackend("test.com")
        with self.assertRaisesRegex(ValueError, "test.com"):
            builder.build()

    def test_a_bad_url_is_refused_before_any_request(self):
        for url in ("ftp://host/v1/", "", "http://", "host:1/v1/"):
            self.assertRaises(ValueError, iobeam.ClientBuilder(1, TOKEN)
                              .setBackend(url).registerDevice().build)

    def test_a_url_makes_a_requester_of_the_clients_own(self):
        builder = iobeam.ClientBuilder(1, TOKEN).setBackend(
            "http://127.0.0.1:1/v1")
        one, other = builder.build(), builder.build()
        self.assertIsNot(one._requester, other._requester)
        self.assertIsNot(one._requester, request.getRequester(
            "http://127.0.0.1:1/v1/"))

    def test_the_environment_is_read_at_build(self):
        builder = iobeam.ClientBuilder(1, TOKEN)
        os.environ["IOBEAM_BACKEND"] = "http://127.0.0.1:1/v1/"
        self.assertEqual("http://127.0.0.1:1/v1/x",
                         builder.build()._requester.makeEndpoint("x"))

    def test_the_environment_revives_scripts_for_the_dead_service(self):
        os.environ["IOBEAM_BACKEND"] = "http://127.0.0.1:1/v1/"
        client = iobeam.ClientBuilder(1, TOKEN).setBackend(
            "https://api-dev.iobeam.com/v1/").build()
        self.assertEqual("http://127.0.0.1:1/v1/x",
                         client._requester.makeEndpoint("x"))

    def test_a_foreign_requester_is_not_touched(self):
        class Mine(FakeRequester):
            __slots__ = ()

            def __setattr__(self, name, value):
                if hasattr(self, "requests"):
                    raise AssertionError("{} was set".format(name))
                FakeRequester.__setattr__(self, name, value)

        mine = Mine(registered())
        iobeam.ClientBuilder(1, TOKEN).setBackend(mine).registerDevice() \
            .build().close()


class TokenTest(BuilderTest):
    def build(self, token, *script):
        self.requester = FakeRequester(*script)
        return iobeam.ClientBuilder(1, token).setBackend(
            self.requester).build()

    def test_a_valid_one_makes_no_request(self):
        self.assertEqual(TOKEN, self.build(TOKEN).projectToken)
        self.assertEqual([], self.requester.requests)

    def test_garbage_is_a_value_error(self):
        for token in ("dummy", "a.b.c"):
            self.assertSays("invalid jwt token", self.build, token)

    def test_a_token_of_another_project_is_a_value_error(self):
        with self.assertRaisesRegex(ValueError, "project 2, not 1"):
            self.build(validToken(2))
        self.assertEqual([], self.requester.requests)

    def test_white_space_is_stripped(self):
        client = self.build(" {}\n".format(TOKEN))
        self.assertEqual(TOKEN, client.projectToken)

    def test_every_shape_of_old_is_taken(self):
        for padded in (False, True):
            for standard in (False, True):
                for kid in (10, "ten", None):
                    token = makeToken(
                        {"uid": 0, "pid": 1, "exp": support.FAR, "pms": 3},
                        {"typ": "JWT", "alg": "HS256", "kid": kid},
                        padded=padded, standard=standard)
                    self.assertEqual(token, self.build(token).projectToken)

    def test_an_expired_one_is_refreshed_once(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        for status in (200, 201):
            client = self.build(old, FakeResponse(status, {"token": TOKEN}))
            self.assertEqual(TOKEN, client.projectToken)
            sent, = self.requester.requests
            self.assertEqual({"refresh_token": old}, sent.body)

    def test_a_refreshed_one_reaches_every_service(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        self.requester = FakeRequester(FakeResponse(200, {"token": TOKEN}),
                                       registered(), FakeResponse(200))
        client = iobeam.ClientBuilder(1, old).setBackend(
            self.requester).registerDevice().build()
        client.createDataStore(["a"]).add(1, {"a": 1})
        client.send()
        self.assertEqual(["tokens/project", "devices", "imports"],
                         [sent.path for sent in self.requester.requests])
        self.assertEqual(["Bearer " + TOKEN] * 2, [
            sent.headers["Authorization"]
            for sent in self.requester.requests[1:]])

    def test_a_broken_answer_leaves_the_old_one(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        for answer in (FakeResponse(200, {}), FakeResponse(200, {"token": ""}),
                       FakeResponse(200, {"token": "garbage"}),
                       FakeResponse(200, {"token": 5}), FakeResponse(200),
                       FakeResponse(200, ValueError("HTML")),
                       FakeResponse(200, {"token": validToken(2)}),
                       FakeResponse(200, {"token": old}),
                       refusal(401, 1), refusal(403, 1), FakeResponse(404),
                       FakeResponse(500)):
            with self.warnings(count=1) as messages:
                client = self.build(old, answer)
                client._checkToken()
            self.assertEqual(old, client.projectToken)
            self.assertEqual(1, len(self.requester.requests))
            self.assertNotIn(old, messages[0])

    def test_no_answer_raises(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        for kind in (request.ConnectionError, request.TimeoutError):
            self.assertRaises(kind, self.build, old, kind("gone"))


class RegisterTest(BuilderTest):
    def test_without_registration_there_is_no_device(self):
        client = self.builder().build()
        self.assertIs(False, client.isRegistered())
        self.assertIsNone(client.getDeviceId())
        self.assertEqual([], self.requester.requests)

    def test_an_id_of_the_backend_is_used(self):
        client = self.builder(registered()).registerDevice().build()
        self.assertEqual("generated", client.getDeviceId())
        self.assertIs(True, client.isRegistered())

    def test_names_and_ids_travel(self):
        self.builder(registered("d")).registerDevice("d", "n").build()
        self.assertEqual({"project_id": 1, "device_id": "d",
                          "device_name": "n"}, self.requester.requests[0].body)
        self.builder(registered("d")).registerOrSetId("d", "n").build()
        self.assertEqual({"project_id": 1, "device_id": "d",
                          "device_name": "n"}, self.requester.requests[0].body)

    def test_the_very_id_that_was_set_comes_back(self):
        deviceId = "".join(["a", "bc"])
        client = self.builder().setDeviceId(deviceId).build()
        self.assertIs(deviceId, client.getDeviceId())
        self.assertEqual([], self.requester.requests)

    def test_a_taken_id_is_an_error_or_is_used(self):
        with self.assertRaises(request.DuplicateIdError) as caught:
            self.builder(refusal(422, 150)).registerDevice("d").build()
        self.assertEqual("Device ID already registered.",
                         str(caught.exception))
        client = self.builder(refusal(422, 150)).registerOrSetId("d").build()
        self.assertEqual("d", client.getDeviceId())

    def test_a_taken_name_is_an_error(self):
        for register in ("registerDevice", "registerOrSetId"):
            with self.assertRaises(request.DuplicateNameError):
                getattr(self.builder(refusal(422, 151)), register)(
                    "d", "n").build()

    def test_a_set_id_goes_before_registering_without_one(self):
        client = self.builder().setDeviceId("d").registerDevice().build()
        self.assertEqual("d", client.getDeviceId())
        self.assertEqual([], self.requester.requests)


class DiskTest(BuilderTest):
    def setUp(self):
        BuilderTest.setUp(self)
        self.path = self.folder()
        self.file = os.path.join(self.path, "iobeam_device_id")

    def written(self):
        with open(self.file, "rb") as opened:
            return opened.read()

    def write(self, raw):
        with open(self.file, "wb") as opened:
            opened.write(raw)

    def test_the_bare_id_is_written(self):
        self.builder(registered()).saveToDisk(self.path).registerDevice() \
            .build()
        self.assertEqual(b"generated", self.written())
        self.builder().saveToDisk(self.path).setDeviceId("d").build()
        self.assertEqual(b"d", self.written())

    def test_an_id_on_disk_is_used_without_a_request(self):
        for raw in (b"own", b"own\n", b" own \r\n", b"\xef\xbb\xbfown\n"):
            self.write(raw)
            for args in ((), ("own",)):
                client = self.builder().saveToDisk(self.path) \
                    .registerDevice(*args).build()
                self.assertEqual("own", client.getDeviceId())
                self.assertEqual([], self.requester.requests)

    def test_an_explicit_id_goes_first(self):
        self.write(b"own")
        client = self.builder().saveToDisk(self.path).setDeviceId("d").build()
        self.assertEqual("d", client.getDeviceId())
        self.assertEqual(b"d", self.written())

    def test_another_id_is_registered_and_replaces_it(self):
        self.write(b"own")
        client = self.builder(registered("d")).saveToDisk(self.path) \
            .registerDevice("d").build()
        self.assertEqual("d", client.getDeviceId())
        self.assertEqual(b"d", self.written())

    def test_an_invalid_id_counts_as_absent_with_a_warning(self):
        for raw in (b"", b"\n", b"a b", b"\xff\xfe", b"a\nb", b"all",
                    b"a" * 257, u"é".encode("utf-8")):
            self.write(raw)
            with self.warnings(count=1):
                client = self.builder(registered()).saveToDisk(self.path) \
                    .registerDevice().build()
            self.assertEqual("generated", client.getDeviceId())

    def test_a_file_that_cannot_be_read_is_an_error(self):
        os.mkdir(self.file)
        with self.assertRaises(request.Error):
            self.builder().saveToDisk(self.path).registerDevice().build()
        self.assertEqual([], self.requester.requests)

    def test_a_missing_folder_is_an_error_before_registering(self):
        with self.assertRaisesRegex(request.Error, "does not exist"):
            self.builder(registered()).saveToDisk(
                os.path.join(self.path, "none")).registerDevice().build()
        self.assertEqual([], self.requester.requests)

    def test_the_path_is_made_absolute_at_the_call(self):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.path)
        builder = self.builder(registered()).saveToDisk().registerDevice()
        os.chdir(before)
        builder.build()
        self.assertEqual(b"generated", self.written())

    def test_an_id_of_another_project_is_not_used(self):
        self.builder(registered("own")).saveToDisk(self.path) \
            .registerDevice().build()
        self.requester = FakeRequester(registered("d"))
        with self.warnings(count=1) as messages:
            client = iobeam.ClientBuilder(2, validToken(2)).setBackend(
                self.requester).saveToDisk(self.path).registerDevice().build()
        self.assertEqual("d", client.getDeviceId())
        self.assertIn("project 1", messages[0])

    def test_a_refreshed_token_is_used_at_the_next_start(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        for script, requests in (([FakeResponse(200, {"token": TOKEN})], 1),
                                 ([], 0)):
            requester = FakeRequester(*script)
            client = iobeam.ClientBuilder(1, old).setBackend(requester) \
                .saveToDisk(self.path).build()
            self.assertEqual(TOKEN, client.projectToken)
            self.assertEqual(requests, len(requester.requests))
        mode = os.stat(os.path.join(self.path, "iobeam_state.json")).st_mode
        if os.name == "posix":
            self.assertEqual(0o600, mode & 0o777)

    def test_a_refreshed_token_of_another_one_is_not_used(self):
        old = makeToken({"pid": 1, "exp": 1449234660})
        iobeam.ClientBuilder(1, old).setBackend(FakeRequester(
            FakeResponse(200, {"token": TOKEN}))).saveToDisk(self.path).build()
        other = validToken(1, uid=9)
        client = iobeam.ClientBuilder(1, other).setBackend(
            FakeRequester()).saveToDisk(self.path).build()
        self.assertEqual(other, client.projectToken)


class ServerTimeTest(BuilderTest):
    def test_the_clock_is_learnt_at_build(self):
        with mock.patch("iobeam.utils.utils.time.time",
                        return_value=1000.0), \
                mock.patch("iobeam.clock.elapsed", return_value=50.0):
            client = self.builder(
                FakeResponse(200, {"server_timestamp": 5000000}),
                FakeResponse(200)).setDeviceId("d").useServerTime().build()
            store = client.createDataStore(["a"])
            store.add(None, {"a": 1})
            store.add(7, {"a": 1})
        self.assertEqual([5000000000, 7000],
                         [row["time"] for row in store.rows()])

    def test_a_clock_that_does_not_answer_fails_no_build(self):
        with mock.patch("iobeam.utils.utils.time.time", return_value=1000.0):
            for answer in (FakeResponse(500), request.TimeoutError("t"),
                           FakeResponse(200, ValueError("HTML"))):
                client = self.builder(answer).setDeviceId("d") \
                    .useServerTime().build()
                store = client.createDataStore(["a"])
                with self.warnings(count=1):
                    store.add(None, {"a": 1})
                    store.add(None, {"a": 1})
                self.assertEqual([1000000000] * 2,
                                 [row["time"] for row in store.rows()])
                store.clear()
