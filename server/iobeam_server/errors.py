"""What can go wrong, as the rules see it; `app` alone knows statuses and codes."""

from __future__ import annotations

from typing import Optional


class ServerError(Exception):
    """Root of everything this package raises on purpose.

    Args:
        message: names the thing, the value and the way out.
        details: a longer text, or None.
        row: index of the first offending row in the request, or None.
        field: name of the offending field, or None.
        retry_after_s: seconds after which to try again, or None.
    """

    def __init__(
        self,
        message: str,
        details: Optional[str] = None,
        row: Optional[int] = None,
        field: Optional[str] = None,
        retry_after_s: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.row = row
        self.field = field
        self.retry_after_s = retry_after_s


class BadRequest(ServerError):
    """The request cannot be understood."""


class TooLarge(ServerError):
    """The body, or the number of values in it, is over the limit."""


class HeaderTooLarge(TooLarge):
    """Request line and headers together are over the limit."""


class Unprocessable(ServerError):
    """Understood, but a row or field cannot be stored."""


class TypeConflict(Unprocessable):
    """A value's type differs from the one its series has in this project."""


class NotAuthenticated(ServerError):
    """No token, or one that is malformed, unknown, revoked or expired."""


class NotOurs(NotAuthenticated):
    """A token that is malformed, or that no key of this server signed."""


class NotPermitted(ServerError):
    """A valid token that lacks the permission, the project or the device."""


class MethodNotAllowed(ServerError):
    """The path exists, the method does not."""


class UnsupportedMedia(ServerError):
    """A body of a type or coding that is not accepted."""


class TooBusy(ServerError):
    """Over the high-water mark; nothing was stored."""


class StorageUnavailable(ServerError):
    """The database cannot take the request (disk full, locked); nothing was stored."""


class StorageAway(StorageUnavailable):
    """The same, where the log has said it when it was found out."""


class StorageDefect(ServerError):
    """The database refused what it should take; it will do so again."""


class QueryTimeout(ServerError):
    """Reading took longer than a request may."""

    @classmethod
    def after(cls, seconds: float) -> QueryTimeout:
        return cls(
            f"stopped after {seconds:g} s: ask for a shorter range, a larger interval "
            "or fewer series"
        )


class ClientGone(ServerError):
    """Whoever asked has closed the connection: nobody sees an answer."""

    def __init__(self) -> None:
        super().__init__("the client has closed the connection")


class NotFound(ServerError):
    """No such path or resource."""


class UnknownDevice(NotFound):
    """The device is not registered."""

    @classmethod
    def named(cls, device_id: str) -> UnknownDevice:
        return cls(
            f"device {device_id!r} is not registered: register it (POST /v1/devices), "
            "or start the server with --auto-register"
        )


class AlreadyExists(ServerError):
    """A project, user or namespace of that name exists."""


class DuplicateDeviceId(ServerError):
    """The device id is registered already."""


class DuplicateDeviceName(ServerError):
    """Another device of the project has that name."""


class ConfigError(ServerError):
    """A setting or an argument of the command line cannot be used."""
