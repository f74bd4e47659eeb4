# -*- coding: utf-8 -*-
from __future__ import absolute_import

import errno
import os

from iobeam import iobeam, testing
from tests import loopback
from tests.command import running
from tests.support import mock


class DoctorTest(running.CliTest):
    def failed(self, *args):
        code, found = self.json("doctor", *args)
        failed = [check for check in found["checks"] if not check["ok"]]
        self.assertEqual(1 if failed else 0, code)
        return [check["name"] for check in failed], failed

    def test_all_is_well(self):
        self.assertEqual([], self.failed()[0])
        code, printed = self.run_("doctor")
        self.assertEqual(0, code)
        for name in ("backend", "name", "answer", "token", "device", "buffer"):
            self.assertIn("ok   {}: ".format(name), printed)

    def test_a_password_in_the_address_is_not_printed(self):
        os.environ["IOBEAM_BACKEND"] = self.server.url.replace(
            "//", "//me:pass-secret@")
        for options in ((), ("--json",)):
            printed = self.run_("doctor", *options)[1]
            self.assertIn(self.server.url.rstrip("/"), printed)
            self.assertNotIn("secret", printed + self.err.getvalue())

    def test_a_token_of_the_last_minutes_is_well(self):
        with mock.patch.dict("os.environ",
                             IOBEAM_TOKEN=loopback.makeToken(1, 600)):
            self.assertEqual([], self.failed()[0])

    def test_each_trouble_comes_with_advice(self):
        expired = loopback.makeToken(1, -5)
        for name, change, words in (
                ("answer", lambda: self.server.script((0, 401, {}, "")),
                 "new one"),
                ("answer", lambda: self.server.script((0, 404, {}, "")),
                 "/v1/"),
                ("answer", lambda: self.server.script("html"), "/v1/"),
                ("answer", lambda: setattr(self.server, "skew", 3600),
                 "useServerTime"),
                ("token", lambda: os.environ.update(IOBEAM_TOKEN=expired),
                 "--refresh"),
                ("token", lambda: os.environ.update(IOBEAM_PROJECT_ID="2"),
                 "IOBEAM_PROJECT_ID"),
                ("device", lambda: os.mkdir(os.path.join(
                    self.path, "iobeam_device_id")), ""),
                ("backend", lambda: os.environ.pop("IOBEAM_BACKEND"),
                 "iobeam-server serve")):
            with mock.patch.dict("os.environ"):
                change()
                names, failed = self.failed()
            self.assertEqual([name], names)
            self.assertIn(words, failed[0]["advice"] or "")
            self.server.skew = 0.0
            if name == "device":
                os.rmdir(os.path.join(self.path, "iobeam_device_id"))

    def device(self, deviceId="dev"):
        with open(os.path.join(self.path, "iobeam_device_id"), "w") as opened:
            opened.write(deviceId)

    def test_a_token_that_may_only_read(self):
        os.environ["IOBEAM_TOKEN"] = loopback.makeToken(1, pms=1)
        names, failed = self.failed()
        self.assertEqual(["permission"], names)
        self.assertIn("without write", failed[0]["detail"])
        os.environ["IOBEAM_TOKEN"] = loopback.makeToken(1, pms=2)
        self.assertEqual([], self.failed()[0])
        self.assertIn("not read", self.run_("doctor")[1])

    def test_the_token_of_another_device(self):
        os.environ["IOBEAM_TOKEN"] = loopback.makeToken(1, did="other")
        self.assertEqual([], self.failed()[0])  # which may register
        self.device()
        names, failed = self.failed()
        self.assertEqual(["device"], names)
        self.assertIn("other, not dev", failed[0]["detail"])
        self.assertEqual([], self.failed("--device", "other")[0])

    def test_a_device_that_is_not_registered(self):
        self.device()
        self.server.knowsDevices = True
        names, failed = self.failed()
        self.assertEqual(["rows"], names)
        self.assertIn("not registered", failed[0]["detail"])
        self.assertIn("registerOrSetId()", failed[0]["advice"])
        self.server.devices["dev"] = "dev"
        self.assertEqual([], self.failed()[0])
        self.assertEqual({}, self.server.stored)

    def test_what_the_backend_says_to_rows(self):
        self.device()
        self.server.unauthorized["dev"] = 403
        names, failed = self.failed()
        self.assertEqual(["rows"], names)
        self.assertIn("not yours", failed[0]["detail"])
        del self.server.unauthorized["dev"]
        for status in (503, 507):
            self.server.script((0, status, {}, {"errors": [
                {"code": 1, "message": "the disk is full"}]}), path="imports")
            names, failed = self.failed()
            self.assertEqual(["rows"], names)
            self.assertIn("the disk is full", failed[0]["detail"])

    def test_a_buffer_that_cannot_be_written(self):
        for call, number in (("tempfile.TemporaryFile", errno.EROFS),
                             ("tempfile.TemporaryFile", errno.ENOSPC)):
            with mock.patch("iobeam.command.doctor." + call, side_effect=OSError(
                    number, os.strerror(number))):
                names, failed = self.failed()
            self.assertEqual(["buffer"], names)
            self.assertIn(os.strerror(number), failed[0]["detail"])
            self.assertIn("permissions", failed[0]["advice"])
        os.mkdir(os.path.join(self.path, "iobeam_buffer.db"))
        self.assertEqual(["buffer"], self.failed()[0])

    def test_what_the_newest_point_tells(self):
        self.device()
        with testing.installed() as backend:
            backend.devices["dev"] = "dev"
            backend.knowsDevices = True
            point = testing.Row(1, "dev", 1700000000000001, {"a": 21.5})
            backend.rows += [testing.Row(1, "dev", 5, {"b": 1}), point,
                             testing.Row(1, "e", 1800000000000000, {"b": 1})]
            with mock.patch("iobeam.command.doctor._name", return_value=""):
                self.assertEqual([], self.failed()[0])
                self.assertEqual(point, backend.rows[-1])  # as it was
                full = 503, {"errors": [{"code": 1, "message": "disk full"}]}
                # clock, query, rows
                backend.fail(None, None, full)
                names, failed = self.failed()
                self.assertEqual(["rows"], names)
                self.assertIn("disk full", failed[0]["detail"])
                self.assertIn("space on its disk", failed[0]["advice"])

    def test_rows_that_wait_for_another_backend(self):
        self.device()
        client = iobeam.ClientBuilder(1, self.token).setBackend(
            "http://127.0.0.1:1/v1/").setDeviceId("dev").bufferToDisk(
                self.path).build()
        client.createDataStore(["a"]).add(5, {"a": 1})
        client.flush()
        client.close()
        names, failed = self.failed()
        self.assertEqual(["backlog"], names)
        self.assertIn("1 rows wait for http://127.0.0.1:1/v1/",
                      failed[0]["detail"])
        self.assertIn("buffer adopt", failed[0]["advice"])
        self.assertEqual(0, self.run_("buffer", "adopt", "--yes")[0])
        self.assertEqual([], self.failed()[0])

    def test_a_configuration_that_is_no_good(self):
        file = os.environ["IOBEAM_CONFIG"] = self.write(
            u"[iobeam]\ntoken = {}\n".format(self.token), "iobeam.ini")
        os.chmod(file, 0o600)
        self.assertEqual([], self.failed()[0])
        self.assertIn("token (but IOBEAM_TOKEN is set)",
                      self.run_("doctor")[1])
        if os.name != "nt":
            os.chmod(file, 0o640)
            names, failed = self.failed()
            self.assertEqual(["configuration"], names)
            self.assertIn("chmod 600 " + file, failed[0]["advice"])
        with open(file, "w") as opened:
            opened.write("no section")
        names, failed = self.failed()
        self.assertEqual(["configuration"], names)
        self.assertIn("iobeam configure", failed[0]["advice"])

    def test_the_wrong_one_of_http_and_https(self):
        names, failed = self.failed(
            "--backend", self.server.url.replace("http:", "https:"))
        self.assertEqual(["answer"], names)
        self.assertIn("speaks http, not https", failed[0]["detail"])
        self.assertIn("http://", failed[0]["advice"])
        with loopback.Loopback(ssl=loopback.tlsContext()) as server:
            names, failed = self.failed(
                "--backend", server.url.replace("https:", "http:"))
        self.assertEqual(["answer"], names)
        self.assertIn("speaks https, not http", failed[0]["detail"])
        self.assertIn("https://", failed[0]["advice"])

    def test_nobody_listens(self):
        url = "http://127.0.0.1:{}/v1/".format(loopback.freePort())
        names, failed = self.failed("--backend", url)
        self.assertEqual(["answer"], names)
        self.assertIn("does it run", failed[0]["advice"])

    def test_no_name_no_url_no_token(self):
        self.assertEqual(["name"], self.failed(
            "--backend", "http://nowhere.invalid/v1/")[0])
        self.assertEqual(["backend", "device"], self.failed(
            "--backend", "nonsense")[0])
        del os.environ["IOBEAM_TOKEN"]
        self.assertEqual(["answer", "token", "device"], self.failed()[0])
