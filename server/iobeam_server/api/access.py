"""Who may call what: every resource states a rule per method, one hook applies them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar, Optional

import falcon

from iobeam_server.errors import NotAuthenticated, NotPermitted
from iobeam_server.storage.base import Storage
from iobeam_server.tokens import ADMIN, READ, WRITE, Claims, TokenSigner


class Access(enum.Enum):
    """What a request must carry."""

    PUBLIC = None
    PROJECT = 0
    """Any project token."""
    PROJECT_READ = READ
    PROJECT_WRITE = WRITE
    PROJECT_ADMIN = ADMIN


class Resource:
    """Base of all resources: `access` names the rule of each method it answers."""

    access: ClassVar[Mapping[str, Access]] = {}


class AccessRules:
    """Falcon middleware: no responder runs before its rule holds."""

    def __init__(self, store: Storage, signer: TokenSigner) -> None:
        self._store = store
        self._signer = signer

    def process_resource(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: Optional[object],
        params: dict[str, str],
    ) -> None:
        rules = resource.access if isinstance(resource, Resource) else {}
        rule = rules.get(req.method)
        if rule is None or rule is Access.PUBLIC:  # None: the method gets its 405
            return
        claims = self._signer.verify(bearer(req))
        if claims.pid <= 0:
            raise NotPermitted("this needs a project token, not a user token")
        check_not_revoked(self._store, claims)
        if not claims.allows(rule.value):
            names = {READ: "read", WRITE: "write", ADMIN: "admin"}
            raise NotPermitted(f"the token lacks the permission to {names[rule.value]}")
        req.context.claims = claims


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


def check_project(claims: Claims, project_id: int) -> None:
    if claims.pid != project_id:
        raise NotPermitted(f"the token is for project {claims.pid}, not for {project_id}")


def check_device(claims: Claims, device_id: Optional[str]) -> None:
    """Refuse a device token that reaches for anything but its own device."""
    if claims.did is not None and claims.did != device_id:
        raise NotPermitted(f"the token is for device {claims.did!r} only")
