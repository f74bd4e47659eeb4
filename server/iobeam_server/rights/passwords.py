"""Passwords: argon2id, two at a time; no HTTP and no SQL."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Optional

import argon2

from iobeam_server.errors import BadRequest, TooBusy

MAX_PASSWORD_BYTES = 1_024  # longer ones only cost time
AT_ONCE = 2
"""Hashes at a time: each takes 19 MiB and some 20 ms of a core, and logging in needs no token."""
WAIT_S = 10.0
"""For one's turn. Whose turn it is says the server in front, which gives sign-ins as many threads
as there are hashes at a time; here waits only who comes by another way."""
# Of 16 random bytes, with the parameters below: what unknown names are checked against, so
# that they take as long as known ones.
_DUMMY = (
    "$argon2id$v=19$m=19456,t=2,p=1$m"
    "+AANEI5ejNANn5AgF00lA$7YigfG9btcV5fpF+QCUjml6xr6iycwAGAUYwLU/HVUw"
)


class Passwords:
    """Hashes and checks passwords, `AT_ONCE` at a time; others wait for their turn.

    Args:
        wait_s: for how many seconds.

    The parameters are OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane. A
    hash holds its own, so they can be raised without touching those that are stored.
    """

    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._wait_s = wait_s
        self._hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1_024, parallelism=1)
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """Return what is stored of a password.

        Raises:
            BadRequest: empty, or longer than 1024 bytes.
            TooBusy: its turn did not come.
        """
        encoded = password.encode()
        if not 1 <= len(encoded) <= MAX_PASSWORD_BYTES:
            raise BadRequest(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes")
        with self._slot():
            return self._hasher.hash(encoded)

    def verify(self, stored: Optional[str], password: bytes) -> bool:
        """Tell whether a password fits what is stored; None, for no such user, never does.

        Raises:
            TooBusy: its turn did not come.
        """
        if len(password) > MAX_PASSWORD_BYTES:
            return False
        with self._slot():
            try:
                self._hasher.verify(stored or _DUMMY, password)
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False
        return stored is not None

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        if not self._free.acquire(timeout=self._wait_s):
            raise TooBusy("too many passwords are being checked; try again", retry_after_s=1)
        try:
            yield
        finally:
            self._free.release()
