"""Registration, the list of devices, the clock."""
from __future__ import absolute_import

import time

from iobeam.utils import compat
from .asking import DATE, DEVICE, READ, Asking


class DevicesContract(Asking):
    def test_an_answer_names_the_device(self):
        req = self.register(device_id="d:1_-", device_name=u"T\xfcr",
                            device_type="pi")
        self.assertAnswers(201, req)
        found = req.getResponse()
        self.assertRegex(found.pop("created"), DATE)
        self.assertSame({"device_id": "d:1_-", "device_name": u"T\xfcr",
                         "device_type": "pi", "project_id": self.project},
                        found)
        self.assertRegex(req.getResponseHeader("Date"), " GMT$")
        self.assertTrue(req.getResponseHeader("Content-Type").startswith(
            "application/json"))

    def test_an_id_is_made_where_there_is_none(self):
        made = [self.register().getResponse() for _ in range(2)]
        self.assertNotEqual(made[0]["device_id"], made[1]["device_id"])
        for found in made:
            self.assertRegex(found["device_id"], r"\A[a-zA-Z0-9_:-]{16,48}\Z")
            self.assertEqual(found["device_id"], found["device_name"])
        self.assertEqual("n", self.register(
            device_name="n").getResponse()["device_name"])

    def test_ids_and_names_are_taken_once_a_project(self):
        self.assertAnswers(201, self.register(device_id="a",
                                              device_name="one"))
        for code, body in ((150, {"device_id": "a"}),
                           (150, {"device_id": "a", "device_name": "one"}),
                           (151, {"device_id": "b", "device_name": "one"}),
                           (151, {"device_name": "one"})):
            self.assertRefused(422, code, self.register(**body))
        self.assertAnswers(201, self.register(
            self.token(project=self.otherProject), device_id="a",
            device_name="one", project_id=self.otherProject))

    def test_a_name_that_nobody_chose_is_in_nobodys_way(self):
        self.register(device_id="x", device_name="y")
        found = self.register(device_id="y").getResponse()
        self.assertEqual("y", found["device_id"])
        self.assertRegex(found["device_name"], "^y-.+")

    def test_what_is_no_registration_is_refused(self):
        project = self.project
        for body in (
                {}, {"device_id": "a"}, {"project_id": 0}, {"project_id": -1},
                {"project_id": True}, {"project_id": "1"},
                {"project_id": 1.5}, [], "text", 5,
                {"project_id": project, "device_id": 5},
                {"project_id": project, "device_id": ""},
                {"project_id": project, "device_id": "a b"},
                {"project_id": project, "device_id": u"\xe4"},
                {"project_id": project, "device_id": "a\n"},
                {"project_id": project, "device_id": "x" * 257},
                {"project_id": project, "device_id": "ALL"},
                {"project_id": project, "device_id": "timestamp"},
                {"project_id": project, "device_name": ""},
                {"project_id": project, "device_name": " "},
                {"project_id": project, "device_name": "a\tb"},
                {"project_id": project, "device_name": "x" * 257},
                {"project_id": project, "device_name": 5},
                {"project_id": project, "device_type": ""},
                {"project_id": project, "device_type": []}):
            self.assertRefused(400, 1, self.ask("POST", "devices", body))

    def test_registering_needs_a_token_that_writes_to_the_project(self):
        self.assertRefused(403, 5, self.register(self.token(READ)))
        self.assertRefused(403, 5, self.register(self.token(
            project=self.otherProject)))
        own = self.token(device="own")
        self.assertRefused(403, 5, self.register(own, device_id="other"))
        self.assertEqual("own", self.register(own).getResponse()["device_id"])
        self.assertRefused(422, 150, self.register(own))

    def test_devices_are_listed_by_id(self):
        for name in ("b", "a", "c"):
            self.register(device_id=name, device_name="n-" + name)
        for expected, params in (
                (["a", "b", "c", DEVICE], {}),
                (["a", "b", "c", DEVICE], {"project_id": self.project}),
                (["b", "c"], {"offset": 1, "count": 2}), ([], {"count": 0})):
            found = self.ask("GET", "devices", **params).getResponse()
            self.assertEqual(expected, [one["device_id"]
                                        for one in found["devices"]])
        for path, params in (("devices", {"name": "n-a"}), ("devices/a", {})):
            found = self.ask("GET", path, **params).getResponse()
            self.assertRegex(found.pop("created"), DATE)
            self.assertSame({"device_id": "a", "device_name": "n-a",
                             "project_id": self.project}, found)
        self.assertRefused(404, 32, self.ask("GET", "devices/none"))
        self.assertRefused(404, 32, self.ask("GET", "devices", name="none"))
        self.assertRefused(403, 5, self.ask("GET", "devices",
                                            project_id=self.otherProject))
        self.assertRefused(400, 1, self.ask("GET", "devices", offset=-1))
        own = self.token(device="b")
        found = self.ask("GET", "devices", token=own).getResponse()["devices"]
        self.assertEqual(["b"], [one["device_id"] for one in found])
        self.assertRefused(403, 5, self.ask("GET", "devices/a", token=own))

    def test_the_clock_is_told_in_every_unit(self):
        for unit, per in (("sec", 1), ("msec", 1000), ("usec", 1000000),
                          ("MSEC", 1000)):
            found = self.ask("GET", "devices/timestamp", timefmt=unit)
            moment = found.getResponse()["server_timestamp"]
            self.assertTrue(compat.isInteger(moment))
            self.assertLess(abs(moment - time.time() * per), 100 * per)
        found = self.ask("GET", "devices/timestamp", timefmt="timeval")
        self.assertEqual({"sec", "usec"}, set(found.getResponse()[
            "server_timestamp"]))
        self.assertRefused(400, 1, self.ask("GET", "devices/timestamp",
                                            timefmt="min"))
