from __future__ import annotations

import threading
import time

import pytest

from iobeam_server.errors import BadRequest, TooBusy
from iobeam_server.rights.passwords import _DUMMY, MAX_PASSWORD_BYTES, Passwords

PASSWORDS = Passwords()


def test_a_hash_fits_its_password_only() -> None:
    stored = PASSWORDS.hash("pässword")
    assert stored.startswith("$argon2id$")
    assert stored != PASSWORDS.hash("pässword"), "salted"
    assert PASSWORDS.verify(stored, "pässword".encode())
    for other in (b"", b"password", "pässword ".encode()):
        assert not PASSWORDS.verify(stored, other)


def test_nobody_has_no_password() -> None:
    assert not PASSWORDS.verify(None, b"")
    assert not PASSWORDS.verify("no hash at all", b"x")


def test_lengths() -> None:
    longest = "x" * MAX_PASSWORD_BYTES
    assert PASSWORDS.verify(PASSWORDS.hash(longest), longest.encode())
    assert not PASSWORDS.verify(None, b"x" * (MAX_PASSWORD_BYTES + 1))
    for bad in ("", longest + "x", "ü" * 513):
        with pytest.raises(BadRequest):
            PASSWORDS.hash(bad)


def test_the_dummy_costs_what_a_hash_costs() -> None:
    assert not PASSWORDS._hasher.check_needs_rehash(_DUMMY)


def test_an_unknown_name_takes_as_long_as_a_known_one() -> None:
    stored = PASSWORDS.hash("x")

    def least_of(known: str | None) -> float:
        times = []
        for _ in range(5):
            began = time.process_time()  # of a processor, however many want it
            PASSWORDS.verify(known, b"wrong")
            times.append(time.process_time() - began)
        return min(times)

    assert 0.3 < least_of(stored) / least_of(None) < 3


def test_the_third_at_a_time_waits_for_its_turn() -> None:
    passwords = Passwords(wait_s=0.01)
    inside, go = threading.Semaphore(0), threading.Event()

    def hold() -> None:
        with passwords._slot():
            inside.release()
            go.wait(120)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert inside.acquire(timeout=120)
    with pytest.raises(TooBusy) as caught:
        passwords.verify(None, b"x")
    assert caught.value.retry_after_s == 1
    with pytest.raises(TooBusy):
        passwords.hash("x")
    passwords._wait_s = 120
    answers: list[bool] = []
    third = threading.Thread(target=lambda: answers.append(passwords.verify(None, b"x")))
    third.start()
    assert answers == []
    go.set()
    for thread in (*threads, third):
        thread.join()
    assert answers == [False]
