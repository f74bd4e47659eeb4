"""``/v1/tokens``: user tokens for passwords, project tokens for user tokens."""

from __future__ import annotations

import base64
import binascii
from typing import Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, user_of
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
from iobeam_server.rights.passwords import Passwords
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import BITS, Claims, TokenSigner
from iobeam_server.rules.names import check_device_id
from iobeam_server.rules.units import parse_duration
from iobeam_server.storage.store import Storage


class Refresh(msgspec.Struct):
    """Body of a refresh."""

    refresh_token: str


class UserTokens(Resource):
    """``/v1/tokens/user``."""

    access = {"GET": Access.PASSWORD}
    pool = "signins"
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
        unknown name and for a wrong password alike; 429 where too many wait for it.
        """
        name, password = _credentials(req)
        found = self._store.users.credentials(name)
        if not self._passwords.verify(found[1] if found else None, password) or found is None:
            raise NotAuthenticated("name or password is wrong")
        user_id = found[0].user_id
        token, claims = self._signer.issue(
            0,
            0,
            self._config.token_life_s,
            user_id=user_id,
            password_number=found[0].password_number,  # of the password that was checked
        )
        expires, created = shapes.date(claims.exp), shapes.date(int(claims.iat))
        resp.data = msgspec.json.encode(shapes.UserToken(token, expires, created, user_id))


class ProjectTokens(Resource):
    """``/v1/tokens/project``."""

    access = {"GET": Access.USER, "POST": Access.BODY}
    operations = {
        "GET": Operation(
            {200: Reply("The token.", shapes.ProjectToken)},
            [
                Parameter("project_id", POSITIVE, "Which project it is for.", required=True),
                *(Parameter(name, BOOLEAN, f"Whether it may {name}.") for name in BITS),
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

    def __init__(self, store: Storage, signer: TokenSigner, rights: Rights, config: Config) -> None:
        self._store = store
        self._signer = signer
        self._rights = rights
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
        asked = {name: queries.boolean(req, name) for name in BITS}
        duration = queries.text(req, "duration")
        life_s = self._config.token_life_s if duration is None else parse_duration(duration)
        refreshable = queries.boolean(req, "refreshable")
        include_user = queries.boolean(req, "include_user")
        device_id = queries.text(req, "device_id")
        if device_id is not None:
            check_device_id(device_id)
        revision = self._store.keys.revision()  # before the permissions: no revocation is missed
        has = (
            self._store.projects.permissions(project_id, user.user_id) if project_id < 2**63 else 0
        )
        is_shown = include_user is not False
        token, claims = self._signer.issue(
            project_id,
            _granted(asked, has, project_id),
            life_s,
            user_id=user.user_id if is_shown else 0,
            hidden_owner=0 if is_shown else user.user_id,
            device_id=device_id,
            refreshable=refreshable is not False,
            revision=revision,
            password_number=user.password_number,  # of the one that the user token rests on
        )
        resp.data = msgspec.json.encode(_shown(token, claims))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a project token for one with a new life of the same length.

        Body: ``refresh_token``, not necessarily expired; until 30 days after its
        expiry it still counts. The old one stays good until it expires: 2016
        Python clients go on sending it (wire notes 6.3.9). A token of another server
        that was adopted gives one of this server's.

        Answers: 200 the new token; 400/1; 401/4 not ours, too old, revoked, not
        refreshable, its device is gone, or its user has lost the right.
        """
        body = bodies.decode(req, self._decoder)
        token, claims = self._rights.refresh(body.refresh_token.strip())
        resp.data = msgspec.json.encode(_shown(token, claims))


def _shown(token: str, claims: Claims) -> shapes.ProjectToken:
    """Return the answer that carries a token (wire notes 5.13)."""
    return shapes.ProjectToken(
        token,
        shapes.date(claims.exp),
        shapes.date(claims.exp - claims.dur),  # of this token; `iat` is its first ancestor's
        claims.pid,
        claims.uid,
        **{name: claims.allows(bit) for name, bit in BITS.items()},
        refreshable=claims.rfr,
        device_id=shapes.maybe(claims.did),
    )


def _granted(asked: dict[str, Optional[bool]], has: int, project_id: int) -> int:
    """Return the permissions of the new token: those named, or all but those refused."""
    named = sum(bit for name, bit in BITS.items() if asked[name])
    refused = sum(bit for name, bit in BITS.items() if asked[name] is False)
    if not has:
        raise NotPermitted(f"the user has no permission in project {project_id}")
    if named & ~has:
        lacks = ", ".join(name for name, bit in BITS.items() if bit & named & ~has)
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
