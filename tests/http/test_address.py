"""`iobeam.http.address`: what is said of an address without asking anybody."""
from __future__ import absolute_import

from iobeam.http import address
from tests import support


class BackendTest(support.TestCase):
    def test_one_backend_has_one_spelling(self):
        for urls in (("http://127.0.0.1:4620/v1/", "HTTP://127.0.0.1:4620/v1",
                      "http://me:secret@127.0.0.1:4620/v1//"),
                     ("https://h.example/v1/", "https://H.Example.:443/v1"),
                     ("http://[::1]/v1/", "http://[::1]:80/v1")):
            self.assertEqual(set(urls[:1]),
                             set(map(address.backendOf, urls)))
        different = ("http://h/v1/", "https://h/v1/", "http://h:81/v1/",
                     "http://h/v2/", "http://h/V1/", "http://g/v1/")
        self.assertEqual(6, len(set(map(address.backendOf, different))))
        for none in (None, "test.com", "https://api.iobeam.com/v1/",
                     "http://API-dev.iobeam.com/v1/", object()):
            self.assertIsNone(address.backendOf(none))

    def test_what_is_shown_holds_no_password(self):
        for url, expected in (
                ("http://me:secret@h:1/v1/", "http://h:1/v1/"),
                ("http://me:se/cret@h:1/v1/", "http://h:1/v1/"),
                ("http://me:12/secret@h/v1/", "http://h/v1/"),
                ("http://me:secret@se@cret@h/v1/", "http://h/v1/"),
                ("http://me:se?cr#et@h/v1/", "http://h/v1/"),
                ("http://me:se\ncret@h/v1/", "http://h/v1/"),
                (u"http://me:secr\xe9t@h/v1/", "http://h/v1/"),
                ("http//me:secret@h/v1/", "h/v1/"),
                ("http:/me:secret@h/v1/", "h/v1/"),
                ("me:secret@h/v1/", "h/v1/"),
                ("me:secret", "me:***"),
                ("http://me:secret", "http://me:***"),
                ("http://me:secret/v1/", "http://me:***/v1/"),
                ("http://h/v1/?token=secret", "http://h/v1/?..."),
                ("http://h/v1/#secret", "http://h/v1/#..."),
                ("http://h:4620/v1/", "http://h:4620/v1/"),
                ("http://[::1]:4620/v1/", "http://[::1]:4620/v1/"),
                ("http://[::1]/v1/", "http://[::1]/v1/"),
                ("test.com", "test.com"), ("", ""), (None, None), (5, 5)):
            self.assertEqual(expected, address.shown(url))

    def test_an_address_whose_password_reaches_into_its_path(self):
        with self.assertRaises(ValueError) as caught:
            address.baseUrl("http://me:12/secret@h/v1/")
        self.assertIn("%2F", str(caught.exception))
        self.assertNotIn("secret", str(caught.exception))
        self.assertNotIn("12", str(caught.exception))
