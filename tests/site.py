"""See that a built site is whole: ``python -m tests.site FOLDER``.

Every link and every anchor of every page leads somewhere in it, and no page
fetches anything from elsewhere. Where Chromium is installed each page is
opened in it, from a server on loopback that notes what is asked for and is
not there.
"""
from __future__ import absolute_import, print_function

import os
import re
import shutil
import subprocess
import sys
import threading

from html.parser import HTMLParser  # novm
from http.server import SimpleHTTPRequestHandler  # novm
from http.server import ThreadingHTTPServer  # novm
from urllib.parse import unquote, urljoin, urlsplit  # novm

LEAST_PAGES = 15
BASE = "http://site/"
# elements that a browser fetches by itself, and what they name it in
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src",
           "source": "src", "audio": "src", "video": "src"}
_IN_STYLES = re.compile(r"url\(['\"]?((?:https?:)?//[^)'\"]+)")


class Page(HTMLParser):
    """The links, the anchors and what is fetched of a page."""

    def __init__(self, text):
        HTMLParser.__init__(self)
        self.links, self.anchors, self.fetched = [], set([""]), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(found["id"])
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get(FETCHED.get(tag)) and found.get("rel") != "canonical":
            self.fetched.append(found[FETCHED[tag]])


def filesOf(folder):
    """{path from the folder: where it is}."""
    return dict((os.path.relpath(os.path.join(place, name), folder)
                 .replace(os.sep, "/"), os.path.join(place, name))
                for place, _, names in os.walk(folder) for name in names)


def read(path):
    with open(path, encoding="utf-8") as opened:  # novm
        return opened.read()


def troubles(folder):
    """Yield what is wrong with a site, in words."""
    files = filesOf(folder)
    pages = dict((name, Page(read(path))) for name, path in files.items()
                 if name.endswith(".html") and name != "404.html")
    if len(pages) < LEAST_PAGES:
        yield "only {} pages".format(len(pages))
    for name, page in sorted(pages.items()):
        for link in page.links + page.fetched:
            target = urlsplit(urljoin(BASE + name, link))
            if target.scheme not in ("http", "https"):
                continue
            if target.netloc != "site":
                if link in page.fetched:
                    yield "{} fetches {}".format(name, link)
                continue
            path = unquote(target.path).lstrip("/") or "index.html"
            if path not in files:
                yield "{}: there is no {}".format(name, link)
            elif path in pages and unquote(target.fragment) not in \
                    pages[path].anchors:
                yield "{}: nothing is called {}".format(name, link)
    for name, path in sorted(files.items()):
        if name.endswith(".css"):
            for found in _IN_STYLES.findall(read(path)):
                yield "{} fetches {}".format(name, found)


class Handler(SimpleHTTPRequestHandler):
    def send_error(self, code, *args, **named):
        self.server.missing.append(self.path)
        SimpleHTTPRequestHandler.send_error(self, code, *args, **named)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Notes what is asked for and is not there; a page that is left is no error."""

    missing = []

    def handle_error(self, *_):
        pass


def inBrowser(folder, chromium):
    """Yield what goes wrong when each page is opened."""
    names = sorted(name for name in filesOf(folder)
                   if name.endswith(".html") and name != "404.html")
    server = Server(
        ("127.0.0.1", 0), lambda *args: Handler(*args, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for name in names:
            done = subprocess.run(  # novm
                [chromium, "--headless", "--no-sandbox", "--disable-gpu",
                 "--disable-background-networking", "--enable-logging=stderr",
                 "--dump-dom", "http://127.0.0.1:{}/{}".format(
                     server.server_address[1], name)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
            said = done.stderr.decode("utf-8", "replace")
            for line in said.splitlines():
                if "CONSOLE" in line and ("rror" in line or "efused" in line):
                    yield "{}: {}".format(name, line)
            if b"</html>" not in done.stdout:
                yield "{} did not open: {}".format(name, said[-500:])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    for path in server.missing:
        if path != "/favicon.ico":
            yield "asked for, and not there: {}".format(path)


def main():
    folder = sys.argv[1]
    found = list(troubles(folder))
    chromium = shutil.which("chromium")  # novm
    if chromium is None:
        print("SKIPPED: no page was opened, chromium is not installed")
    else:
        found += inBrowser(folder, chromium)
    for line in found:
        print(line)
    print("{} files, {} troubles".format(len(filesOf(folder)), len(found)))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
