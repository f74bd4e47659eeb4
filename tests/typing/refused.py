"""What the stubs must refuse, as the code does; checked by mypy, never run.

mypy --strict reports an ignored error that is none.
"""
from iobeam import iobeam

iobeam.DataStore("temperature")  # type: ignore[arg-type]
iobeam.Timestamp(1.5)  # type: ignore[arg-type]
iobeam.Timestamp(1, unit="sec")  # type: ignore[arg-type]
iobeam.DataPoint("21.5")  # type: ignore[arg-type]
iobeam.ClientBuilder("1", "token")  # type: ignore[arg-type]
iobeam.ClientBuilder(1, "token").registerDevise()  # type: ignore[attr-defined]
client = iobeam.ClientBuilder(1, "token").build()
client.createDataStore("temperature")  # type: ignore[arg-type]
store = client.createDataStore(["temperature"])
store.add(1.5, {"temperature": 1})  # type: ignore[arg-type]
store.add(1, {"temperature": [1, 2]})  # type: ignore[dict-item]
store.append(1, {"temperature": 1})  # type: ignore[attr-defined]
client.send(timeout="5")  # type: ignore[arg-type]
client.sent()  # type: ignore[attr-defined]
iobeam.QueryReq(1).operator("median")  # type: ignore[arg-type]
