from typing import Any

from iobeam.endpoints.service import EndpointService
from iobeam.resources.query import Query

class ExportService(EndpointService):
    def getData(self, query: Query) -> Any: ...
