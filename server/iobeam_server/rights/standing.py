"""What a token is good for now: what it says, judged by what is stored.

A token ends with the grant, the device, the user or the password that it came from, or by a
revocation; each request is judged anew, by what was looked up a few seconds ago at most.
A right that is given back counts again: nothing of a judgement is kept in a token.
"""

from __future__ import annotations

import time
from typing import Callable, Optional

import msgspec

from iobeam_server.config import Config
from iobeam_server.errors import NotAuthenticated, NotOurs, NotPermitted
from iobeam_server.rights.adoption import digest_of
from iobeam_server.rights.recent import Recent
from iobeam_server.rights.tokens import Claims, TokenSigner, in_words
from iobeam_server.storage.base import Adoption, Standing, User
from iobeam_server.storage.store import Storage


class Rights:
    """Judges tokens. Safe for threads.

    Args:
        store: where what is granted, revoked and adopted is stored.
        signer: of this server's tokens.
        config: how long something is remembered, how long tokens live.
        clock: of now, in s.
    """

    def __init__(
        self,
        store: Storage,
        signer: TokenSigner,
        config: Config,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._signer = signer
        self._config = config
        self._clock = clock
        self._recent = Recent(config.rights_cache_s)

    def project(self, token: str, permission: int = 0) -> Claims:
        """Return what a project token says; `pms` is what is left of it now.

        Args:
            token: as sent.
            permission: bits of what is to be done.

        Raises:
            NotAuthenticated: it is none of ours, has expired or has ended.
            NotPermitted: it is a user token, or does not permit that, or no longer.
            StorageUnavailable: the database does not answer.
        """
        claims = self._read(token)
        if claims.pid <= 0:
            raise NotPermitted("this needs a project token, not a user token")
        key = (claims.pid, claims.did, claims.owner, claims.adp)
        standing = self._recent.get(key, lambda: self._store.keys.standing(*key))
        self._check_alive(claims, standing)
        if not claims.allows(permission):
            raise NotPermitted(f"the token lacks the permission to {in_words(permission)}")
        if standing.owner is None:
            return claims
        left = claims.pms & standing.owner.permissions
        if not left or permission & ~left:
            lost = in_words(permission & ~left or claims.pms)
            raise NotPermitted(
                f"the token's user may no longer {lost} in project {claims.pid}: somebody with "
                "admin there can grant it again"
            )
        return claims if left == claims.pms else msgspec.structs.replace(claims, pms=left)

    def user(self, token: str) -> User:
        """Return whose user token it is.

        Raises:
            NotAuthenticated: it is none of ours, has expired or has ended.
            NotPermitted: it is a project token.
            StorageUnavailable: the database does not answer.
        """
        claims = self._read(token)
        if claims.pid != 0 or claims.uid <= 0:
            raise NotPermitted("this needs a user token, not a project token")
        user = self._recent.get(claims.uid, lambda: self._store.users.get(claims.uid))
        if user is None:
            raise NotAuthenticated("the token's user is gone")
        self._check_password(claims, user.password_number, user.tokens_after)
        return user

    def refresh(self, token: str) -> tuple[str, Claims]:
        """Return a new token for a project token, perhaps an expired one, and what it says.

        Whatever ends the old one ends the new one: both came from the same. So nobody can
        escape a revocation by refreshing, however the two fall together.

        Raises:
            NotAuthenticated: it is none of ours, too old, has ended, or cannot be refreshed.
            StorageUnavailable: the database does not answer.
        """
        old = self._read(token, self._config.refresh_grace_s)
        if old.pid <= 0 or not old.rfr:
            raise NotAuthenticated("this token cannot be refreshed")
        standing = self._store.keys.standing(old.pid, old.did, old.owner, old.adp)
        self._check_alive(old, standing)
        if standing.owner is not None and old.pms & ~standing.owner.permissions:
            raise NotAuthenticated("the token's user no longer has its permissions")
        # an adopted token may be refreshed before its script has registered the device
        if old.did is not None and not old.adp and not self._store.devices.get(old.pid, old.did):
            raise NotAuthenticated(f"device {old.did!r} of the token is not registered")
        return self._signer.renew(old)

    def _read(self, token: str, grace_s: int = 0) -> Claims:
        try:
            return self._signer.verify(token, grace_s)
        except NotOurs:
            adoption = self._adopted(token)
            if adoption is None:
                raise
            return self._claims_of(adoption)

    def _adopted(self, token: str) -> Optional[Adoption]:
        # most databases hold none, and a flood of bad tokens must not become one of look-ups
        if not self._recent.get("any adoption", self._store.adoptions.any):
            return None
        digest = digest_of(token)
        return self._recent.get((digest,), lambda: self._store.adoptions.get(digest))

    def _claims_of(self, adoption: Adoption) -> Claims:
        return Claims(
            pid=adoption.project_id,
            pms=adoption.permissions,
            exp=0,
            dur=self._config.token_life_s,
            iat=float(adoption.created),
            did=adoption.device_id,
            rev=adoption.number,
            adp=adoption.number,
        )

    def _check_alive(self, claims: Claims, standing: Standing) -> None:
        """Refuse a token that ended; what its user may do now is another question."""
        if standing.revoked > claims.rev or not standing.is_adopted:
            raise NotAuthenticated("the token has been revoked")
        if not claims.rev and self._issued(claims) <= standing.revoked_before_s:
            raise NotAuthenticated("the token has been revoked")
        if claims.owner:
            if standing.owner is None:
                raise NotAuthenticated("the token's user is gone")
            self._check_password(claims, *standing.owner[:2])

    def _check_password(self, claims: Claims, number: int, changed_s: float) -> None:
        if claims.gen is None:
            is_old = number > 0 or self._issued(claims) <= changed_s
        else:
            is_old = claims.gen != number
        if is_old:
            raise NotAuthenticated("the token's user has a new password since; sign in again")

    def _issued(self, claims: Claims) -> float:
        """Return when a token of 1.0.0 was issued; a moment yet to come counts as now."""
        return min(claims.iat, self._clock())
