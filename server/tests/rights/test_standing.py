"""What a token is good for, on each engine: what ends it, and that nothing slips through."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any, Callable, Optional

import pytest
from storage.samples import device, user

from iobeam_server.config import Config
from iobeam_server.errors import NotAuthenticated, NotPermitted
from iobeam_server.rights import adoption, keyring
from iobeam_server.rights.keyring import issue_token
from iobeam_server.rights.standing import Rights
from iobeam_server.rights.tokens import ADMIN, ALL, READ, WRITE, TokenSigner
from iobeam_server.storage.store import Storage

ROUNDS = 50
HOUR = 3_600.0


def rights_of(store: Storage, clock: Callable[[], float] = time.time, **settings: Any) -> Rights:
    signer = TokenSigner(store.keys.signing(), clock)
    return Rights(store, signer, Config(**settings), clock)


@pytest.fixture
def rights(store: Storage) -> Rights:
    return rights_of(store)


def made(store: Storage, device_id: Optional[str] = None, **more: Any) -> str:
    return issue_token(store, 1, READ | WRITE, 600, device_id, True, **more)


def of_user(store: Storage, user_id: int, **claims: Any) -> str:
    found = store.users.get(user_id)
    assert found is not None
    signer = TokenSigner(store.keys.signing())
    claims.setdefault("password_number", found.password_number)
    claims.setdefault("revision", store.keys.revision())
    return signer.issue(1, READ | WRITE, 600, user_id=user_id, **claims)[0]


def ended(rights: Rights, token: str) -> bool:
    try:
        rights.project(token)
    except NotAuthenticated:
        return True
    return False


@pytest.mark.parametrize("is_of_device", [False, True])
def test_no_refresh_escapes_a_revocation(store: Storage, is_of_device: bool) -> None:
    """Holders who refresh in a loop, beside the revocation: each token of theirs is dead."""
    rights = rights_of(store, rights_cache_s=0)
    store.devices.register(device("d"), named=True)
    limit = "d" if is_of_device else None
    for _ in range(ROUNDS):
        begun, newest = threading.Barrier(3), [made(store, limit)] * 2

        def hold(place: int, begun: Any = begun, newest: Any = newest) -> None:
            begun.wait(60)
            while True:
                try:
                    newest[place] = rights.refresh(newest[place])[0]
                except NotAuthenticated:
                    return

        holders = [threading.Thread(target=hold, args=(place,)) for place in range(2)]
        for holder in holders:
            holder.start()
        begun.wait(60)
        store.keys.revoke(1, limit)
        for holder in holders:
            holder.join(60)
            assert not holder.is_alive()
        assert all(ended(rights, token) for token in newest)
    assert not ended(rights, made(store, limit))


def test_tokens_made_before_a_revocation_are_dead_and_those_made_after_it_live(
    store: Storage,
) -> None:
    """Makers who go on beside it: the revocation falls somewhere into the making of a token."""
    rights = rights_of(store, rights_cache_s=0)
    for _ in range(ROUNDS // 5):
        revoked_at: list[float] = []
        issued: list[tuple[float, float, str]] = []
        is_over = threading.Event()

        def make(issued: Any = issued, is_over: Any = is_over) -> None:
            while not is_over.is_set():
                began = time.perf_counter()
                token = made(store)
                issued.append((began, time.perf_counter(), token))

        maker = threading.Thread(target=make)
        maker.start()
        while len(issued) < 5:
            time.sleep(0)
        revoked_at.append(time.perf_counter())
        store.keys.revoke(1, None)
        revoked_at.append(time.perf_counter())
        seen = len(issued)
        while len(issued) < seen + 5:
            time.sleep(0)
        is_over.set()
        maker.join(60)
        for began, was_there, token in issued:
            if was_there < revoked_at[0]:
                assert ended(rights, token)
            elif began > revoked_at[1]:
                assert not ended(rights, token)


def test_a_revocation_amid_the_issue_of_a_token_ends_it(
    store: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = keyring.signing_keys

    def late(*given: Any) -> Any:
        store.keys.revoke(1, None)
        return real(*given)

    monkeypatch.setattr(keyring, "signing_keys", late)
    assert ended(rights_of(store), made(store))


@pytest.mark.parametrize("jump", [-30 * 24 * HOUR, -HOUR, -0.001, 0, 0.001, HOUR, 24 * HOUR])
def test_what_the_clock_says_does_not_count(store: Storage, jump: float) -> None:
    """A clock that was ahead, or behind, when the token was issued, or when it was revoked."""
    now = time.time()
    for at_issue, at_end in ((jump, 0), (0, jump)):
        life = 90 * 86_400
        token = issue_token(store, 1, READ, life, None, True, None, lambda a=at_issue: now + a)  # type: ignore[misc]
        rights = rights_of(store)
        assert not ended(rights, token)
        refreshed = rights.refresh(token)[0]
        store.keys.revoke(1, None, lambda a=at_end: now + a)  # type: ignore[misc]
        assert ended(rights, token)
        assert ended(rights, refreshed)
        assert not ended(rights, made(store))


def test_origin_goes_along_through_refreshes(store: Storage) -> None:
    clock = itertools.count(time.time(), 10).__next__
    rights = rights_of(store, clock)
    signer = TokenSigner(store.keys.signing())
    first = signer.read(made(store))
    token = made(store)
    first = signer.read(token)
    for _ in range(3):
        token = rights.refresh(token)[0]
        now = signer.read(token)
        assert (now.iat, now.rev, now.dur) == (first.iat, first.rev, first.dur)
    assert now.exp > first.exp


def test_tokens_and_revocations_of_1_0_0(store: Storage, execute: Any) -> None:
    """They had no numbers: `iat` beside the moment, as long as nothing newer is there."""
    signer = TokenSigner(store.keys.signing())
    now = time.time()

    def of_1_0_0(age_s: float, **claims: Any) -> str:
        token, _ = TokenSigner(store.keys.signing(), lambda: now - age_s).issue(
            1, READ | WRITE, 10_000, **claims
        )
        assert signer.read(token).rev == 0
        assert signer.read(token).gen is None
        return token

    execute(f"INSERT INTO revocations (project_id, device_id, before_s) VALUES (1, 'd', {now})")  # noqa: S608
    old, fresh, ahead = of_1_0_0(5, device_id="d"), of_1_0_0(-1, device_id="d"), of_1_0_0(-HOUR)
    rights = rights_of(store, lambda: now + 2)
    assert ended(rights, old)
    assert not ended(rights, of_1_0_0(5))
    assert not ended(rights, fresh)
    assert not ended(rights, ahead)
    assert not ended(rights, of_1_0_0(-HOUR, device_id="d")), "counts as now, after the revocation"
    assert ended(rights_of(store, lambda: now - 1), of_1_0_0(-HOUR, device_id="d"))
    refreshed = rights.refresh(of_1_0_0(5))[0]
    store.keys.revoke(1, None)
    for token in (fresh, ahead, refreshed, of_1_0_0(-2 * HOUR)):
        assert ended(rights, token), "the first one since ends them all"


def test_passwords_of_1_0_0(store: Storage, execute: Any) -> None:
    now = time.time()
    ann = store.users.create(user(), "hash").user_id
    store.projects.grant(1, ann, ALL)
    execute(f"UPDATE users SET tokens_after = {now - 10}")  # noqa: S608
    rights = rights_of(store)

    def of_1_0_0(age_s: float, project: int) -> str:
        signer = TokenSigner(store.keys.signing(), lambda: now - age_s)
        return signer.issue(project, project, 10_000, user_id=ann)[0]

    with pytest.raises(NotAuthenticated, match="new password"):
        rights.user(of_1_0_0(20, 0))
    assert rights.user(of_1_0_0(5, 0)).user_id == ann
    assert ended(rights, of_1_0_0(20, 1))
    assert not ended(rights, of_1_0_0(5, 1))
    store.users.set_password(ann, "new")
    for age in (5, 0, -HOUR):
        assert ended(rights, of_1_0_0(age, 1))
        with pytest.raises(NotAuthenticated):
            rights.user(of_1_0_0(age, 0))


@pytest.mark.parametrize("claims", [{}, {"device_id": "d"}, {"is_hidden": True}])
def test_a_grant_is_judged_at_each_request(
    store: Storage, rights: Rights, claims: dict[str, Any]
) -> None:
    store.devices.register(device("d"), named=True)
    ann = store.users.create(user(), "hash").user_id
    token = of_user(store, ann, device_id=claims.get("device_id"))
    if claims.get("is_hidden"):
        signer = TokenSigner(store.keys.signing())
        token = signer.issue(1, READ | WRITE, 600, hidden_owner=ann, password_number=0)[0]
    with pytest.raises(NotPermitted, match="no longer read, write in project 1"):
        rights.project(token)
    store.projects.grant(1, ann, ALL)
    assert rights.project(token, READ | WRITE).pms == READ | WRITE
    with pytest.raises(NotPermitted, match="lacks the permission to admin"):
        rights.project(token, ADMIN)
    store.projects.grant(1, ann, WRITE)
    assert rights.project(token, WRITE).pms == rights.project(token).pms == WRITE
    with pytest.raises(NotPermitted, match="no longer read in project 1"):
        rights.project(token, READ)
    with pytest.raises(NotAuthenticated, match="no longer has its permissions"):
        rights.refresh(token)
    store.projects.grant(1, ann, READ | WRITE)
    refreshed = rights.refresh(token)[0]
    store.users.set_password(ann, "new")
    for dead in (token, refreshed):
        with pytest.raises(NotAuthenticated, match="new password"):
            rights.project(dead)
        with pytest.raises(NotAuthenticated, match="new password"):
            rights.refresh(dead)


def test_a_deleted_user_has_no_tokens(store: Storage, rights: Rights) -> None:
    ann = store.users.create(user(), "hash").user_id
    store.projects.grant(1, ann, ALL)
    token = of_user(store, ann)
    entry, _ = TokenSigner(store.keys.signing()).issue(0, 0, 600, user_id=ann, password_number=0)
    assert rights.user(entry).user_id == ann
    assert not ended(rights, token)
    store.users.delete(ann)
    assert ended(rights, token)
    with pytest.raises(NotAuthenticated, match="gone"):
        rights.user(entry)
    again = store.users.create(user(), "hash").user_id
    store.projects.grant(1, again, ALL)
    assert ended(rights, token)


def test_a_deleted_device_has_no_tokens_when_it_comes_back(store: Storage, rights: Rights) -> None:
    early = made(store, "d")
    store.devices.register(device("d"), named=True)
    token, other, whole = made(store, "d"), made(store, "e"), made(store)
    assert not ended(rights, early), "a token may be made before its device is registered"
    store.devices.delete(1, "d")
    store.devices.register(device("d"), named=True)
    for dead in (token, early):
        assert ended(rights, dead)
    for alive in (other, whole, made(store, "d")):
        assert not ended(rights, alive)


def adopt(store: Storage, text: str, device_id: Optional[str] = None) -> str:
    adoption.adopt(store, store.keys.signing(), text, 1, READ, device_id)
    return text


@pytest.mark.parametrize("text", ["opaque-token", "a.b.c", "x" * 4_096])
def test_an_adopted_string_is_a_token(store: Storage, rights: Rights, text: str) -> None:
    with pytest.raises(NotAuthenticated):
        rights.project(text)
    adopt(store, text)
    claims = rights.project(text, READ)
    assert (claims.pid, claims.pms, claims.did, claims.uid) == (1, READ, None, 0)
    with pytest.raises(NotPermitted):
        rights.project(text, WRITE)
    with pytest.raises(NotPermitted):
        rights.user(text)
    for other in (text + "x", text[:-1], text.upper()):
        with pytest.raises(NotAuthenticated):
            rights.project(other)
    refreshed, now = rights.refresh(text)
    assert (now.pms, now.dur, now.rfr) == (READ, 30 * 86_400, True)
    again = rights.refresh(refreshed)[0]
    assert rights.project(again, READ).pid == 1
    store.adoptions.end(adoption.digest_of(text))
    for token in (text, refreshed, again):
        assert ended(rights, token)
        with pytest.raises(NotAuthenticated):
            rights.refresh(token)
    adopt(store, text)
    assert not ended(rights, text)
    for token in (refreshed, again):
        assert ended(rights, token), "they came from the one that ended"


def test_an_adopted_string_for_a_device(store: Storage, rights: Rights) -> None:
    adopt(store, "old", "d")
    refreshed = rights.refresh("old")[0]  # clients do so before they register
    store.devices.register(device("d"), named=True)
    assert rights.project("old").did == rights.project(refreshed).did == "d"
    store.keys.revoke(1, "e")
    assert not ended(rights, "old")
    store.devices.delete(1, "d")
    for token in ("old", refreshed):
        assert ended(rights, token)


def test_a_flood_of_bad_tokens_is_none_of_look_ups(
    store: Storage, rights: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(store.adoptions, "get", asked.append)
    for number in range(20):
        assert ended(rights, f"bad{number}")
    assert asked == []


def test_one_look_up_serves_many_requests(
    store: Storage, rights: Rights, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = store.keys.standing, []

    def standing(*key: Any) -> Any:
        asked.append(key)
        return real(*key)

    monkeypatch.setattr(store.keys, "standing", standing)
    token = made(store)
    for _ in range(10):
        rights.project(token, WRITE)
    assert asked == [(1, None, 0, 0)]


def test_changes_of_another_process_are_seen_after_a_while(
    store: Storage, execute: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iobeam_server.rights.recent import Recent

    rights, now = rights_of(store), [0.0]
    rights._recent = Recent(Config().rights_cache_s, lambda: now[0])
    token = made(store)
    assert not ended(rights, token)
    number = store.keys.revision() + 1
    execute(f"UPDATE revision SET number = {number}")  # noqa: S608
    execute(f"INSERT INTO revocations VALUES (1, '', 0, {number})")  # noqa: S608
    now[0] = 4.99
    assert not ended(rights, token)
    now[0] = 5.0
    assert ended(rights, token)
