from typing import Any

from iobeam.endpoints.service import EndpointService
from iobeam.http.request import RequesterLike

class TokenService(EndpointService):
    def __init__(self, requester: RequesterLike | None = ...) -> None: ...
    def getProjectToken(
        self,
        userToken: str,
        projectId: int,
        duration: str | None = ...,
        options: dict[str, Any] | None = ...,
    ) -> str: ...
    def refreshToken(self, oldToken: str) -> str: ...
