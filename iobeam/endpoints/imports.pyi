from collections.abc import Iterable, Sequence
from typing import Any

from iobeam.endpoints.service import EndpointService
from iobeam.http.request import Request
from iobeam.resources.data import DataSeries, DataStore

class ImportService(EndpointService):
    def importData(
        self, projectId: int, deviceId: str, dataSeries: DataSeries
    ) -> tuple[bool, Any]: ...
    def importBatch(
        self, projectId: int, deviceId: str, dataStore: DataStore
    ) -> tuple[bool, Any]: ...
    def postTable(self, payload: Any) -> Request: ...

def rowsPerRequest(limit: int, columns: Sequence[str]) -> int: ...
def tableBody(
    projectId: int, deviceId: str, columns: Iterable[str], table: list[list[Any]]
) -> dict[str, Any]: ...
def tableBytes(
    projectId: int, deviceId: str, columns: Iterable[str], texts: Iterable[str | bytes]
) -> bytes: ...
