class Device:
    projectId: int
    deviceId: str
    deviceName: str | None
    def __init__(
        self, projectId: int, deviceId: str, deviceName: str | None = ...
    ) -> None: ...
