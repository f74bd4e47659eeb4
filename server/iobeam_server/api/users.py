"""``/v1/users``: accounts."""

from __future__ import annotations

import hashlib
from typing import Callable, Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, user_of
from iobeam_server.api.ids import check_text
from iobeam_server.api.operations import TEXT, Operation, Parameter, Reply
from iobeam_server.config import Config
from iobeam_server.errors import BadRequest, NotFound, NotPermitted
from iobeam_server.passwords import Passwords
from iobeam_server.storage.base import Storage, User

MAX_EMAIL_CHARS = 254  # RFC 5321 4.5.3.1.3, less the brackets
_OPTIONAL = ("first_name", "last_name", "company_name", "url")


class NewUser(msgspec.Struct):
    """Body of a creation."""

    email: str
    password: str
    invite: str
    username: Optional[str] = None
    first_name: Optional[str] = None
    last_name: Optional[str] = None
    company_name: Optional[str] = None
    url: Optional[str] = None


class UserChange(msgspec.Struct):
    """Body of a change: the keys that change."""

    email: Optional[str] = None
    password: Optional[str] = None
    username: Optional[str] = None
    first_name: Optional[str] = None
    last_name: Optional[str] = None
    company_name: Optional[str] = None
    url: Optional[str] = None


class Verification(msgspec.Struct):
    """Body of a verification of an e-mail."""

    verification_key: str


class PasswordReset(msgspec.Struct):
    """Body of a reset of a password."""

    reset_key: str
    password: str


class Users(Resource):
    """``/v1/users``."""

    access = {"GET": Access.USER, "POST": Access.BODY}
    operations = {
        "GET": Operation(
            {200: Reply("The one, or those found.", (shapes.User, shapes.UserList))},
            [
                Parameter("name", TEXT, "User name or e-mail of one user."),
                Parameter("search", TEXT, "Part of a user name or e-mail."),
            ],
            refusals=[404],
        ),
        "POST": Operation(
            {201: Reply("The user.", shapes.User)}, body=[NewUser], refusals=[403, 422, 429]
        ),
    }

    def __init__(
        self, store: Storage, passwords: Passwords, config: Config, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._config = config
        self._clock = clock
        self._decoder = msgspec.json.Decoder(NewUser)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find people, among those who share a project with the asker.

        Query: ``name``, a user name or e-mail, any case: 200 one user, or 404/32; or
        ``search``, a part of either: 200 ``{"users": [{user_id, username, email}]}``.
        """
        people = self._store.colleagues(user_of(req).user_id)
        name, search = queries.text(req, "name"), queries.text(req, "search")
        if name is not None:
            wanted = name.casefold()
            for person in people:
                if wanted in (person.username.casefold(), person.email.casefold()):
                    resp.data = msgspec.json.encode(describe(person))
                    return
            raise NotFound(f"nobody in your projects is named {name!r:.80}")
        if search is None:
            raise BadRequest("say whom: name=.. or search=..")
        part = search.casefold()
        found = [
            {"user_id": person.user_id, "username": person.username, "email": person.email}
            for person in people
            if part in person.username.casefold() or part in person.email.casefold()
        ]
        resp.data = msgspec.json.encode({"users": found})

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a user with an invite, which is then used up.

        Body: ``email``, ``password`` (up to 1024 bytes), ``invite`` (of ``iobeam-server
        user invite``); ``username``? (default: the e-mail), ``first_name``?,
        ``last_name``?, ``company_name``?, ``url``?.

        Answers: 201 the user; 400/1; 403/5 the invite is unknown, used or expired;
        422/33 name or e-mail taken; 429 while two other passwords are hashed.
        """
        body = bodies.decode(req, self._config, self._decoder)
        digest = digest_of(body.invite)
        now = int(self._clock())
        if not self._store.has_invite(digest, now):  # before the hash, which costs something
            raise NotPermitted("the invite is unknown, used or expired")
        user = new_user(body.email, body.username, now)
        user = user._replace(**{name: getattr(body, name) for name in _OPTIONAL})
        check_user(user)
        made = self._store.create_user(user, self._passwords.hash(body.password), digest)
        resp.status = falcon.HTTP_201
        resp.data = msgspec.json.encode(describe(made))


class Me(Resource):
    """``/v1/users/me``."""

    access = {"GET": Access.USER, "PATCH": Access.USER}
    operations = {
        "GET": Operation({200: Reply("The user.", shapes.User)}),
        "PATCH": Operation(
            {200: Reply("The user.", shapes.User), 204: Reply("Nothing changed.")},
            [Parameter("old_password", TEXT, "The present password, for a new one.")],
            body=[UserChange],
            refusals=[422, 429],
        ),
    }

    def __init__(
        self, store: Storage, passwords: Passwords, config: Config, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._passwords = passwords
        self._config = config
        self._clock = clock
        self._decoder = msgspec.json.Decoder(UserChange)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the user whose token it is."""
        resp.data = msgspec.json.encode(describe(user_of(req)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Change the asker's names or password.

        Body: the keys that change. A new ``password`` needs the old one in the query,
        ``old_password``, and ends every user token issued so far.

        Answers: 200 the user, 204 nothing changed; 400/1; 403/5 old password missing or
        wrong; 422/33 name or e-mail taken.
        """
        user = user_of(req)
        body = bodies.decode(req, self._config, self._decoder)
        given = {
            name: getattr(body, name)
            for name in ("email", "username", *_OPTIONAL)
            if getattr(body, name) is not None
        }
        changed = user._replace(**given)
        check_user(changed)
        if body.password is not None:
            self._check_old(user, queries.text(req, "old_password"))
        stored = None if body.password is None else self._passwords.hash(body.password)
        has_changed = self._store.change_user(changed)
        if stored is not None:
            self._store.set_password(user.user_id, stored, self._clock())
        elif not has_changed:
            resp.status = falcon.HTTP_204
            return
        resp.data = msgspec.json.encode(describe(changed))

    def _check_old(self, user: User, password: Optional[str]) -> None:
        found = self._store.credentials(user.email)
        given = (password or "").encode(errors="surrogateescape")
        if found is None or not self._passwords.verify(found[1], given):
            raise NotPermitted("a new password needs the old one: old_password is missing or wrong")


class EmailVerification(Resource):
    """``/v1/users/email``."""

    access = {"POST": Access.BODY}
    operations = {"POST": Operation({204: Reply("It is taken.")}, body=[Verification])}

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decoder = msgspec.json.Decoder(Verification)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a ``verification_key``: 204. Nothing comes of it: no e-mails are sent."""
        bodies.decode(req, self._config, self._decoder)
        resp.status = falcon.HTTP_204


class PasswordResets(Resource):
    """``/v1/users/password``."""

    access = {"GET": Access.PUBLIC, "POST": Access.BODY}
    operations = {
        "GET": Operation(
            {204: Reply("It is taken.")}, [Parameter("reset", TEXT, "E-mail of the user.")]
        ),
        "POST": Operation({204: Reply("It is taken.")}, body=[PasswordReset]),
    }

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decoder = msgspec.json.Decoder(PasswordReset)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a wish for a reset (``reset`` e-mail): 204, whoever that is.

        Nothing is issued: a reset is ``iobeam-server user passwd``.
        """
        resp.status = falcon.HTTP_204

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take ``reset_key`` and ``password``: 204. No key was ever issued, nothing changes."""
        bodies.decode(req, self._config, self._decoder)
        resp.status = falcon.HTTP_204


def describe(user: User) -> dict[str, object]:
    """Return a user as answers show it: no key with null, and nothing of the password."""
    shown = user._asdict()
    del shown["tokens_after"], shown["created"]
    return {name: value for name, value in shown.items() if value is not None}


def digest_of(invite: str) -> str:
    """Return what is stored of an invite: 160 random bits need no salt and no slow hash."""
    return hashlib.sha256(invite.strip().encode(errors="surrogateescape")).hexdigest()


def new_user(email: str, username: Optional[str], created: int) -> User:
    return User(0, username or email, email, None, None, None, None, created, 0.0)


def check_user(user: User) -> None:
    """Refuse names that nobody could sign in with, or that are no names."""
    check_text("email", user.email)
    local, at, domain = user.email.rpartition("@")
    if not (local and at and domain) or " " in user.email or len(user.email) > MAX_EMAIL_CHARS:
        raise BadRequest(f"email must look like name@example.org, not {user.email!r:.80}")
    check_text("username", user.username)
    for name in ("email", "username"):
        if ":" in getattr(user, name):
            raise BadRequest(f"{name} may not hold a colon: Basic authorization ends names there")
    for name in _OPTIONAL:
        value = getattr(user, name)
        if value:
            check_text(name, value)
