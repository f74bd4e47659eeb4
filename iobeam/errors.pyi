from collections.abc import Iterable
from typing import Any

class Error(Exception):
    statusCode: int | None
    apiErrors: tuple[dict[str, Any], ...]
    cause: BaseException | None
    def __init__(
        self,
        message: str = ...,
        statusCode: int | None = ...,
        apiErrors: Iterable[dict[str, Any]] = ...,
    ) -> None: ...

class UnauthorizedError(Error):
    @staticmethod
    def noTokenSet() -> UnauthorizedError: ...

class UnknownCodeError(Error):
    def __init__(
        self,
        reqOrMessage: Any = ...,
        statusCode: int | None = ...,
        apiErrors: Iterable[dict[str, Any]] = ...,
    ) -> None: ...

class UnauthorizedCodeError(UnauthorizedError, UnknownCodeError): ...
class DuplicateNameError(UnknownCodeError): ...

class DuplicateIdError(Error):
    def __init__(
        self,
        message: str = ...,
        statusCode: int | None = ...,
        apiErrors: Iterable[dict[str, Any]] = ...,
    ) -> None: ...

class SpoolError(Error): ...
class ConnectionError(Error): ...
class TimeoutError(Error): ...

class SendError(Error):
    accepted: int
    pending: int
    rejected: list[Any]
    inDoubt: int
    def __init__(
        self,
        message: str = ...,
        statusCode: int | None = ...,
        apiErrors: Iterable[dict[str, Any]] = ...,
        accepted: int = ...,
        pending: int = ...,
        rejected: Iterable[Any] = ...,
        inDoubt: int = ...,
    ) -> None: ...

def combine(*bases: type[BaseException]) -> type[BaseException]: ...
