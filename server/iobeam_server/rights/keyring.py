"""Which secrets sign and verify tokens: the database's, or those of a file; tokens by them."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from typing import Callable, Optional

from iobeam_server.config import Config
from iobeam_server.errors import ConfigError, NotFound
from iobeam_server.rights.tokens import TokenSigner
from iobeam_server.storage.store import Storage

MIN_SECRET_BYTES = 32  # HS256 wants at least the 256 bits of its hash (RFC 7518 3.2)

log = logging.getLogger(__name__)


def signing_keys(store: Storage, config: Config) -> Sequence[bytes]:
    """Return the secrets, the one that signs first.

    Raises:
        ConfigError: the file of the settings cannot be read, or holds no good secret.
    """
    if config.secret_file is None:
        return store.keys.signing()
    return read_secrets(config.secret_file)


def read_secrets(path: str) -> Sequence[bytes]:
    """Return the lines of a file, each a secret; empty ones are left out."""
    try:
        with open(path, "rb") as file:
            is_open_to_others = os.fstat(file.fileno()).st_mode & 0o007
            found = [line.strip() for line in file.read().splitlines() if line.strip()]
    except OSError as error:
        raise ConfigError(f"cannot read the secret file {path}: {error.strerror}") from None
    if is_open_to_others:
        log.warning("%s is open to every user of this machine: chmod 600", path)
    if not found or min(map(len, found)) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"{path}: a secret has at least {MIN_SECRET_BYTES} characters, one secret a line; "
            "openssl rand -hex 32 makes one"
        )
    return found


def issue_token(
    store: Storage,
    project_id: int,
    permissions: int,
    life_s: int,
    device_id: Optional[str],
    refreshable: bool,
    config: Optional[Config] = None,
    clock: Callable[[], float] = time.time,
) -> str:
    """Return a new token; raises NotFound when there is no such project."""
    revision = store.keys.revision()  # first: what is revoked from here on ends the new token too
    check_project(store, project_id)
    keys = signing_keys(store, config or Config())
    token, _ = TokenSigner(keys, clock).issue(
        project_id,
        permissions,
        life_s,
        device_id=device_id,
        refreshable=refreshable,
        revision=revision,
    )
    return token


def check_project(store: Storage, project_id: int) -> None:
    """Raise NotFound unless there is such a project."""
    if store.projects.get(project_id) is None:
        raise NotFound(f"there is no project {project_id}; see iobeam-server project list")
