"""Tokens: what they say, how they are signed and when they count; no HTTP, no SQL.

Compact JWS, HS256 only, header without `kid` and unpadded base64url: the shape
that every public client and every PyJWT reads (wire notes 2.2).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Any, Callable, Optional

import jwt
import msgspec

from iobeam_server.errors import NotAuthenticated, NotOurs

READ, WRITE, ADMIN = 1, 2, 4  # bits of `pms` (wire notes 2.2)
BITS = {"read": READ, "write": WRITE, "admin": ADMIN}
ALL = READ | WRITE | ADMIN

MAX_TOKEN_CHARS = 4_096  # ours are under 300; a longer one is not worth hashing
KNOWN_CHARS, KNOWN = 512, 10_000
"""Tokens up to this long, and so many of them (5 MB), are known again: to verify one takes 45 us,
a tenth of a small import."""
_ALGORITHMS = ["HS256"]
_OPTIONS = {  # expiry is judged here, with the grace of a refresh; iat is only compared
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
}


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says.

    `exp` and `dur` are in seconds, `iat` too but with a fraction. Tokens of 1.0.0 have neither
    `rev` nor `gen`: revocations and passwords of before are compared with their `iat`, and
    every later one ends them.
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
    """When its first ancestor was issued: a refresh leaves it as it is."""
    rev: int = 0
    """Revision number when its first ancestor was issued: a later revocation ends it."""
    gen: Optional[int] = None
    """Password number of the user on whose right it rests: another password ends it."""
    adp: int = 0
    """Number of the adoption that it came from; 0 = none."""
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


# msgspec 0.22 learns a type when it first converts to it, and hands what it has learned so far
# to other threads meanwhile: four first requests at once could end the process (SIGSEGV).
msgspec.json.Decoder(Claims)


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
        # a signature stays good; a refusal, which raises, is not kept
        self._known = functools.lru_cache(maxsize=KNOWN)(self._decode)

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
        revision: int = 0,
        password_number: Optional[int] = None,
        adoption: int = 0,
    ) -> tuple[str, Claims]:
        """Return a new token and what it says."""
        now = self._clock()
        claims = Claims(
            uid=user_id,
            pid=project_id,
            pms=permissions,
            exp=int(now) + life_s,
            dur=life_s,
            iat=int(now * 1_000) / 1_000,
            did=device_id,
            rfr=refreshable,
            own=hidden_owner,
            rev=revision,
            gen=password_number,
            adp=adoption,
        )
        return self._signed(claims), claims

    def renew(self, old: Claims) -> tuple[str, Claims]:
        """Return a token that says the same, with a new life of the same length.

        What ends the old one ends it too: where it came from goes along.
        """
        claims = msgspec.structs.replace(old, exp=int(self._clock()) + old.dur)
        return self._signed(claims), claims

    def _signed(self, claims: Claims) -> str:
        payload = {k: v for k, v in msgspec.to_builtins(claims).items() if v is not None}
        for name in ("own", "rev", "adp"):
            if not payload[name]:
                del payload[name]
        return jwt.encode(payload, self._keys[0], algorithm="HS256")

    def verify(self, token: str, grace_s: int = 0) -> Claims:
        """Return what a token says.

        Args:
            token: as sent; padding and the standard base64 alphabet are accepted.
            grace_s: seconds after its expiry during which it still counts.

        Raises:
            NotOurs: malformed, or not signed by us.
            NotAuthenticated: expired.
        """
        claims = self.read(token)
        if self._clock() >= claims.exp + grace_s:
            way_out = "get a new one" if grace_s else "refresh it, or get a new one"
            raise NotAuthenticated(f"the token has expired, {_date(claims.exp)}: {way_out}")
        return claims

    def read(self, token: str) -> Claims:
        """Return what a token says, expired or not; raises NotOurs."""
        return self._known(token) if len(token) <= KNOWN_CHARS else self._decode(token)

    def _decode(self, token: str) -> Claims:
        if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise NotOurs("the token is malformed")
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
                raise NotOurs("the token is malformed") from None
        raise NotOurs("the token was not issued by this server")


def _date(seconds: int) -> str:
    """Return a moment in words; the number where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return f"{seconds} s after 1970"


def in_words(permissions: int) -> str:
    return ", ".join(word for word, bit in BITS.items() if permissions & bit) or "nothing"
