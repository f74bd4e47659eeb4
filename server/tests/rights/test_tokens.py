from __future__ import annotations

import base64
import hmac
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iobeam_server.errors import NotAuthenticated
from iobeam_server.rights.tokens import KNOWN, KNOWN_CHARS, READ, WRITE, TokenSigner

OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_700_000_000.25


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def signer(*keys: bytes, clock: Clock | None = None) -> TokenSigner:
    return TokenSigner(keys or (NEW,), clock or Clock())


def forged(payload: object, key: bytes = NEW, alg: str = "HS256", **header: object) -> str:
    """Sign by hand: PyJWT refuses to write some of what must be refused on reading."""
    parts = [{"typ": "JWT", "alg": alg, **header}, payload]
    signed = b".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=") for p in parts)
    digest = hmac.digest(key, signed, "sha512" if alg == "HS512" else "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


GOOD = {"uid": 0, "pid": 1, "pms": 3, "exp": int(NOW) + 60, "dur": 60}


def test_token_has_the_shape_every_client_reads() -> None:
    token, _ = signer().issue(7, READ | WRITE, 60)
    header, payload, signature = token.split(".")
    assert "=" not in token
    assert "+" not in token
    assert "/" not in token
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "typ": "JWT"}
    claims = json.loads(base64.urlsafe_b64decode(payload + "==="))
    assert {name: claims[name] for name in ("uid", "pid", "pms", "exp", "dur", "rfr")} == {
        "uid": 0, "pid": 7, "pms": 3, "exp": int(NOW) + 60, "dur": 60, "rfr": True,
    }  # fmt: skip
    assert "did" not in claims
    assert signature


def test_verify_returns_what_was_issued() -> None:
    token, claims = signer().issue(7, READ, 60, user_id=3, device_id="d", refreshable=False)
    assert signer().verify(token) == claims
    assert (claims.did, claims.rfr, claims.uid) == ("d", False, 3)
    assert claims.allows(READ)
    assert not claims.allows(WRITE)


def test_every_key_of_the_ring_verifies_and_the_newest_signs() -> None:
    old, _ = signer(OLD).issue(1, READ, 60)
    new, _ = signer(NEW, OLD).issue(1, READ, 60)
    assert signer(NEW, OLD).verify(old).pid == 1
    assert signer(NEW).verify(new).pid == 1
    with pytest.raises(NotAuthenticated):
        signer(NEW).verify(old)


def test_expiry_and_grace() -> None:
    clock = Clock()
    token, claims = signer(clock=clock).issue(1, READ, 60)
    clock.now = claims.exp - 0.5
    signer(clock=clock).verify(token)
    clock.now = claims.exp
    with pytest.raises(NotAuthenticated, match="expired"):
        signer(clock=clock).verify(token)
    signer(clock=clock).verify(token, grace_s=10)
    clock.now = claims.exp + 10
    with pytest.raises(NotAuthenticated):
        signer(clock=clock).verify(token, grace_s=10)


def test_a_token_that_is_known_again_expires_all_the_same() -> None:
    clock = Clock()
    one = signer(clock=clock)
    token, claims = one.issue(1, READ, 60)
    assert one.verify(token) == one.verify(token) == claims
    for other in (token[:-1] + ("A" if token[-1] != "A" else "B"), token[:-1], token + "x"):
        with pytest.raises(NotAuthenticated):
            one.verify(other)
    clock.now = claims.exp
    with pytest.raises(NotAuthenticated, match="expired"):
        one.verify(token)


def test_few_tokens_are_remembered_and_no_long_ones() -> None:
    one = signer()
    token, claims = one.issue(1, READ, 60)
    long = token + "=" * (KNOWN_CHARS - len(token) + 1)
    assert one.verify(long) == claims
    assert one._known.cache_info().currsize == 0
    for number in range(20):
        assert one.verify(token + "=" * number) == claims
        with pytest.raises(NotAuthenticated):
            one.verify(f"bad{number}")
    info = one._known.cache_info()
    assert (info.currsize, info.maxsize) == (20, KNOWN)


def test_padded_and_standard_base64_spelling_is_accepted() -> None:
    token, claims = signer().issue(1, READ, 60)
    padded = ".".join(part + "=" * (-len(part) % 4) for part in token.split("."))
    assert signer().verify(padded.replace("-", "+").replace("_", "/")) == claims


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b.c",
        "é.b.c",
        "x" * 5_000,
        forged(GOOD, OLD),
        forged({**GOOD, "pid": "1"}),
        forged({**GOOD, "pid": True}),
        forged({**GOOD, "did": 5}),
        forged({k: v for k, v in GOOD.items() if k != "exp"}),
        forged({**GOOD, "exp": 1.5}),
        forged({**GOOD, "exp": int(NOW) - 1}),
        forged(GOOD, kid=10),
        forged([GOOD]),
        forged(GOOD, alg="none"),
        forged(GOOD, alg="none").rpartition(".")[0] + ".",
        forged(GOOD, alg="HS512"),
    ],
)
def test_anything_else_is_not_authenticated(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        signer().verify(token)


def test_the_forger_of_these_tests_can_sign() -> None:
    assert signer().verify(forged(GOOD)).pid == 1


@given(st.text(max_size=60))
def test_noise_is_not_authenticated(token: str) -> None:
    with pytest.raises(NotAuthenticated):
        signer().verify(token)


def test_key_ring_may_not_be_empty() -> None:
    with pytest.raises(ValueError, match="key"):
        TokenSigner([])


FIRST_CONVERSION = """
import sys
from iobeam_server.rights.tokens import TokenSigner

def note(frame, event, argument):
    files.add(frame.f_code.co_filename)

files = set()
signer = TokenSigner([b"k" * 32])
token = signer.issue(1, 7, 60)[0]
sys.setprofile(note)
signer.verify(token)
sys.setprofile(None)
print(*files, sep="\\n")
"""


def test_first_token_is_read_without_learning_its_type() -> None:
    """msgspec does that in Python code of its own, and not with other threads in mind."""
    files = subprocess.check_output([sys.executable, "-c", FIRST_CONVERSION], text=True)
    assert "tokens.py" in files
    assert "msgspec" not in files
