from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from iobeam.http.request import Request
from iobeam.iobeam import ClientBuilder, _Client

__all__ = [
    "FakeBackend", "FakeBackendMixin", "Recorded", "Row", "installed", "makeToken",
]

LOST: str

class Row(NamedTuple):
    projectId: int
    deviceId: str
    time: int
    values: dict[str, Any]

class Recorded(NamedTuple):
    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]
    body: Any

def makeToken(projectId: int = ..., exp: float = ..., **claims: Any) -> str: ...

class FakeBackend:
    baseUrl: str
    @property
    def devices(self) -> OrderedDict[str, str]: ...
    rows: list[Row]
    requests: list[Recorded]
    tokens: set[str] | None
    knowsDevices: bool
    maxValues: int | None
    def __init__(self) -> None: ...
    def builder(self, projectId: int = ...) -> ClientBuilder: ...
    def client(self, deviceId: str = ..., projectId: int = ...) -> _Client: ...
    def fail(self, *faults: int | tuple[int, Any] | Exception | str | None) -> None: ...
    def refuseRows(
        self,
        predicate: Callable[[Row], object] | None,
        status: int = ...,
        code: int = ...,
    ) -> None: ...
    def values(self, series: str, deviceId: str | None = ...) -> list[Any]: ...
    def makeEndpoint(self, path: str) -> str: ...
    def get(self, url: str) -> Request: ...
    def post(self, url: str) -> Request: ...
    def answer(self, req: Request) -> Any: ...

def installed(
    backend: FakeBackend | None = ...,
) -> AbstractContextManager[FakeBackend]: ...

class FakeBackendMixin:
    backend: FakeBackend
    def setUp(self) -> None: ...
