"""What the stubs must take; checked by mypy, never run."""
import datetime
import pathlib
from decimal import Decimal

from typing_extensions import assert_type

from iobeam import iobeam
from iobeam.endpoints import tokens
from iobeam.http import request
from iobeam.resources import data

builder = (
    iobeam.ClientBuilder(1, "token")
    .saveToDisk(path="/tmp")
    .registerDevice(deviceId="d", deviceName="n")
    .setBackend("http://127.0.0.1/v1/")
    .bufferToDisk(maxBytes=1000, autoFlush=10)
    .setTimeout(connect=1, read=2.5)
    .setGiveUpAfter(60)
    .setRetries(3)
    .compress()
    .setBatchSize(500)
    .useServerTime()
)
with builder.build() as client:
    store = client.createDataStore(["a", "b"])
    store.add(1, {"a": 1.5, "b": None})
    store.add(iobeam.Timestamp(1, unit=iobeam.TimeUnit.SECONDS), {"a": True})
    store.add(datetime.datetime.now(), {"a": "text", "b": Decimal("1.5")})
    store.add(None, {"a": 3})
    store.addRows([(1, {"a": 1}), (None, {"b": 2.5})])
    client.addDataPoint("series", iobeam.DataPoint(1, timestamp=5))
    client.addDataSeries(iobeam.DataSeries("s", [iobeam.DataPoint(1.5)]))
    assert_type(client.send(timeout=1.5, progress=lambda done, total: None), bool)
    assert_type(client.send(progress=True), bool)
    assert_type(client.pending(), int)
    assert_type(client.getDeviceId(), "str | None")
try:
    client.send()
except request.SendError as error:
    assert_type(error.accepted, int)
iobeam.makeQuery("token", iobeam.QueryReq(1, "d").limit(5).lessThan(1.5))
assert_type(iobeam.fetchDeviceToken("user", 1, "d", duration="5w"), str)
iobeam.ClientBuilder(1, "token").saveToDisk(pathlib.Path("/tmp"))
columns: "tuple[str, ...]" = ("a", "b")
iobeam.DataStore(columns).addRows((k, {"a": k}) for k in range(3))
values = {"a": 1.5}
iobeam.DataStore(["a"]).add(1, values)
assert_type(data.makeUniformDataSeries("s", 0, 9, [1.5, 2]),
            "data.DataSeries | None")
data.makeUniformDataSeries("s", 0, 9, None)


class Numpy:
    """Integers of numpy are no int to a type checker."""

    def __index__(self) -> int:
        return 5


iobeam.DataStore(["a"]).add(Numpy(), {"a": 1})
iobeam.Timestamp(Numpy())
iobeam.DataPoint(1, timestamp=Numpy())
iobeam.QueryReq(1).fromTime(Numpy()).limit(Numpy())


class FakeRequester:
    """A double needs no base class."""

    def makeEndpoint(self, path: str) -> str:
        return path

    def get(self, url: str) -> request.Request:
        return request.Request("GET", url, None)

    def post(self, url: str) -> request.Request:
        return request.Request("POST", url, None)


iobeam.ClientBuilder(1, "token").setBackend(FakeRequester())
iobeam.makeQuery("token", iobeam.QueryReq(1), backend=FakeRequester())
tokens.TokenService(requester=FakeRequester()).refreshToken("token")
