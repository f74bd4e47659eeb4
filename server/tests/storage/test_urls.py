"""No password is ever printed, of URLs that are well-formed and of those that are not."""

from __future__ import annotations

import os
import string
from typing import Any

import pytest
from engines import missing
from hypothesis import example, given
from hypothesis import strategies as st
from test_cli import run

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError
from iobeam_server.storage import open_storage
from iobeam_server.storage.urls import scrubbed, shown, without_password

# letters that stand nowhere else, with whatever breaks a URL between and around them
LETTERS = "QXZ"
ODD = st.text(st.sampled_from("@:/?#[]%=& ,;'\"\\+é\n~$!*(){}|^`<>"), max_size=4)
WORD = st.text(st.sampled_from(LETTERS), min_size=4, max_size=6)
PASSWORDS = st.builds(lambda a, b, c, d, e: a + b + c + d + e, ODD, WORD, ODD, WORD, ODD)
FORMS = [
    "postgresql://ann:{}@127.0.0.1:1/db",
    "postgres://ann:{}@127.0.0.1:1/db?connect_timeout=1",
    "postgresql://:{}@/db?host=/no/such/folder",
    "postgresql://ann:{}@",
    "postgresql:/ann:{}@127.0.0.1/db",
    "postgresql:ann:{}@127.0.0.1/db",
    "postgresq://ann:{}@127.0.0.1/db",
    "mysql://ann:{}@127.0.0.1/db",
    "sqlite://ann:{}@127.0.0.1/db",
    "ann:{}@127.0.0.1/db",
    "//ann:{}@127.0.0.1/db",
    "host=127.0.0.1 port=1 password={} dbname=x",
]
ENDINGS = ["postgresql://127.0.0.1:1/db?password={}", "postgresql:///db?port=1&sslpassword={}"]


def holds(text: str) -> bool:
    return any(letter * 2 in text or f"{letter}{other}" in text
               for letter in LETTERS for other in LETTERS)  # fmt: skip


@given(st.sampled_from(FORMS), PASSWORDS)
@example("postgresql://ann:{}@127.0.0.1:1/db", "QXZQ#XZQX")
@example("postgresql://ann:{}@127.0.0.1:1/db", "QXZQ/XZ?QX@ZZ")
@example("host=127.0.0.1 port=1 password={} dbname=x", ";QQQQ QQQQ")
@example("host=127.0.0.1 port=1 password={} dbname=x", "QQQQ QXZQ=")
def test_what_is_shown_holds_no_password(form: str, password: str) -> None:
    url = form.format(password)
    assert not holds(shown(url)), shown(url)
    assert not holds(without_password(url)[0]), without_password(url)
    assert not holds(scrubbed(f'cannot use {url}: {password!r}, "{password}"', url)) or (
        "'" in password or '"' in password or "\\" in password or "\n" in password
    )


@given(st.sampled_from(ENDINGS), WORD)
def test_nor_does_one_among_the_options(form: str, password: str) -> None:
    url = form.format(password)
    assert not holds(shown(url))
    assert not holds(without_password(url)[0])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://h:1/d", "postgresql://h:1/d"),
        ("postgresql://u:p@h1:1,h2:2/d?password=x", "postgresql://h1:1,h2:2/d"),
        ("postgresql://u@[::1]:5432/d", "postgresql://[::1]:5432/d"),
        ("postgresql:///d?host=/tmp", "postgresql:///d"),
        ("postgresql://ann:secret", "postgresql://ann:***"),
        ("postgresql://ann:secret/d", "postgresql://ann:***/d"),
        ("sqlite:///data.db", "sqlite:///data.db"),
        ("sqlite:////var/lib/ä b.db", "sqlite:////var/lib/ä b.db"),
        ("data.db", "data.db"),
        ("C:\\data\\x.db", "C:\\data\\x.db"),
        ("ann:secret@host/db", "***"),
        ("password=x", "***"),
        ("ann:secret://host", "***"),
        ("", ""),
    ],
)
def test_what_is_shown(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_what_can_be_used_again() -> None:
    assert without_password("postgresql://u:p@h:1/d") == ("postgresql://u@h:1/d", True)
    assert without_password("postgresql://u@h/d?sslmode=require") == (
        "postgresql://u@h/d?sslmode=require", False,
    )  # fmt: skip
    assert without_password("postgresql://h/d?password=a&x=b") == ("postgresql://h/d?x=b", True)
    assert without_password("sqlite:///d.db") == (f"sqlite:///{os.getcwd()}/d.db", False)


def test_short_secrets_leave_words_readable() -> None:
    message = scrubbed('cannot use the database: bad "a"', "postgresql://u:a@h/d")
    assert message == 'cannot use the database: bad "***"'


BROKEN = ["QXZQ%zzXZ", "QXZQ/XZQX", "QX ZQ", "Q[XZQX", "QXZQX:ZZ", "QXZQ@XZQX", "QXZQ#XZQX", "QXZQ"]


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("password", BROKEN)
@pytest.mark.parametrize("form", FORMS + ENDINGS)
def test_no_error_of_opening_holds_it(form: str, password: str, tmp_path: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(form.format(password), Config(database_connections=2), create=False)
    assert not holds(str(caught.value))
    assert caught.value.__cause__ is None, "a traceback would show it"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("password", BROKEN)
@pytest.mark.parametrize(
    "command",
    [["check"], ["project", "list"], ["serve", "--port", "0"], ["migrate", "{}", "sqlite:///n.db"],
     ["migrate", "n.db", "{}"], ["migrate", "ann:{}@h/d", "ann:{}@h/d"]],
)  # fmt: skip
def test_no_command_prints_it(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Any, password: str, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"postgresql://ann:{password}@127.0.0.1:1/db?connect_timeout=1"
    monkeypatch.setenv("IOBEAM_SERVER_DATABASE", url)
    words = [
        word.replace("ann:{}", f"ann:{password}").replace("{}", url) if "{}" in word else word
        for word in command
    ]
    assert run(monkeypatch, *words) in (1, 2)
    printed = capfd.readouterr()
    assert not holds(printed.out + printed.err)


def test_these_tests_can_fail() -> None:
    assert holds("xQXy")
    assert not holds("Q-X " + string.ascii_lowercase)
