from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iobeam_server.errors import ConfigError
from iobeam_server.rights import keyring


@pytest.mark.parametrize("content", ["", "short\n", "x" * 32 + "\nshort"])
def test_a_file_without_a_good_secret(tmp_path: Path, content: str) -> None:
    path = tmp_path / "secret"
    path.write_text(content)
    with pytest.raises(ConfigError, match="at least 32"):
        keyring.read_secrets(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        keyring.read_secrets(str(tmp_path / "secret"))


def test_lines_are_secrets_and_a_file_open_to_everybody_is_told(
    tmp_path: Path, caplog: Any
) -> None:
    path = tmp_path / "secret"
    path.write_text(" " + "x" * 32 + "\r\n\n" + "y" * 40)
    path.chmod(0o600)
    assert keyring.read_secrets(str(path)) == [b"x" * 32, b"y" * 40]
    assert caplog.text == ""
    path.chmod(0o604)
    keyring.read_secrets(str(path))
    assert "chmod 600" in caplog.text
