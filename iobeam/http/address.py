"""The address of the backend: what is one, and what to show of it. Pure."""
from __future__ import absolute_import

import os
import re

from iobeam.utils import compat, utils

DEFAULT_BASE_URL = "https://api.iobeam.com/v1/"

# As texts: compiling them would cost an import 2 ms.
_GONE = r"(?i)(.+\.)?iobeam\.com\.?\Z"
_LOOPBACK = r"(localhost|::1|127(\.[0-9]+){3})\Z"
# The last @ ends what may be a password, which may hold anything where nobody
# encoded it; so does a "port" that is none, where the host was forgotten.
_USER_INFO = r"(?s)(\A[A-Za-z][A-Za-z0-9+.-]*://)?.*@"
_NO_PORT = (r"(\A(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:\[[^\]/]*\]|[^/:\[]*):)"
            r"(?![0-9]*(?:/|\Z))[^/]*")
_OPTIONS = r"(?s)([?#]).+"
# Unicode's controls, spaces and formatting characters, the BOM among them.
_INVISIBLE = (u"[\\x00-\\x20\\x7f-\\xa0\\xad\u0600-\u0605\u061c\u180e\u1680"
              u"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
              u"\ufff9-\ufffb]")
_AROUND = u"\\A{0}+|{0}+\\Z".format(_INVISIBLE)
_INSIDE = _INVISIBLE + u"|\\\\"

_warned = set()  # what is said once per process


def baseUrl(url=None):
    """Return the base URL to use, checked and with a slash at its end.

    That is `url`, else the environment's ``IOBEAM_BACKEND``, else the address
    of the service of 2016. As that is gone, ``IOBEAM_BACKEND`` also replaces
    its address where a script still names it, with one warning. What no eye
    sees around an address (a file edited on Windows ends its lines with
    ``\\r``) is taken away.

    Raises:
        ValueError: the URL has no http(s) scheme or no host, has a query or a
            fragment, or white space or a control character inside.
    """
    own = stripped(os.environ.get("IOBEAM_BACKEND")) or None
    url = stripped(url)
    if url is None:
        url = own or DEFAULT_BASE_URL
    elif own and isGone(url):
        _warnOnce("IOBEAM_BACKEND replaces %s, which is gone, by %s",
                  shown(url), shown(own))
        url = own
    host = _hostOf(url)
    if host is None:
        raise ValueError(
            "backend {} is not a URL such as http://127.0.0.1:4620/v1/ (http "
            "or https, and a host)".format(utils.shorten(shown(url))))
    _checkCharacters(url)
    if not compat.urlsplit(url).path.strip("/"):
        _warnOnce("%s has no path: the API is under its version, %s/v1/",
                  shown(url), shown(url).rstrip("/"))
    if url.lower().startswith("http:") and not re.match(_LOOPBACK, host):
        _warnOnce("%s: plain http, the token and the data can be read on the "
                  "way; use https", shown(url))
    return url if url.endswith("/") else url + "/"


def isGone(url):
    """Tell whether it leads to the domain of the service of 2016.

    Whoever buys the domain must not be offered a token.
    """
    return isGoneHost(_hostOf(url))


def isGoneHost(host):
    """The same of a host (str or None)."""
    return bool(host) and re.match(_GONE, host) is not None


def goneWords():
    """Return what is wrong with that address, and what to do (two str)."""
    if isGone(stripped(os.environ.get("IOBEAM_BACKEND"))):
        return "IOBEAM_BACKEND names the service of 2016, which is gone", \
            "start a backend of your own (iobeam-server serve) and set " \
            "IOBEAM_BACKEND to its address"
    return "no backend is set, and the service of 2016 is gone", \
        "start a backend of your own (iobeam-server serve) and set " \
        "IOBEAM_BACKEND to its address, or call setBackend(url)"


def origin(url):
    """Return scheme, host and port of a URL: what may stand in a message."""
    found = compat.urlsplit(url)
    return "{}://{}".format(found.scheme, found.netloc.rpartition("@")[2]) \
        if found.netloc else utils.shorten(shown(url))


def hostAndPort(url):
    """Return the host and the port (int) that a URL leads to."""
    found = compat.urlsplit(url)
    return found.hostname, found.port or (
        443 if found.scheme.lower() == "https" else 80)


def backendOf(url):
    """Return the one spelling of a backend's address, to compare it by.

    Args:
        url (str or None): as `baseUrl` returns it.

    Returns:
        text or None: without user and password. None for what is no URL, and
        for the service of 2016: what is meant for it is anybody's.
    """
    host = _hostOf(url)
    if host is None or isGoneHost(host):
        return None
    parts = compat.urlsplit(url)
    scheme, port = parts.scheme.lower(), parts.port
    host = host.lower().rstrip(".")
    if ":" in host:
        host = "[" + host + "]"
    if port not in (None, {"http": 80, "https": 443}[scheme]):
        host += ":{}".format(port)
    return compat.toText("{}://{}{}/".format(scheme, host,
                                             parts.path.rstrip("/")))


def shown(url):
    """Return an address without what may be a password in it."""
    if not isinstance(url, compat.TEXTS):
        return url
    url = re.sub(_USER_INFO, lambda found: found.group(1) or "", url)
    return re.sub(_NO_PORT, r"\1***", re.sub(_OPTIONS, r"\1...", url))


def stripped(url):
    """Return a text without what cannot be seen at its ends; else `url`."""
    if not isinstance(url, compat.TEXTS):
        return url
    try:
        text = compat.toText(url)
    except UnicodeDecodeError:  # 2.7: not an address either
        return url
    return compat.toNative(re.sub(_AROUND, u"", text))


def _checkCharacters(url):
    for mark, name in (("?", "query"), ("#", "fragment")):
        if mark in url:
            raise ValueError("backend {} has a {}: give the address up to the "
                             "version only, such as http://127.0.0.1:4620/v1/"
                             .format(utils.shorten(shown(url)), name))
    if "@" in compat.urlsplit(url).path:
        raise ValueError("backend {} has a @ behind its host: in a password "
                         "write %2F for / and %40 for @"
                         .format(utils.shorten(shown(url))))
    found = re.search(_INSIDE, compat.toText(url))
    if found:
        raise ValueError("backend {} has {} inside, which no address has"
                         .format(utils.shorten(shown(url)),
                                 utils.shorten(str(found.group().encode(
                                     "unicode_escape").decode("ascii")))))


def _hostOf(url):
    try:
        parts = compat.urlsplit(url)
        port = parts.port  # ValueError if it is no number
        written = parts.netloc.rpartition("@")[2].rpartition("]")[2]
        if port is None and written.partition(":")[2]:
            return None  # 2.7 has no ValueError for one above 65535
    except (AttributeError, TypeError, ValueError):
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None
    return parts.hostname or None


def _warnOnce(message, *args):
    if (message, args) not in _warned:
        _warned.add((message, args))
        utils.getLogger().warning(message, *args)
