"""What a token reaches: its project, and one device where it is limited to that."""

from __future__ import annotations

from typing import Optional

from iobeam_server.errors import NotPermitted
from iobeam_server.rights.tokens import Claims


def check_project(claims: Claims, project_id: int) -> None:
    if claims.pid != project_id:
        raise NotPermitted(f"the token is for project {claims.pid}, not for {project_id}")


def check_device(claims: Claims, device_id: Optional[str]) -> None:
    """Refuse a device token that reaches for anything but its own device."""
    if claims.did is not None and claims.did != device_id:
        raise NotPermitted(f"the token is for device {claims.did!r} only")


def own_device(claims: Claims, project_id: int, device_id: str) -> Optional[str]:
    """Return the device of a path, in which ``all`` stands for each; None is all of them.

    Raises:
        NotPermitted: another project, or another device than the token's own.
    """
    check_project(claims, project_id)
    if device_id.lower() == "all":
        return claims.did
    check_device(claims, device_id)
    return device_id


def own_key(claims: Claims, namespace: str, partitioning_field: str) -> Optional[str]:
    """Return the key that a device token is limited to; None without such a limit.

    Raises:
        NotPermitted: the namespace is not divided by device, so none of its rows is
            the token's own.
    """
    if claims.did is not None and partitioning_field != "device_id":
        raise NotPermitted(
            f"the token is for device {claims.did!r} only, namespace {namespace!r:.80} "
            f"is divided by {partitioning_field!r:.80}"
        )
    return claims.did
