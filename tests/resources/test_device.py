from __future__ import absolute_import

from iobeam.resources import device
from tests import support


class DeviceTest(support.TestCase):
    def test_it_keeps_what_it_is_given(self):
        deviceId = "".join(["de", "vice"])
        found = device.Device(1, deviceId, "a name")
        self.assertEqual(1, found.projectId)
        self.assertIs(deviceId, found.deviceId)
        self.assertEqual("a name", found.deviceName)

    def test_the_name_may_be_left_out(self):
        self.assertIsNone(device.Device(1, "dev").deviceName)
        self.assertEqual("n", device.Device(1, "dev", deviceName="n").deviceName)

    def test_bad_project_ids_are_refused(self):
        for value in (None, "1", 1.5, True):
            self.assertSays("projectId must be an int", device.Device, value,
                            "dev")
        for value in (0, -1):
            self.assertSays("projectId must be greater than 0", device.Device,
                            value, "dev")

    def test_bad_device_ids_are_refused(self):
        for value in (None, 1, ["dev"]):
            self.assertSays("deviceId must be a string", device.Device, 1,
                            value)
        self.assertSays("deviceId must be more than 0 characters",
                        device.Device, 1, "")
        for value in ("de vice", "dev\n", "dev/"):
            self.assertSays("deviceId can only include a-z, A-Z, 0-9, _, :, "
                            "and -", device.Device, 1, value)

    def test_unicode_ids_pass(self):
        self.assertEqual(u"dev", device.Device(1, u"dev").deviceId)
