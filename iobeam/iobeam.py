"""What scripts import: `ClientBuilder` makes a client, and they `send()`.

    from iobeam import iobeam

    client = iobeam.ClientBuilder(PROJECT_ID, PROJECT_TOKEN) \\
        .saveToDisk().registerDevice().build()
    conditions = client.createDataStore(["temperature", "humidity"])
    conditions.add(iobeam.Timestamp(now), {"temperature": 21.5, "humidity": 60})
    client.send()
"""
from __future__ import absolute_import

import os

from iobeam import __version__
from iobeam import outbox
from iobeam import client as clients
# Some of these are not used here: test suites of 0.11.0 look for them.
from iobeam.endpoints import devices, exports, imports, tokens
from iobeam.http import request, settings
from iobeam.options import Options
from iobeam.resources import data, device, query
from iobeam.spool import chunk
from iobeam.utils import compat, utils

__all__ = ["ClientBuilder", "DataPoint", "DataSeries", "DataStore", "QueryReq",
           "TimeUnit", "Timestamp", "__version__", "fetchDeviceToken",
           "makeQuery"]

DataPoint = data.DataPoint
DataSeries = data.DataSeries
DataStore = data.DataStore
QueryReq = query.Query
TimeUnit = data.TimeUnit
Timestamp = data.Timestamp
_Client = clients._Client


class ClientBuilder(object):
    """Collects what a client needs; every method but `build` returns itself.

    Args:
        projectId (int): the project, above 0.
        projectToken (str): a project token with write access.

    Raises:
        ValueError: one of them cannot be a project id or token.
    """

    def __init__(self, projectId, projectToken):
        utils.checkValidProjectId(projectId)
        utils.checkValidProjectToken(projectToken)
        self._projectId = projectId
        self._projectToken = projectToken
        self._backend = None
        self._path = None
        self._deviceId = None
        self._registration = None
        self._options = Options()

    @classmethod
    def fromEnvironment(cls):
        """Make a builder of what this machine is set up for.

        Project, token and backend are those of the variables
        IOBEAM_PROJECT_ID, IOBEAM_TOKEN and IOBEAM_BACKEND; what is not set
        comes from the configuration file, which ``iobeam configure`` writes:
        IOBEAM_CONFIG, else ``~/.config/iobeam/iobeam.ini``.

        Raises:
            ValueError: one of them is nowhere, or not valid, or the file
                cannot be read; the message names it.
        """
        from iobeam import configuration  # a parser of files: for those who ask

        found = configuration.needed()
        builder = cls(configuration.projectId(found["project_id"]),
                      found["token"])
        if not configuration.isVariable("backend"):  # which is read at use
            builder.setBackend(found["backend"])
        return builder

    def saveToDisk(self, path="."):
        """Keep the device id, and a refreshed token, in a folder.

        Args:
            path (str): an existing folder; relative to where the program is
                now, also if it changes its directory later.

        Raises:
            ValueError: `path` is no string.
        """
        self._path = _absolute("saveToDisk", path)
        return self

    def setDeviceId(self, deviceId):
        """Use a device that is registered already.

        Raises:
            ValueError: it cannot be a device id.
        """
        utils.checkValidDeviceId(deviceId)
        self._deviceId = deviceId
        return self

    def registerDevice(self, deviceId=None, deviceName=None):
        """Register the device at `build()`, unless it is known already.

        An id on disk (`saveToDisk`) that is the same, or if none is asked
        for, is used without a request.

        Args:
            deviceId (str or None): None lets the backend choose.
            deviceName (str or None): None lets the backend choose.

        Raises:
            ValueError: the id cannot be a device id.
        """
        return self._register(deviceId, deviceName, False)

    def registerOrSetId(self, deviceId, deviceName=None):
        """Register an id at `build()`; use it also if it is taken already.

        Raises:
            ValueError: the id cannot be a device id.
        """
        utils.checkValidDeviceId(deviceId)
        return self._register(deviceId, deviceName, True)

    def _register(self, deviceId, deviceName, setOnDupe):
        if deviceId is not None:
            utils.checkValidDeviceId(deviceId)
        devices.checkDeviceName(deviceName)
        self._registration = {"deviceId": deviceId, "deviceName": deviceName,
                              "setOnDupe": setOnDupe}
        return self

    def setBackend(self, baseUrl):
        """Talk to this backend.

        Args:
            baseUrl (str or requester): address of the API with its version,
                such as ``http://127.0.0.1:4620/v1/``, checked at `build()`;
                or an object that makes requests, for tests.
        """
        self._backend = baseUrl
        return self

    def bufferToDisk(self, path=".", maxBytes=chunk.DEFAULT_MAX_BYTES,
                     autoFlush=outbox.DEFAULT_AUTO_FLUSH):
        """Keep what could not be delivered in ``<path>/iobeam_buffer.db``.

        Args:
            path (str): an existing folder.
            maxBytes (int): limit for the stored rows; beyond it the oldest go.
            autoFlush (int): so many rows in memory are committed unasked.

        Raises:
            ValueError: `path` is no folder, a number is not an int above 0.
        """
        path = _absolute("bufferToDisk", path)
        if not os.path.isdir(path):
            raise ValueError("bufferToDisk: {} is not a folder; create it"
                             .format(utils.shorten(path)))
        utils.checkPositive("maxBytes", maxBytes, compat.isInteger)
        utils.checkPositive("autoFlush", autoFlush, compat.isInteger)
        self._options.buffer = (path, maxBytes)
        self._options.autoFlush = autoFlush
        return self

    def setTimeout(self, connect=settings.CONNECT_SECONDS,
                   read=settings.READ_SECONDS):
        """Limit one connection, and the wait for more of an answer.

        Args:
            connect (int or float): seconds.
            read (int or float): seconds.
        """
        utils.checkPositive("connect", connect, compat.isNumber)
        utils.checkPositive("read", read, compat.isNumber)
        self._options.settings.connectTimeout = float(connect)
        self._options.settings.readTimeout = float(read)
        return self

    def setGiveUpAfter(self, seconds):
        """End a `send()` in which so long nothing has been accepted."""
        utils.checkPositive("seconds", seconds, compat.isNumber)
        self._options.giveUpAfter = float(seconds)
        return self

    def setRetries(self, count):
        """Repeat a failed request at most `count` times (int); 0: never."""
        if not compat.isInteger(count) or count < 0:
            raise ValueError("count must be an int of 0 or more, not {}".format(
                utils.shorten(count)))
        self._options.settings.retries = count
        return self

    def compress(self, compress=True):
        """Decide whether bodies over 1 kB are gzipped.

        Otherwise they are once the backend has said that it takes that.
        """
        if not isinstance(compress, bool):
            raise ValueError("compress must be True or False, not {}".format(
                utils.shorten(compress)))
        self._options.settings.compress = compress
        return self

    def setBatchSize(self, values):
        """Send at most `values` values (int, rows x columns) in one request.

        Otherwise 1000, or what the backend says it takes, up to 20 000.
        """
        utils.checkPositive("values", values, compat.isInteger)
        self._options.batchSize = values
        return self

    def setSession(self, session):
        """Send through a `requests.Session` of the program's own; None: not.

        For proxies, private authorities, client certificates. Its adapters
        are kept; the time limits then hold for each read only.

        Raises:
            ValueError: it is no session.
        """
        if session is not None and not (
                hasattr(session, "prepare_request")
                and hasattr(session, "get_adapter")):
            raise ValueError("session must be a requests.Session, not {}"
                             .format(utils.shorten(session)))
        self._options.settings.session = session
        return self

    def useServerTime(self):
        """Give rows without a timestamp the server's time, not the clock's.

        It is asked for at `build` and with every `send`; setting this
        machine's clock in between changes nothing. While the server has not
        told it, this machine's clock serves, with one warning, and rows that
        still wait in memory then are put right when it does; those that went
        to the disk buffer keep their times. Where the system has no clock that
        counts a suspend (Linux has, from Python 3.7 on), "now" may lag after
        one until the next `send`.
        """
        self._options.useServerTime = True
        return self

    def build(self):
        """Make the client: check the token, register the device if asked.

        Returns:
            _Client: ready to create stores and send.

        Raises:
            ValueError: the backend's URL or the token cannot be right.
            DuplicateIdError, UnauthorizedError, UnknownCodeError: the
                backend's answer to the registration.
            ConnectionError, TimeoutError: a request that was needed got no
                answer.
            Error: a file of `saveToDisk` cannot be read or written, or the
                folder of `bufferToDisk` cannot be (SpoolError).
        """
        client = _Client(self._path, self._projectId, self._projectToken,
                         self._backend, deviceId=self._deviceId,
                         options=self._options)
        with client._newCall():
            client._checkToken()
            if self._registration is not None:
                client.registerDevice(**self._registration)
            client._learnClock()
        return client

    def __repr__(self):
        return "ClientBuilder(projectId={})".format(self._projectId)


def makeQuery(token, qry, backend=None):
    """Carry out a query.

    Args:
        token (str): a project token with read access.
        qry (QueryReq): what to ask for.
        backend (str, requester or None): as `ClientBuilder.setBackend`.

    Returns:
        dict: ``{"result": [{"project_id", "device_id", "name", "data":
        [{"time", "value"}, ..]}, ..]}``; text for ``output("csv")``.

    Raises:
        UnauthorizedError: 401 or 403.
        UnknownCodeError: another status than 200.
        ConnectionError, TimeoutError: no answer.
    """
    return _Client.query(token, qry, backend)


def fetchDeviceToken(userToken, projectId, deviceId, duration=None,
                     options=None, backend=None):
    """Get a project token that is good for one device only.

    Args:
        userToken (str): a user's token.
        projectId (int): the project.
        deviceId (str): the device.
        duration (str or None): life: a number and one of w, d, h, m, s.
        options (dict or None): ``read``, ``write``, ``admin``,
            ``refreshable``, ``include_user`` (bool).
        backend (str, requester or None): as `ClientBuilder.setBackend`.

    Returns:
        str: the token.

    Raises:
        UnauthorizedError, UnknownCodeError: the backend refuses.
        ValueError: an argument is not as above.
    """
    utils.checkValidDeviceId(deviceId)
    if isinstance(options, dict):
        if "device_id" in options:
            raise ValueError("options: device_id is an argument of its own "
                             "here; leave it out")
        options = dict(options, device_id=deviceId)
    elif options is None:
        options = {"device_id": deviceId}
    return _Client.fetchToken(userToken, projectId, duration=duration,
                              options=options, backend=backend)


def _absolute(what, path):
    path = path.__fspath__() if hasattr(path, "__fspath__") else path
    if not isinstance(path, compat.TEXTS) or not path:
        raise ValueError("{}: path must be a string, the name of a folder, not "
                         "{}".format(what, utils.shorten(path)))
    return os.path.abspath(path)
