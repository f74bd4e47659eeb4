"""iobeam: send time series from a device to a backend of your own.

Both ``import iobeam`` and the classic ``from iobeam import iobeam`` reach the
same names. Importing loads the standard library only (and enum34 on Python
2.7): `requests` and `jwt` come with the first request or token.
"""
from __future__ import absolute_import

import os

# What is imported at the first request must be found also after the program
# has changed its directory; Python 2.7 keeps a relative path as it is.
__path__ = [os.path.abspath(path) for path in __path__]

# The version is read from this line by setup.py, which must not import.
__version__ = "1.0.0"

from iobeam.iobeam import (  # noqa: E402 (the version stands first)
    ClientBuilder,
    DataPoint,
    DataSeries,
    DataStore,
    QueryReq,
    TimeUnit,
    Timestamp,
    fetchDeviceToken,
    makeQuery,
)

__all__ = [
    "ClientBuilder",
    "DataPoint",
    "DataSeries",
    "DataStore",
    "QueryReq",
    "TimeUnit",
    "Timestamp",
    "__version__",
    "fetchDeviceToken",
    "makeQuery",
]
