"""Who may call what: every resource states a rule per method, one hook applies them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar, Optional

import falcon

from iobeam_server.api.operations import Operation
from iobeam_server.errors import NotAuthenticated, NotPermitted
from iobeam_server.storage.base import Storage, User
from iobeam_server.tokens import ADMIN, READ, WRITE, Claims, TokenSigner


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
_UNCHECKED = (Access.PUBLIC, Access.PASSWORD, Access.BODY)
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Resource:
    """Base of all resources.

    Per method it answers, `access` names the rule and `operations` describes it.
    """

    access: ClassVar[Mapping[str, Access]] = {}
    operations: ClassVar[Mapping[str, Operation]] = {}


class AccessRules:
    """Falcon middleware: no responder runs before its rule holds."""

    def __init__(self, store: Storage, signer: TokenSigner, is_local: bool) -> None:
        self._store = store
        self._signer = signer
        self._is_local = is_local

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: Optional[object],
        params: dict[str, str],
    ) -> None:
        rules = resource.access if isinstance(resource, Resource) else {}
        rule = rules.get(req.method)
        if rule is None:  # the method gets its 405, unless somebody forgot to say who may
            if hasattr(resource, f"on_{req.method.lower()}"):
                raise NotPermitted(f"no rule says who may {req.method} this")
            return
        if rule in _UNCHECKED:
            return
        if rule is Access.LOCAL_OR_ADMIN and self._is_local and not _is_forwarded(req):
            return
        claims = self._signer.verify(bearer(req))
        if rule is Access.USER:
            req.context.user = self._user(claims)
            return
        if claims.pid <= 0:
            raise NotPermitted("this needs a project token, not a user token")
        check_not_revoked(self._store, claims)
        if not claims.allows(rule.permission):
            names = {READ: "read", WRITE: "write", ADMIN: "admin"}
            raise NotPermitted(f"the token lacks the permission to {names[rule.permission]}")
        req.context.claims = claims

    def _user(self, claims: Claims) -> User:
        if claims.pid != 0 or claims.uid <= 0:
            raise NotPermitted("this needs a user token, not a project token")
        user = self._store.user(claims.uid)
        if user is None or claims.iat <= user.tokens_after:
            raise NotAuthenticated("the token's user is gone or has a new password since")
        return user


def _is_forwarded(req: falcon.Request) -> bool:
    """Say whether a proxy on this machine passes on what somebody elsewhere asks."""
    return any(req.get_header(name) for name in ("Forwarded", "X-Forwarded-For", "Via"))


def bearer(req: falcon.Request) -> str:
    """Return the token of the Authorization header."""
    header = req.get_header("Authorization")
    if header is None:
        raise NotAuthenticated("no token: send Authorization: Bearer <token>")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("the Authorization header must be: Bearer <token>")
    return token.strip()


def check_not_revoked(store: Storage, claims: Claims) -> None:
    """Refuse a token issued before the last revocation that concerns it."""
    if claims.iat <= store.revoked_before(claims.pid, claims.did):
        raise NotAuthenticated("the token has been revoked")


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


def check_project(claims: Claims, project_id: int) -> None:
    if claims.pid != project_id:
        raise NotPermitted(f"the token is for project {claims.pid}, not for {project_id}")


def check_device(claims: Claims, device_id: Optional[str]) -> None:
    """Refuse a device token that reaches for anything but its own device."""
    if claims.did is not None and claims.did != device_id:
        raise NotPermitted(f"the token is for device {claims.did!r} only")
