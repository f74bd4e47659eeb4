"""What may be printed of the URL of a database: never a password, however it is misspelt."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Optional
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

HIDDEN = "***"
_SERVERS = ("postgresql", "postgres")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_PLAIN = re.compile(r"(?:[A-Za-z]:)?[^:@=?#]*")  # a path; on Windows with a drive before it
_PART = r"[A-Za-z0-9._~!$&'()*+,;=%-]*"
_WELL_FORMED = re.compile(
    rf"[a-z]+://(?:{_PART}(?::{_PART})?@)?[A-Za-z0-9.,:\[\]_-]*(?:/{_PART})?(?:\?[^@#]*)?", re.ASCII
)
_OPTIONS = re.compile(r"[?#]")
_OPTION = re.compile(r"password=([^&\s]+)", re.I)
# of libpq's own form, in which nothing says where a password with a blank ends
_KEYWORD = re.compile(r"password\s*=(.+)", re.I | re.S)
_MARKS = re.compile(r"[@:/?#&%=\[\]\s]")


def path_of(url: str) -> Optional[str]:
    """Return the absolute path of a SQLite database; None for any other."""
    scheme, _, path = url.partition(":///")
    return os.path.abspath(path) if scheme == "sqlite" else None


def shown(url: str) -> str:
    """Return a URL that may be printed: without user name, password and options.

    The last @ ends what may be a password, wherever it stands: one that was not encoded may
    hold any character. What is no URL is shown only where it looks like a path.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url if _PLAIN.fullmatch(url) else HIDDEN
    if not _SCHEME.fullmatch(scheme):
        return HIDDEN
    if scheme == "sqlite" and rest.startswith("/") and _PLAIN.fullmatch(rest[1:]):
        return url
    rest = _OPTIONS.split(rest.rpartition("@")[2], maxsplit=1)[0]
    hosts, slash, database = rest.partition("/")
    hosts = ",".join(_with_port(host) for host in hosts.split(","))
    return f"{scheme}{separator}{hosts}{slash}{database}"


def _with_port(host: str) -> str:
    """Return a host as it is, but for what stands where a port belongs and is none: a password
    whose host was forgotten."""
    address, bracket, rest = host.rpartition("]")  # of IPv6
    name, colon, port = rest.partition(":")
    if port and not (port.isascii() and port.isdigit()):
        port = HIDDEN
    return f"{address}{bracket}{name}{colon}{port}"


def without_password(url: str) -> tuple[str, bool]:
    """Return a URL to be used again, without its password, and whether it had one.

    The path of a file becomes absolute. What cannot be taken apart is `shown`.
    """
    path = path_of(url)
    if path is not None:
        return f"sqlite:///{path}", False
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return shown(url), True
    if parts.scheme not in _SERVERS or not _WELL_FORMED.fullmatch(url) or HIDDEN in shown(url):
        return shown(url), True  # a password that was not encoded may reach anywhere
    who, at, where = parts.netloc.rpartition("@")
    user, colon, _ = who.partition(":")
    kept = [(name, value) for name, value in options if "password" not in name.lower()]
    query = parts.query if len(kept) == len(options) else urlencode(kept, quote_via=quote)
    # by hand: urlunsplit leaves out the slashes of a host that is not there
    found = f"{parts.scheme}://{user}{at}{where}{parts.path}{'?' if query else ''}{query}"
    return found, bool(colon) or len(kept) < len(options)


def scrubbed(message: str, url: str) -> str:
    """Return a message of a driver or the system without the secrets of a URL in it."""
    message = message.replace(url, shown(url))
    for secret in sorted(set(_secrets(url)), key=len, reverse=True):
        message = _hidden(message, secret)
    return message


def _hidden(message: str, secret: str) -> str:
    """Return a text without a secret, where that is no part of a longer word."""
    first, *others = message.split(secret)
    made = [first]
    for before, after in zip((first, *others), others):
        is_part = _is_of_word(before[-1:]) or _is_of_word(after[:1])
        made += [secret if is_part else HIDDEN, after]
    return "".join(made)


def _is_of_word(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _secrets(url: str) -> Iterator[str]:
    """Yield what may be a password, as it is written and as it is meant."""
    scheme, separator, rest = url.partition("://")
    is_url = bool(separator) and scheme in (*_SERVERS, "sqlite")
    who, at, _ = (rest if is_url else url).rpartition("@")
    found = [who.partition(":")[2]] if at else []
    found += (_OPTION if is_url else _KEYWORD).findall(url)
    found += [piece for secret in found for piece in _MARKS.split(secret)]
    for secret in found:
        if secret:
            yield from (secret, unquote(secret))
