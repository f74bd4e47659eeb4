"""Tokens: what they say, how they are signed and when they count; no HTTP, no SQL.

Compact JWS, HS256 only, header without `kid` and unpadded base64url: the shape
that every public client and every PyJWT reads (wire notes 2.2).
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

import jwt
import msgspec

from iobeam_server.errors import BadRequest, NotAuthenticated

READ, WRITE, ADMIN = 1, 2, 4  # bits of `pms` (wire notes 2.2)

MAX_TOKEN_CHARS = 4_096  # ours are under 300; a longer one is not worth hashing
_ALGORITHMS = ["HS256"]
_OPTIONS = {  # expiry is judged here, with the grace of a refresh; iat is only compared
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
}
_DURATION = re.compile(r"([1-9][0-9]{0,9})([wdhms])", re.ASCII)
_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
MAX_LIFE_S = 100 * 366 * 86_400  # beyond it dates leave the four-digit years


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says.

    `exp` and `dur` are in seconds, `iat` too but with a fraction, so that a
    token made just after a revocation is not caught by it.
    """

    uid: int = 0
    """User it was issued to; 0 = made on the command line, or hidden."""
    pid: int
    """Project; 0 = a user token, good for no project."""
    pms: int
    exp: int
    dur: int
    """Life, kept at refresh: an hour's token never becomes a month's."""
    iat: float = 0.0
    did: Optional[str] = None
    """Device it is limited to."""
    rfr: bool = True
    """False: cannot be refreshed."""
    own: int = 0
    """User whose right it is while `uid` is hidden (`include_user=false`)."""

    @property
    def owner(self) -> int:
        """The user on whose right the token rests; 0 for one made on the command line."""
        return self.uid or self.own

    def allows(self, permission: int) -> bool:
        return self.pms & permission == permission


class TokenSigner:
    """Signs with the newest key, accepts every key of the ring.

    Args:
        keys: secrets, newest first; at least one.
        clock: returns seconds since the epoch.
    """

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        if not keys:
            raise ValueError("a key ring needs at least one key")
        self._keys = list(keys)
        self._clock = clock

    def issue(
        self,
        project_id: int,
        permissions: int,
        life_s: int,
        *,
        user_id: int = 0,
        device_id: Optional[str] = None,
        refreshable: bool = True,
        hidden_owner: int = 0,
    ) -> tuple[str, Claims]:
        """Return a new token and what it says."""
        now = self._clock()
        claims = Claims(
            uid=user_id,
            pid=project_id,
            pms=permissions,
            exp=int(now) + life_s,
            dur=life_s,
            iat=int(now * 1_000) / 1_000,  # down: never later than a revocation that follows
            did=device_id,
            rfr=refreshable,
            own=hidden_owner,
        )
        payload = {k: v for k, v in msgspec.to_builtins(claims).items() if v is not None}
        if not hidden_owner:
            del payload["own"]
        return jwt.encode(payload, self._keys[0], algorithm="HS256"), claims

    def verify(self, token: str, grace_s: int = 0) -> Claims:
        """Return what a token says.

        Args:
            token: as sent; padding and the standard base64 alphabet are accepted.
            grace_s: seconds after its expiry during which it still counts.

        Raises:
            NotAuthenticated: malformed, not signed by us, or expired.
        """
        claims = self._decode(token)
        if self._clock() >= claims.exp + grace_s:
            raise NotAuthenticated("the token has expired")
        return claims

    def _decode(self, token: str) -> Claims:
        if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise NotAuthenticated("the token is malformed")
        token = token.replace("=", "").replace("+", "-").replace("/", "_")
        for key in self._keys:
            try:
                payload: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=_ALGORITHMS,
                    options=_OPTIONS,  # type: ignore[arg-type]
                )
                return msgspec.convert(payload, Claims)
            except jwt.InvalidSignatureError:
                continue
            except (jwt.PyJWTError, msgspec.ValidationError, ValueError):
                raise NotAuthenticated("the token is malformed") from None
        raise NotAuthenticated("the token was not issued by this server")


def parse_duration(text: str) -> int:
    """Return the seconds of a duration such as ``5w``; one integer, one of w d h m s."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadRequest(f"duration must look like 5w, 30d, 12h, 90m or 3600s, not {text!r:.40}")
    seconds = int(found.group(1)) * _SECONDS[found.group(2)]
    if seconds > MAX_LIFE_S:
        raise BadRequest(f"duration {text} is more than 100 years")
    return seconds
