"""What looks at the built documentation finds what is wrong with it."""
from __future__ import absolute_import

import os
import sys
import unittest

from tests.support import TestCase

PAGE = u"<html><body><h1 id='a b'>x</h1>{}</body></html>"


@unittest.skipIf(sys.version_info < (3, 7), "the site is built on a newer Python")
class SiteTest(TestCase):
    def troubles(self, body, style=u""):
        from tests import site
        folder = self.folder()
        for number in range(site.LEAST_PAGES):
            self.write(folder, "{}.html".format(number), PAGE.format(u""))
        self.write(folder, "index.html", PAGE.format(body))
        self.write(folder, "a.css", style)
        return list(site.troubles(folder))

    @staticmethod
    def write(folder, name, text):
        with open(os.path.join(folder, name), "w") as opened:
            opened.write(text)

    def test_what_is_right(self):
        self.assertEqual([], self.troubles(
            "<a href='0.html'>x</a> <a href='0.html#a%20b'>x</a> <a href='#'>x"
            "</a> <a href='https://example.org/'>x</a> <a href='mailto:a@b.c'>"
            "x</a> <link rel='canonical' href='https://example.org/'>",
            "a { background: url(0.html) url(data:,x) }"))

    def test_what_is_wrong(self):
        for body, words in (
                ("<a href='99.html'>x</a>", "there is no 99.html"),
                ("<a href='../docs/0.md'>x</a>", "there is no ../docs/0.md"),
                ("<a href='0.html#b'>x</a>", "nothing is called 0.html#b"),
                ("<a href='#b'>x</a>", "nothing is called #b"),
                ("<img src='x.png'>", "there is no x.png"),
                ("<script src='//cdn.example.org/x.js'></script>",
                 "index.html fetches //cdn.example.org/x.js"),
                ("<link rel='stylesheet' href='https://example.org/x.css'>",
                 "index.html fetches https://example.org/x.css")):
            found = self.troubles(body)
            self.assertEqual(1, len(found), found)
            self.assertIn(words, found[0])
        found = self.troubles("", "@font-face { src: url('https://f.org/x') }")
        self.assertEqual(["a.css fetches https://f.org/x"], found)

    def test_a_site_without_pages(self):
        from tests import site
        self.assertEqual(["only 0 pages"], list(site.troubles(self.folder())))
