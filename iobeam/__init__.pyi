from iobeam.iobeam import (
    ClientBuilder as ClientBuilder,
    DataPoint as DataPoint,
    DataSeries as DataSeries,
    DataStore as DataStore,
    QueryReq as QueryReq,
    TimeUnit as TimeUnit,
    Timestamp as Timestamp,
    fetchDeviceToken as fetchDeviceToken,
    makeQuery as makeQuery,
)

__version__: str
__all__ = [
    "ClientBuilder", "DataPoint", "DataSeries", "DataStore", "QueryReq",
    "TimeUnit", "Timestamp", "__version__", "fetchDeviceToken", "makeQuery",
]
