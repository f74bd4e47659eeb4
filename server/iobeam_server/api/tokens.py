"""``/v1/tokens``: user tokens for passwords, project tokens for user tokens."""

from __future__ import annotations

import base64
import binascii
from typing import Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, check_not_revoked, user_of
from iobeam_server.api.dates import old_form
from iobeam_server.api.ids import check_device_id
from iobeam_server.api.operations import (
    BOOLEAN,
    POSITIVE,
    TEXT,
    Operation,
    Parameter,
    Reply,
)
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotAuthenticated, NotPermitted
from iobeam_server.passwords import Passwords
from iobeam_server.storage.base import Storage
from iobeam_server.tokens import ADMIN, READ, WRITE, Claims, TokenSigner, parse_duration

_BITS = {"read": READ, "write": WRITE, "admin": ADMIN}


class Refresh(msgspec.Struct):
    """Body of a refresh."""

    refresh_token: str


class UserTokens(Resource):
    """``/v1/tokens/user``."""

    access = {"GET": Access.PASSWORD}
    operations = {
        "GET": Operation(
            {200: Reply("The token.", shapes.UserToken)},
            [
                Parameter("name", TEXT, "User name or e-mail, without an Authorization header."),
                Parameter("password", TEXT, "The password; better sent in the header."),
            ],
            refusals=[429],
        )
    }

    def __init__(
        self, store: Storage, signer: TokenSigner, passwords: Passwords, config: Config
    ) -> None:
        self._store = store
        self._signer = signer
        self._passwords = passwords
        self._config = config

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a name, or e-mail, and password for a user token.

        ``Authorization: Basic``, or ``name`` and ``password`` in the query (Java).

        Answers: 200 ``token``, ``expires``, ``created``, ``user_id``; 401/4 for an
        unknown name and for a wrong password alike; 429 while two others sign in.
        """
        name, password = _credentials(req)
        found = self._store.credentials(name)
        if not self._passwords.verify(found[1] if found else None, password) or found is None:
            raise NotAuthenticated("name or password is wrong")
        user_id = found[0].user_id
        token, claims = self._signer.issue(0, 0, self._config.token_life_s, user_id=user_id)
        answer = {
            "token": token,
            "expires": old_form(claims.exp),
            "created": old_form(int(claims.iat)),
            "user_id": user_id,
        }
        resp.data = msgspec.json.encode(answer)


class ProjectTokens(Resource):
    """``/v1/tokens/project``."""

    access = {"GET": Access.USER, "POST": Access.BODY}
    operations = {
        "GET": Operation(
            {200: Reply("The token.", shapes.ProjectToken)},
            [
                Parameter("project_id", POSITIVE, "Which project it is for.", required=True),
                *(Parameter(name, BOOLEAN, f"Whether it may {name}.") for name in _BITS),
                Parameter("include_user", BOOLEAN, "Whether it names the user; true."),
                Parameter("duration", TEXT, "Its life, as 5w: a number and one of w d h m s."),
                Parameter("refreshable", BOOLEAN, "Whether it can be refreshed; true."),
                Parameter("device_id", TEXT, "The only device it is good for."),
            ],
        ),
        "POST": Operation(
            {200: Reply("The new token.", shapes.ProjectToken)}, body=[Refresh], refusals=[401]
        ),
    }

    def __init__(self, store: Storage, signer: TokenSigner, config: Config) -> None:
        self._store = store
        self._signer = signer
        self._config = config
        self._decoder = msgspec.json.Decoder(Refresh)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a user token for a project token.

        Query: ``project_id``; ``read``, ``write``, ``admin`` booleans in any case, none
        named is all that the user has; ``duration`` such as 5w; ``refreshable``
        boolean, default true; ``device_id`` limits the token to a device, registered or
        not yet; ``include_user`` false leaves the user's id out of the token.

        Answers: 200 the token; 400/1; 401; 403/5 a permission or project that the user
        does not have.
        """
        user = user_of(req)
        project_id = queries.integer(req, "project_id", least=1)
        if project_id is None:
            raise BadRequest("project_id is missing")
        asked = {name: queries.boolean(req, name) for name in _BITS}
        duration = queries.text(req, "duration")
        life_s = self._config.token_life_s if duration is None else parse_duration(duration)
        refreshable = queries.boolean(req, "refreshable")
        include_user = queries.boolean(req, "include_user")
        device_id = queries.text(req, "device_id")
        if device_id is not None:
            check_device_id(device_id)
        has = self._store.permissions(project_id, user.user_id) if project_id < 2**63 else 0
        is_shown = include_user is not False
        token, claims = self._signer.issue(
            project_id,
            _granted(asked, has, project_id),
            life_s,
            user_id=user.user_id if is_shown else 0,
            hidden_owner=0 if is_shown else user.user_id,
            device_id=device_id,
            refreshable=refreshable is not False,
        )
        resp.data = msgspec.json.encode(describe(token, claims))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a project token for one with a new life of the same length.

        Body: ``refresh_token``, not necessarily expired; until 30 days after its
        expiry it still counts. The old one stays good until it expires: 2016
        Python clients go on sending it (wire notes 6.3.9).

        Answers: 200 the new token; 400/1; 401/4 not ours, too old, revoked, not
        refreshable, its device is gone, or its user has lost the right.
        """
        body = bodies.decode(req, self._config, self._decoder)
        old = self._signer.verify(body.refresh_token.strip(), self._config.refresh_grace_s)
        if old.pid <= 0 or not old.rfr:
            raise NotAuthenticated("this token cannot be refreshed")
        check_not_revoked(self._store, old)
        if old.did is not None and self._store.device(old.pid, old.did) is None:
            raise NotAuthenticated(f"device {old.did!r} of the token is not registered")
        if old.owner and old.pms & ~self._store.permissions(old.pid, old.owner):
            raise NotAuthenticated("the token's user no longer has its permissions")
        token, claims = self._signer.issue(
            old.pid, old.pms, old.dur, user_id=old.uid, hidden_owner=old.own, device_id=old.did
        )
        resp.data = msgspec.json.encode(describe(token, claims))


def describe(token: str, claims: Claims) -> dict[str, object]:
    """Return the answer that carries a token (wire notes 5.13)."""
    answer: dict[str, object] = {
        "token": token,
        "expires": old_form(claims.exp),
        "created": old_form(int(claims.iat)),
        "project_id": claims.pid,
        "user_id": claims.uid,
        "read": claims.allows(READ),
        "write": claims.allows(WRITE),
        "admin": claims.allows(ADMIN),
        "refreshable": claims.rfr,
    }
    if claims.did is not None:
        answer["device_id"] = claims.did
    return answer


def _granted(asked: dict[str, Optional[bool]], has: int, project_id: int) -> int:
    """Return the permissions of the new token: those named, or all but those refused."""
    named = sum(bit for name, bit in _BITS.items() if asked[name])
    refused = sum(bit for name, bit in _BITS.items() if asked[name] is False)
    if not has:
        raise NotPermitted(f"the user has no permission in project {project_id}")
    if named & ~has:
        lacks = ", ".join(name for name, bit in _BITS.items() if bit & named & ~has)
        raise NotPermitted(f"the user has no permission to {lacks} in project {project_id}")
    granted = named or has & ~refused
    if not granted:
        raise BadRequest("the token would permit nothing: ask for read, write or admin")
    return granted


def _credentials(req: falcon.Request) -> tuple[str, bytes]:
    """Return name and password of the header, else of the query."""
    header = req.get_header("Authorization")
    if header is None:
        name, password = queries.text(req, "name"), queries.text(req, "password")
        if name is None or password is None:
            raise NotAuthenticated("no name and password: send Authorization: Basic")
        return name, password.encode(errors="surrogateescape")
    scheme, _, encoded = header.strip().partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        given, separator, secret = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        if not separator or b"\0" in given:  # no name holds one, and PostgreSQL takes none
            raise ValueError
        return given.decode(), secret
    except (ValueError, binascii.Error):  # UnicodeDecodeError is a ValueError
        raise NotAuthenticated("the Authorization header must be: Basic <name:password>") from None
