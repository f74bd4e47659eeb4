"""``/v1/tokens/project``: project tokens."""

from __future__ import annotations

import time

import falcon
import msgspec

from iobeam_server.api import bodies
from iobeam_server.api.access import Access, Resource, check_not_revoked
from iobeam_server.api.dates import old_form
from iobeam_server.config import Config
from iobeam_server.errors import NotAuthenticated
from iobeam_server.storage.base import Storage
from iobeam_server.tokens import ADMIN, READ, WRITE, Claims, TokenSigner


class _Refresh(msgspec.Struct):
    refresh_token: str


class ProjectTokens(Resource):
    """``/v1/tokens/project``."""

    access = {"POST": Access.PUBLIC}  # the token in the body is the credential

    def __init__(self, store: Storage, signer: TokenSigner, config: Config) -> None:
        self._store = store
        self._signer = signer
        self._config = config
        self._decoder = msgspec.json.Decoder(_Refresh)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Exchange a project token for one with a new life of the same length.

        Body: ``refresh_token``, not necessarily expired; until 30 days after its
        expiry it still counts. The old one stays good until it expires: 2016
        Python clients go on sending it (wire notes 6.3.9).

        Answers: 200 the new token; 400/1; 401/4 not ours, too old, revoked, not
        refreshable, or its device is gone.
        """
        body = bodies.decode(req, self._config, self._decoder)
        old = self._signer.verify(body.refresh_token.strip(), self._config.refresh_grace_s)
        if old.pid <= 0 or not old.rfr:
            raise NotAuthenticated("this token cannot be refreshed")
        check_not_revoked(self._store, old)
        if old.did is not None and self._store.device(old.pid, old.did) is None:
            raise NotAuthenticated(f"device {old.did!r} of the token is not registered")
        token, claims = self._signer.issue(
            old.pid, old.pms, old.dur, user_id=old.uid, device_id=old.did
        )
        resp.data = msgspec.json.encode(describe(token, claims))


def describe(token: str, claims: Claims) -> dict[str, object]:
    """Return the answer that carries a token (wire notes 5.13)."""
    answer: dict[str, object] = {
        "token": token,
        "expires": old_form(claims.exp),
        "created": old_form(int(time.time())),
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
