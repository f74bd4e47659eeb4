"""Tokens of the dead service that are taken here, so that a script with one written in goes on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Optional

from iobeam_server.errors import BadRequest, NotFound, NotOurs
from iobeam_server.rights.tokens import MAX_TOKEN_CHARS, TokenSigner
from iobeam_server.rules.names import check_device_id
from iobeam_server.storage.base import Adoption
from iobeam_server.storage.store import Storage

SHOWN_CHARS = 12  # of a digest: enough to name one of any number that somebody adopts
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 2.1: what a header can carry


def digest_of(token: str) -> str:
    """Return what is stored of an adopted token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def adopt(
    store: Storage,
    keys: Sequence[bytes],
    text: str,
    project_id: int,
    permissions: int,
    device_id: Optional[str],
) -> Adoption:
    """Take a token from now on, whatever it says of itself and of its expiry.

    Args:
        store: where its digest is kept; the token itself is not.
        keys: this server's, whose own tokens are refused.
        text: the token, with white space around it perhaps.
        project_id, permissions, device_id: what it is good for; None is every device.

    Raises:
        BadRequest: that is no token, or one of this server's own.
        NotFound: no such project.
        AlreadyExists: it is adopted already.
    """
    token = text.strip().lstrip("\ufeff")
    if not token:
        raise BadRequest("there is no token on stdin: iobeam-server token adopt .. < FILE")
    if len(token.splitlines()) > 1:
        raise BadRequest("there are several lines on stdin: give one token at a time")
    if len(token) > MAX_TOKEN_CHARS:
        raise BadRequest(f"a token has at most {MAX_TOKEN_CHARS} characters, this {len(token)}")
    if not _TOKEN.fullmatch(token):
        raise BadRequest("the token holds a character that no token has: a space, quotes, ..?")
    if _is_ours(token, keys):
        raise BadRequest("this server made that token itself; it needs no adoption")
    if device_id is not None:
        check_device_id(device_id)
    return store.adoptions.add(digest_of(token), project_id, permissions, device_id)


def find(store: Storage, start: str) -> Adoption:
    """Return the adoption whose digest begins so; raises NotFound, BadRequest."""
    found = [one for one in store.adoptions.all() if one.digest.startswith(start.lower())]
    if not start or not found:
        raise NotFound(f"no adopted token is {start!r:.80}; see iobeam-server token list")
    if len(found) > 1:
        raise BadRequest(f"{len(found)} adopted tokens begin with {start!r}; give more of it")
    return found[0]


def _is_ours(token: str, keys: Sequence[bytes]) -> bool:
    try:
        TokenSigner(keys).read(token)
    except NotOurs:
        return False
    return True
