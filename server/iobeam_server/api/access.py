"""Who may call what: every resource states a rule per method, one hook applies them."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Callable, ClassVar, NamedTuple, Optional

import falcon

from iobeam_server.api.operations import Operation
from iobeam_server.errors import NotAuthenticated, NotPermitted
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import ADMIN, READ, WRITE, Claims
from iobeam_server.storage.base import User


class Access(enum.Enum):
    """What a request must carry; the value says it in words."""

    PUBLIC = "nothing"
    PASSWORD = "name and password, which the responder checks"  # noqa: S105  # words
    BODY = "a token or key in the body, which the responder checks"
    USER = "a user token"
    PROJECT = "any project token"
    PROJECT_READ = "a project token that may read"
    PROJECT_WRITE = "a project token that may write"
    PROJECT_ADMIN = "a project token that may administer"
    LOCAL_OR_ADMIN = "a project token that may administer, unless the server is bound to loopback"

    @property
    def permission(self) -> int:
        """The bits of `pms` that it takes."""
        return _PERMISSIONS.get(self, 0)


_PERMISSIONS = {
    Access.PROJECT_READ: READ,
    Access.PROJECT_WRITE: WRITE,
    Access.PROJECT_ADMIN: ADMIN,
    Access.LOCAL_OR_ADMIN: ADMIN,
}
# Loopback by its names, with any port; a browser never sends these for a stranger's name.
_THIS_MACHINE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.I | re.A)
_BY_PROXIES = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_UNCHECKED = (Access.PUBLIC, Access.PASSWORD, Access.BODY)

Header = Callable[[str], Optional[str]]
"""Gives the value of a request's header, whatever the case of its name; None when absent."""


class Judged(NamedTuple):
    """Who asks, as far as the rule wants to know."""

    claims: Optional[Claims] = None
    """What the project token says; `pms` is what is left of it now."""
    user: Optional[User] = None
    """Whose user token it is."""


class Resource:
    """Base of all resources.

    Per method it answers, `access` names the rule and `operations` describes it; `pool`
    names the kind of work, whose threads do it, for all methods but those in `pools`:
    "imports", "queries", "exports", "signins" (whatever computes a password's hash), "rest",
    "metrics", or "none" for what is done at once and asks nobody.
    """

    access: ClassVar[Mapping[str, Access]] = {}
    operations: ClassVar[Mapping[str, Operation]] = {}
    pool: ClassVar[str] = "rest"
    pools: ClassVar[Mapping[str, str]] = {}
    timeout: ClassVar[Optional[str]] = None
    """The setting that says after how many seconds its work is stopped; None is never."""
    max_body_bytes: ClassVar[Optional[int]] = 64 * 1024
    """Of a request; None is as much as the settings allow, for imports."""


class AccessRules:
    """Falcon middleware: no responder runs before its rule holds."""

    def __init__(self, rights: Rights, is_local: bool) -> None:
        self._rights = rights
        self._is_local = is_local

    def judge(self, resource: object, method: str, header: Header) -> Judged:
        """Say who asks; needs no body, so that none is read for somebody who may not.

        Args:
            resource: what the path leads to; anything but a `Resource` is closed.
            method: as sent.
            header: the request's headers.

        Raises:
            NotAuthenticated: the rule wants a token, there is no good one.
            NotPermitted: the token is not good for this, or no rule says who may.
            StorageUnavailable: the database does not answer.
        """
        rules = resource.access if isinstance(resource, Resource) else {}
        rule = rules.get(method)
        if rule is None:  # the method gets its 405, unless somebody forgot to say who may
            if hasattr(resource, f"on_{method.lower()}"):
                raise NotPermitted(f"no rule says who may {method} this")
            return Judged()
        if rule in _UNCHECKED:
            return Judged()
        if rule is Access.LOCAL_OR_ADMIN and self._is_local and _is_asked_here(header):
            return Judged()
        token = bearer(header)
        if rule is Access.USER:
            return Judged(user=self._rights.user(token))
        return Judged(claims=self._rights.project(token, rule.permission))

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: Optional[object],
        params: dict[str, str],
    ) -> None:
        if isinstance(resource, Resource) and resource.access.get(req.method) is not Access.PUBLIC:
            resp.cache_control = ["no-store"]  # tokens, names, data: nothing for a cache to keep
        judged = self.judge(resource, req.method, req.get_header)
        req.context.claims, req.context.user = judged


def _is_asked_here(header: Header) -> bool:
    """Say whether it is somebody on this machine who asks a server that only it can reach.

    Not where a proxy passes on what somebody elsewhere asks, and not where a browser was made
    to believe that a stranger's host name is this machine (DNS rebinding): then his page reads
    the answer.
    """
    if any(header(name) for name in _BY_PROXIES):
        return False
    return _THIS_MACHINE.fullmatch(header("Host") or "") is not None


def bearer(header: Header) -> str:
    """Return the token of the Authorization header."""
    value = header("Authorization")
    if value is None:
        raise NotAuthenticated("no token: send Authorization: Bearer <token>")
    scheme, _, token = value.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("the Authorization header must be: Bearer <token>")
    return token.strip()


def claims_of(req: falcon.Request) -> Claims:
    """Return what the token of this request says; only where a rule demanded one."""
    claims = req.context.claims
    assert isinstance(claims, Claims)
    return claims


def user_of(req: falcon.Request) -> User:
    """Return who asks; only where a rule demanded a user token."""
    user = req.context.user
    assert isinstance(user, User)
    return user
