"""``/v1/users``: accounts."""

from __future__ import annotations

from typing import Callable, Optional

import falcon
import msgspec

from iobeam_server.api import bodies, queries, shapes
from iobeam_server.api.access import Access, Resource, user_of
from iobeam_server.api.operations import TEXT, Operation, Parameter, Reply
from iobeam_server.errors import BadRequest, NotAuthenticated, NotFound, NotPermitted
from iobeam_server.rights.accounts import OPTIONAL, check_user, digest_of, new_user
from iobeam_server.rights.passwords import Passwords
from iobeam_server.storage.base import User
from iobeam_server.storage.store import Storage


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
    pools = {"POST": "signins"}
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

    def __init__(self, store: Storage, passwords: Passwords, clock: Callable[[], float]) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._decoder = msgspec.json.Decoder(NewUser)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Find people, among those who share a project with the asker.

        Query: ``name``, a user name or e-mail, any case: 200 one user, or 404/32; or
        ``search``, a part of either: 200 ``{"users": [{user_id, username, email}]}``.
        """
        people = self._store.users.colleagues(user_of(req).user_id)
        name, search = queries.text(req, "name"), queries.text(req, "search")
        if name is not None:
            wanted = name.casefold()
            for person in people:
                if wanted in (person.username.casefold(), person.email.casefold()):
                    resp.data = msgspec.json.encode(_shown(person))
                    return
            raise NotFound(f"nobody in your projects is named {name!r:.80}")
        if search is None:
            raise BadRequest("say whom: name=.. or search=..")
        part = search.casefold()
        found = [
            shapes.User(person.user_id, person.username, person.email)
            for person in people
            if part in person.username.casefold() or part in person.email.casefold()
        ]
        resp.data = msgspec.json.encode(shapes.UserList(found))

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a user with an invite, which is then used up.

        Body: ``email``, ``password`` (up to 1024 bytes), ``invite`` (of ``iobeam-server
        user invite``); ``username``? (default: the e-mail), ``first_name``?,
        ``last_name``?, ``company_name``?, ``url``?.

        Answers: 201 the user; 400/1; 403/5 the invite is unknown, used or expired;
        422/33 name or e-mail taken; 429 where too many wait for their turn.
        """
        body = bodies.decode(req, self._decoder)
        digest = digest_of(body.invite)
        now = int(self._clock())
        if not self._store.users.has_invite(digest, now):  # before the hash, which costs something
            raise NotPermitted("the invite is unknown, used or expired")
        user = new_user(body.email, body.username, now)
        user = user._replace(**{name: getattr(body, name) for name in OPTIONAL})
        check_user(user)
        made = self._store.users.create(user, self._passwords.hash(body.password), digest)
        resp.status = falcon.HTTP_201
        resp.data = msgspec.json.encode(_shown(made))


class Me(Resource):
    """``/v1/users/me``."""

    access = {"GET": Access.USER, "PATCH": Access.USER}
    pools = {"PATCH": "signins"}
    operations = {
        "GET": Operation({200: Reply("The user.", shapes.User)}),
        "PATCH": Operation(
            {200: Reply("The user.", shapes.User), 204: Reply("Nothing changed.")},
            [Parameter("old_password", TEXT, "The present password, for a new one.")],
            body=[UserChange],
            refusals=[422, 429],
        ),
    }

    def __init__(self, store: Storage, passwords: Passwords, clock: Callable[[], float]) -> None:
        self._store = store
        self._passwords = passwords
        self._clock = clock
        self._decoder = msgspec.json.Decoder(UserChange)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the user whose token it is."""
        resp.data = msgspec.json.encode(_shown(user_of(req)))

    def on_patch(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Change the asker's names or password.

        Body: the keys that change. A new ``password`` needs the old one in the query,
        ``old_password``, and ends every token issued on the old one: user tokens, and the
        project tokens fetched with them.

        Answers: 200 the user, 204 nothing changed; 400/1; 403/5 old password missing or
        wrong; 422/33 name or e-mail taken.
        """
        # as stored now: what the rule looked up may be seconds old, and would be written back
        user = self._store.users.get(user_of(req).user_id)
        if user is None:
            raise NotAuthenticated("the token's user is gone")
        body = bodies.decode(req, self._decoder)
        given = {
            name: getattr(body, name)
            for name in ("email", "username", *OPTIONAL)
            if getattr(body, name) is not None
        }
        changed = user._replace(**given)
        check_user(changed)
        if body.password is not None:
            self._check_old(user, queries.text(req, "old_password"))
        stored = None if body.password is None else self._passwords.hash(body.password)
        has_changed = self._store.users.change(changed)
        if stored is not None:
            self._store.users.set_password(user.user_id, stored, self._clock)
        elif not has_changed:
            resp.status = falcon.HTTP_204
            return
        resp.data = msgspec.json.encode(_shown(changed))

    def _check_old(self, user: User, password: Optional[str]) -> None:
        found = self._store.users.credentials(user.email)
        given = (password or "").encode(errors="surrogateescape")
        if found is None or not self._passwords.verify(found[1], given):
            raise NotPermitted("a new password needs the old one: old_password is missing or wrong")


class EmailVerification(Resource):
    """``/v1/users/email``."""

    access = {"POST": Access.BODY}
    operations = {"POST": Operation({204: Reply("It is taken.")}, body=[Verification])}

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Verification)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a ``verification_key``: 204. Nothing comes of it: no e-mails are sent."""
        bodies.decode(req, self._decoder)
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

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(PasswordReset)

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take a wish for a reset (``reset`` e-mail): 204, whoever that is.

        Nothing is issued: a reset is ``iobeam-server user passwd``.
        """
        resp.status = falcon.HTTP_204

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Take ``reset_key`` and ``password``: 204. No key was ever issued, nothing changes."""
        bodies.decode(req, self._decoder)
        resp.status = falcon.HTTP_204


def _shown(user: User) -> shapes.User:
    """Return a user as answers show it: nothing of the password."""
    optional = {name: shapes.maybe(getattr(user, name)) for name in OPTIONAL}
    return shapes.User(user.user_id, user.username, user.email, **optional)
