from typing import Any

from iobeam.endpoints.service import EndpointService
from iobeam.errors import (
    DuplicateIdError as DuplicateIdError,
    DuplicateNameError as DuplicateNameError,
)
from iobeam.resources.device import Device

__all__ = [
    "DeviceService", "DuplicateIdError", "DuplicateNameError",
]

def checkDeviceName(deviceName: str | None) -> None: ...

class DeviceService(EndpointService):
    PAGE: int
    def getTimestamp(self) -> int: ...
    def registerDevice(
        self,
        projectId: int,
        deviceId: str | None = ...,
        deviceName: str | None = ...,
    ) -> Device: ...
    def listDevices(self, projectId: int) -> list[dict[str, Any]]: ...
