# -*- coding: utf-8 -*-
from __future__ import absolute_import

import errno
import hashlib
import io
import json
import os
import stat
import unittest

from iobeam import identity, iobeam
from iobeam.errors import Error
from tests import support
from tests.support import (FakeRequester, FakeResponse, makeToken, mock,
                           refusal, validToken)

URL = "http://127.0.0.1:1/v1/"
OLD = makeToken({"pid": 1, "exp": 1449234660})


class IdentityTest(support.TestCase):
    def setUp(self):
        self.path = self.folder()

    def make(self, projectId=1, baseUrl=URL, token="token"):
        return identity.Identity(self.path, projectId, baseUrl, token)

    def file(self, name):
        return os.path.join(self.path, name)

    def read(self, name):
        with io.open(self.file(name), "rb") as opened:
            return opened.read()

    def write(self, name, raw):
        with io.open(self.file(name), "wb") as opened:
            opened.write(raw)

    def state(self):
        return json.loads(self.read("iobeam_state.json").decode("utf-8"))

    def failing(self, name="replaceFile", owner=identity.compat):
        """Let the disk take nothing."""
        return mock.patch.object(
            owner, name,
            side_effect=OSError(errno.ENOSPC, "No space left on device"))


class DeviceIdTest(IdentityTest):
    def test_none_is_none(self):
        with self.warnings(count=0):
            self.assertIsNone(self.make().readDeviceId())

    def test_what_is_saved_is_read(self):
        for deviceId in ("d", "A_b:c-9", "a" * 256, u"unicode"):
            self.make().saveDeviceId(deviceId)
            self.assertEqual(deviceId, self.make().readDeviceId())

    def test_the_file_holds_the_bare_id(self):
        self.make().saveDeviceId("greenhouse-1")
        self.assertEqual(b"greenhouse-1", self.read("iobeam_device_id"))

    def test_white_space_and_a_bom_are_stripped(self):
        for raw in (b"own\n", b"own\r\n", b" \t\nown\n\n", b"\xef\xbb\xbfown",
                    b"\xef\xbb\xbf own\r\n"):
            self.write("iobeam_device_id", raw)
            found = self.make().readDeviceId()
            self.assertEqual("own", found)
            self.assertIs(str, type(found))

    def test_what_is_no_id_counts_as_absent_with_a_warning(self):
        for raw in (b"", b" \n", b"\xef\xbb\xbf", b"a b", b"a\nb", b"a\x00b",
                    b"a" * 257, b"all", b"timestamp", b"\xff\xfeo\x00w\x00",
                    u"é".encode("utf-8"), u"é".encode("latin-1"),
                    b'{"device_id": "own"}', b"x" * 100000):
            self.write("iobeam_device_id", raw)
            with self.warnings(count=1) as messages:
                self.assertIsNone(self.make().readDeviceId())
            self.assertIn(self.file("iobeam_device_id"), messages[0])
            self.assertLess(len(messages[0]), 400)

    def test_one_that_cannot_be_read_is_an_error(self):
        self.make().saveDeviceId("own")
        for code in (errno.EACCES, errno.EIO, errno.EMFILE):
            with mock.patch.object(identity.io, "open",
                                   side_effect=IOError(code, "no")):
                self.assertRaises(Error, self.make().readDeviceId)

    def test_a_folder_that_cannot_be_searched_is_an_error(self):
        # it looked empty, and the device was registered anew
        with mock.patch.object(identity.io, "open",
                               side_effect=IOError(errno.EACCES, "no")):
            self.assertRaises(Error, self.make().readDeviceId)

    def test_a_folder_in_its_place_is_an_error(self):
        os.mkdir(self.file("iobeam_device_id"))
        self.assertRaises(Error, self.make().readDeviceId)

    @unittest.skipUnless(hasattr(os, "symlink") and os.name == "posix",
                         "needs symbolic links")
    def test_a_link_to_nowhere_is_an_error(self):
        os.symlink(self.file("nowhere"), self.file("iobeam_device_id"))
        self.assertRaises(Error, self.make().readDeviceId)


class ProjectTest(IdentityTest):
    def test_an_id_of_another_project_is_not_used(self):
        self.make().saveDeviceId("own")
        with self.warnings(count=1) as messages:
            self.assertIsNone(self.make(2).readDeviceId())
        self.assertIn("project 1", messages[0])
        self.assertEqual("own", self.make().readDeviceId())

    def test_a_bare_file_is_trusted(self):
        self.write("iobeam_device_id", b"own")
        self.assertEqual("own", self.make().readDeviceId())
        # the state speaks of another id: this one is newer, by another client
        self.make(2).saveDeviceId("other")
        self.write("iobeam_device_id", b"own")
        self.assertEqual("own", self.make().readDeviceId())

    def test_it_stays_the_other_projects_after_a_refresh_of_ours(self):
        # the state forgot whose it is, and the next start took it
        self.make().saveDeviceId("own")
        self.make(2).saveToken("new", 5)
        with self.warnings(count=1):
            self.assertIsNone(self.make(2).readDeviceId())
        self.make(3).saveToken("new", 5)
        self.assertEqual("own", self.make().readDeviceId())

    def test_a_state_of_the_first_version_is_read(self):
        self.write("iobeam_device_id", b"own")
        self.write("iobeam_state.json",
                   b'{"project_id": 1, "device_id": "own"}')
        self.assertEqual("own", self.make().readDeviceId())
        with self.warnings(count=1):
            self.assertIsNone(self.make(2).readDeviceId())

    def test_the_same_project_on_another_backend_keeps_its_id(self):
        self.make().saveDeviceId("own")
        other = self.make(baseUrl="https://example.org/v1/")
        self.assertEqual("own", other.readDeviceId())
        other.saveToken("new", 5)
        self.assertEqual("own", self.make().readDeviceId())


class SavingTest(IdentityTest):
    def test_a_full_disk_is_a_warning_and_tried_again(self):
        found = self.make()
        with self.failing(), self.warnings(count=1) as messages:
            found.saveDeviceId("own")
            found.saveUnsaved()  # no warning at each call
        self.assertIn("own", messages[0])
        self.assertEqual([], os.listdir(self.path))
        with self.warnings(count=0):
            found.saveUnsaved()
        self.assertEqual(b"own", self.read("iobeam_device_id"))
        with self.failing(), self.warnings(count=0):
            found.saveUnsaved()  # nothing is left to save

    def written(self, deviceIds, found=None):
        """The files that saving these writes, in their order."""
        found = found or self.make()
        names = []
        replace = identity.compat.replaceFile

        def look(source, target):
            names.append(os.path.basename(target))
            replace(source, target)

        with mock.patch.object(identity.compat, "replaceFile", look):
            for deviceId in deviceIds:
                found.saveDeviceId(deviceId)
        return names

    def test_an_id_that_is_on_disk_is_not_written_again(self):
        both = ["iobeam_device_id", "iobeam_state.json"]
        self.assertEqual(both, self.written(["own"] * 100))
        self.assertEqual([], self.written(["own"] * 100))  # the next start
        # a relay that goes from one to another: each change is on disk
        self.assertEqual(both * 3, self.written(["a", "a", "b", "b", "a"]))
        self.assertEqual("a", self.make().readDeviceId())

    def test_files_that_somebody_touched_are_mended(self):
        found = self.make()
        found.saveDeviceId("own")
        for spoil, expected in (
                (lambda: os.remove(self.file("iobeam_device_id")),
                 ["iobeam_device_id"]),
                (lambda: self.write("iobeam_device_id", b"own\n"),
                 ["iobeam_device_id"]),
                (lambda: self.write("iobeam_device_id", b"other"),
                 ["iobeam_device_id"]),
                (lambda: os.remove(self.file("iobeam_state.json")),
                 ["iobeam_state.json"]),
                (lambda: self.write("iobeam_state.json", b"{"),
                 ["iobeam_state.json"])):
            spoil()
            self.assertEqual(expected, self.written(["own"], found))
            self.assertEqual(b"own", self.read("iobeam_device_id"))
            self.assertEqual("own", self.state()["device_id"])

    def test_an_id_that_another_project_had_becomes_ours(self):
        self.make(2).saveDeviceId("own")
        self.assertEqual(["iobeam_state.json"], self.written(["own"]))
        self.assertEqual("own", self.make().readDeviceId())

    def test_a_client_that_sets_its_own_id_again_writes_nothing(self):
        builder = iobeam.ClientBuilder(1, validToken(1)).saveToDisk(
            self.path).setBackend(FakeRequester()).setDeviceId("own")
        client = builder.build()
        client.setDeviceId("own")
        with self.failing(), self.failing("mkstemp", identity.tempfile), \
                self.warnings(count=0):
            for _ in range(100):
                client.setDeviceId("own")
                client.registerDevice("own")
                client.registerDevice()

    def test_a_later_trouble_is_told_again(self):
        found = self.make()
        for deviceId in ("one", "two"):
            with self.failing(), self.warnings(count=1):
                found.saveDeviceId(deviceId)
            found.saveUnsaved()

    def test_a_failed_write_leaves_the_old_id(self):
        found = self.make()
        found.saveDeviceId("old")
        for owner, name in ((identity.compat, "replaceFile"),
                            (identity.os, "fsync"), (identity.os, "chmod"),
                            (identity.tempfile, "mkstemp")):
            with self.failing(name, owner), self.warnings(count=1):
                found.saveDeviceId("new")
            self.assertEqual(b"old", self.read("iobeam_device_id"))
            self.assertEqual(["iobeam_device_id", "iobeam_state.json"],
                             sorted(os.listdir(self.path)))
            found.saveDeviceId("old")

    def test_a_token_that_cannot_be_saved_is_a_warning(self):
        with self.failing(), self.warnings(count=1) as messages:
            self.make().saveToken("secret-token", 5)
        self.assertNotIn("secret", messages[0])

    @unittest.skipUnless(os.name == "posix", "modes of POSIX")
    def test_the_state_is_for_its_owner_only(self):
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.make().saveDeviceId("own")
        self.make().saveToken("new", 5)
        mode = os.stat(self.file("iobeam_state.json")).st_mode
        self.assertEqual(0o600, stat.S_IMODE(mode))

    @unittest.skipUnless(os.name == "posix", "modes of POSIX")
    def test_it_was_never_open_to_others_while_it_was_written(self):
        modes = []
        replace = identity.compat.replaceFile

        def look(source, target):
            modes.append(stat.S_IMODE(os.stat(source).st_mode))
            replace(source, target)

        with mock.patch.object(identity.compat, "replaceFile", look):
            self.make().saveToken("new", 5)
        self.assertEqual([0o600], modes)

    def test_a_file_is_on_disk_before_it_has_its_name(self):
        order = []
        for owner, name in ((os, "fsync"), (identity.compat, "replaceFile"),
                            (identity.compat, "fsyncFolder")):
            patched = mock.patch.object(
                owner, name, self.noting(order, name, getattr(owner, name)))
            patched.start()
            self.addCleanup(patched.stop)
        self.make().saveToken("new", 5)
        self.assertEqual(["fsync", "replaceFile", "fsyncFolder", "fsync"],
                         order)

    @staticmethod
    def noting(order, name, real):
        def noted(*args):
            order.append(name)
            return real(*args)
        return noted

    def test_the_folder_is_checked(self):
        self.make().checkFolder()
        self.assertEqual([], os.listdir(self.path))
        for path in (self.file("none"), __file__):
            with self.assertRaisesRegex(Error, "does not exist; create it"):
                identity.Identity(path, 1, URL, "token").checkFolder()
        with mock.patch.object(identity.tempfile, "mkstemp",
                               side_effect=OSError(errno.EROFS, "read-only")):
            with self.assertRaisesRegex(Error, "cannot be written"):
                self.make().checkFolder()


class TokenTest(IdentityTest):
    def test_what_is_saved_is_read(self):
        self.make().saveToken("new", 5.5)
        self.assertEqual(("new", 5.5), self.make().readToken())

    def test_it_is_written_with_what_it_belongs_to(self):
        self.make().saveDeviceId("own")
        self.make(token=u" token\n").saveToken("new", 5)
        self.assertEqual({
            "project_id": 1, "base_url": URL, "device_id": "own",
            "device_project_id": 1, "token": "new", "token_received": 5,
            "token_sha256": hashlib.sha256(b"token").hexdigest()},
            self.state())

    def test_project_backend_and_hash_must_match(self):
        self.make().saveToken("new", 5)
        for other in (self.make(projectId=2),
                      self.make(baseUrl="http://127.0.0.1:2/v1/"),
                      self.make(token="token2")):
            self.assertIsNone(other.readToken())
        self.assertIsNotNone(self.make(token=u"token ").readToken())

    def test_a_state_that_is_broken_is_none(self):
        for raw in (b"", b"{", b"[]", b"null", b"5", b'"text"', b"\xff",
                    b"\x00" * 512, b"[" * 100000, b"{}"):
            self.write("iobeam_state.json", raw)
            found = self.make()
            self.assertIsNone(found.readToken())
            self.assertIsNone(found.readDeviceId())
            found.saveToken("new", 5)
            self.assertEqual(("new", 5), self.make().readToken())

    def test_odd_values_in_it_are_none(self):
        for name, value in (("token", 5), ("token", None), ("token", [""]),
                            ("token_received", "soon"),
                            ("token_received", None),
                            ("token_received", True)):
            self.make().saveToken("new", 5)
            state = dict(self.state(), **{name: value})
            self.write("iobeam_state.json",
                       json.dumps(state).encode("utf-8"))
            self.assertIsNone(self.make().readToken(), (name, value))

    def test_a_state_that_cannot_be_read_is_none(self):
        os.mkdir(self.file("iobeam_state.json"))
        self.assertIsNone(self.make().readToken())


class ClientTest(IdentityTest):
    """The same through the client."""

    def builder(self, *script, **options):
        self.requester = FakeRequester(*script, base=URL)
        return iobeam.ClientBuilder(1, options.get("token", validToken(1))) \
            .setBackend(self.requester).saveToDisk(self.path)

    def test_paths_are_made_absolute_at_the_call(self):
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.path)
        builder = self.builder(FakeResponse(201, {"device_id": "own"}))
        for path in (".", u".", ""):
            if path:
                builder.saveToDisk(path)
            else:
                self.assertRaises(ValueError, builder.saveToDisk, path)
        os.chdir(before)
        builder.registerDevice().build()
        self.assertEqual(b"own", self.read("iobeam_device_id"))

    def test_a_path_that_is_none_is_a_value_error(self):
        # TypeError
        for path in (None, 5, ["."], b"." if str is not bytes else True):
            for set_ in (self.builder().saveToDisk,
                         self.builder().bufferToDisk):
                with self.assertRaisesRegex(ValueError, "must be a string"):
                    set_(path)

    def test_a_path_object_is_a_path(self):
        class Path(object):
            def __fspath__(_):
                return self.path

        self.builder().saveToDisk(Path()).setDeviceId("own").build()
        self.assertEqual(b"own", self.read("iobeam_device_id"))

    def test_the_folder_is_checked_before_registering(self):
        with mock.patch.object(identity.tempfile, "mkstemp",
                               side_effect=OSError(errno.EROFS, "read-only")):
            self.assertRaises(Error, self.builder().registerDevice().build)
        self.assertEqual([], self.requester.requests)

    def test_a_save_that_fails_after_it_is_retried_at_the_next_call(self):
        for name in ("send", "flush", "close", "registerDevice"):
            builder = self.builder(FakeResponse(201, {"device_id": name}))
            if name == "flush":
                builder.bufferToDisk(self.path)
            with self.failing(), self.warnings(count=1):
                client = builder.registerDevice(name).build()
            self.assertEqual(name, client.getDeviceId())
            getattr(client, name)()
            self.assertEqual(name.encode("ascii"),
                             self.read("iobeam_device_id"))
            client.close()

    def test_a_refused_registration_saves_nothing(self):
        for answer in (refusal(422, 150), refusal(403, 1), FakeResponse(500),
                       FakeResponse(201, {}), FakeResponse(201)):
            self.assertRaises(Error, self.builder(answer)
                              .registerDevice("own").build)
            self.assertEqual([], os.listdir(self.path))

    def test_a_refreshed_token_is_used_at_the_next_start(self):
        new = validToken(1)
        for script in ([FakeResponse(200, {"token": new})], []):
            client = self.builder(*script, token=OLD).build()
            self.assertEqual(new, client.projectToken)
            self.assertEqual(len(script), len(self.requester.requests))

    def test_a_new_one_in_the_script_goes_before_it(self):
        self.builder(FakeResponse(200, {"token": validToken(1, n=1)}),
                     token=OLD).build()
        pasted = validToken(1, n=2)
        self.assertEqual(pasted, self.builder(token=pasted).build()
                         .projectToken)
