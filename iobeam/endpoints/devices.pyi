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
    def getTimestamp(self) -> int: ...
    def registerDevice(
        self,
        projectId: int,
        deviceId: str | None = ...,
        deviceName: str | None = ...,
    ) -> Device: ...
