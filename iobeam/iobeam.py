"""The client: `ClientBuilder` makes one, scripts add rows to it and `send()`.

    from iobeam import iobeam

    client = iobeam.ClientBuilder(PROJECT_ID, PROJECT_TOKEN) \\
        .saveToDisk().registerDevice().build()
    conditions = client.createDataStore(["temperature", "humidity"])
    conditions.add(iobeam.Timestamp(now), {"temperature": 21.5, "humidity": 60})
    client.send()
"""
from __future__ import absolute_import

import atexit
import collections
import os
import threading
import weakref

from iobeam import __version__
from iobeam import auth, chunk, outbox
from iobeam import delivery
from iobeam.endpoints import devices, exports, imports, tokens
from iobeam.http import call as calls
from iobeam.http import request
from iobeam.resources import data, device, query
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

_CLOCK_SECONDS = 10.0  # longest wait for the server's clock (useServerTime)
_WRONG_CLOCK_SECONDS = 60.0  # offset beyond which one warning is logged

_clients = weakref.WeakSet()


class _Options(object):
    """What a builder sets beyond the arguments that `_Client` always had."""

    def __init__(self):
        self.settings = request.Settings()
        self.giveUpAfter = calls.GIVE_UP_SECONDS
        self.batchSize = None
        self.useServerTime = False
        self.buffer = None
        self.autoFlush = outbox.DEFAULT_AUTO_FLUSH


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
        self._options = _Options()

    @classmethod
    def fromEnvironment(cls):
        """Make a builder from IOBEAM_PROJECT_ID, IOBEAM_TOKEN, IOBEAM_BACKEND.

        Raises:
            ValueError: one of the variables is missing or not valid; the
                message names it.
        """
        found = {}
        for name in ("IOBEAM_PROJECT_ID", "IOBEAM_TOKEN", "IOBEAM_BACKEND"):
            found[name] = os.environ.get(name, "").strip()
            if not found[name]:
                raise ValueError("the environment variable {} is not set"
                                 .format(name))
        try:
            projectId = int(found["IOBEAM_PROJECT_ID"])
        except ValueError:
            raise ValueError("IOBEAM_PROJECT_ID must be an int, not {}".format(
                utils.shorten(found["IOBEAM_PROJECT_ID"])))
        return cls(projectId, found["IOBEAM_TOKEN"])

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
        _checkPositive("maxBytes", maxBytes, compat.isInteger)
        _checkPositive("autoFlush", autoFlush, compat.isInteger)
        self._options.buffer = (path, maxBytes)
        self._options.autoFlush = autoFlush
        return self

    def setTimeout(self, connect=calls.CONNECT_SECONDS,
                   read=calls.READ_SECONDS):
        """Limit one connection, and the wait for more of an answer.

        Args:
            connect (int or float): seconds.
            read (int or float): seconds.
        """
        _checkPositive("connect", connect, compat.isNumber)
        _checkPositive("read", read, compat.isNumber)
        self._options.settings.connectTimeout = float(connect)
        self._options.settings.readTimeout = float(read)
        return self

    def setGiveUpAfter(self, seconds):
        """End a `send()` in which so long nothing has been accepted."""
        _checkPositive("seconds", seconds, compat.isNumber)
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
        _checkPositive("values", values, compat.isInteger)
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
        """Give rows without a timestamp the server's time, not the clock's."""
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
            Error: a file of `saveToDisk` cannot be read or written.
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


class _Client(object):
    """A device's connection to a backend; made by `ClientBuilder.build`.

    Attributes:
        projectId (int), projectToken (str): the token is the one in use.
    """

    def __init__(self, path, projectId, projectToken, backend, deviceId=None,
                 options=None):
        utils.checkValidProjectId(projectId)
        utils.checkValidProjectToken(projectToken)
        options = options or _Options()
        if backend is None or isinstance(backend, compat.TEXTS):
            self._requester = request.Requester(request.baseUrl(backend),
                                                options.settings)
        else:
            self._requester = _checkedRequester(backend)
        self.projectId = projectId
        self.projectToken = projectToken.strip()
        self._path = path
        self._options = options
        self._dataset = collections.OrderedDict()  # series name -> points
        self._legacy = {}  # series name -> the store its points go through
        self._activeDevice = None
        self._asksToRegister = None
        self._isOpen = True
        self._pid = os.getpid()
        self._sendLock = threading.Lock()
        self._datasetLock = threading.RLock()
        self._sender = None
        self._deviceService = devices.DeviceService(
            self.projectToken, requester=self._requester)
        self._importService = imports.ImportService(
            self.projectToken, requester=self._requester)
        self._tokenService = tokens.TokenService(requester=self._requester)
        self._identity = None
        if path is not None:
            from iobeam import identity  # hashes and files: for those who ask

            self._identity = identity.Identity(
                os.path.abspath(path), projectId,
                _baseUrlOf(self._requester), projectToken)
        this = weakref.ref(self)  # so that a dropped client goes at once
        self._tokens = auth.TokenKeeper(
            projectToken, projectId, self._tokenService.refreshToken,
            lambda token: this()._adoptToken(token),
            lambda: this()._identity and this()._identity.readToken(),
            lambda token, received: this()._saveToken(token, received))
        self._batchSize = delivery.BatchSize(
            options.batchSize, imports.ImportService._BATCH_SIZE)
        self._outbox = outbox.Outbox(
            projectId, [], _spoolIn(options.buffer), options.autoFlush)
        self._outbox.onFork = lambda: this() and this()._checkFork()
        self._outbox.onFull = \
            lambda: this() and this()._convertDataSetToBatches()
        self._outbox.offset = lambda: (this() and this()._nowOffset()) or 0
        self._counters = dict.fromkeys(
            ("requests", "retries", "bytes"), 0)
        self._lastError = None
        self._clockOffset = None  # seconds, from Date headers
        self._lastDate = None  # the last of these headers
        self._serverOffset = None  # ms, from devices/timestamp
        self._warned = set()
        _clients.add(self)
        if deviceId is None and self._identity is not None:
            deviceId = self._identity.readDeviceId()
            if deviceId is not None:
                self._activate(device.Device(projectId, deviceId))
        elif deviceId is not None:
            self.setDeviceId(deviceId)

    # -- the device ---------------------------------------------------------

    def registerDevice(self, deviceId=None, deviceName=None, setOnDupe=False):
        """Register a device and use it from now on.

        Nothing is done, and nothing sent, if a device is set already and no
        id or the same one is asked for.

        Args:
            deviceId (str or None): None lets the backend choose.
            deviceName (str or None): None lets the backend choose.
            setOnDupe (bool): use the id also if it is registered already.

        Raises:
            DuplicateIdError: taken, and not `setOnDupe`.
            UnauthorizedError, UnknownCodeError: other refusals.
            ConnectionError, TimeoutError: no answer.
            Error: the folder of `saveToDisk` cannot be written.
            ValueError: the id cannot be a device id.
        """
        self._asksToRegister = deviceName or ""
        active = self.getDeviceId()
        if active is not None and deviceId in (None, active):
            self._saveUnsaved()
            return self
        if deviceId is not None:
            utils.checkValidDeviceId(deviceId)
        with self._newCall():
            self._checkToken()
            if self._identity is not None:
                self._identity.checkFolder()
            try:
                registered = self._deviceService.registerDevice(
                    self.projectId, deviceId=deviceId, deviceName=deviceName)
            except devices.DuplicateIdError:
                if not setOnDupe or deviceId is None:
                    raise
                registered = device.Device(self.projectId, deviceId,
                                           deviceName)
        self._activate(registered, save=True)
        return self

    def setDeviceId(self, deviceId):
        """Use a registered device from now on; earlier rows keep theirs.

        Raises:
            ValueError: it cannot be a device id.
        """
        self._activate(device.Device(self.projectId, deviceId), save=True)

    def getDeviceId(self):
        """Return the id of the device in use, or None."""
        return self._activeDevice and self._activeDevice.deviceId

    def isRegistered(self):
        """Tell whether there is a device."""
        return self._activeDevice is not None

    # Test suites of 0.11.0's time put a device into `_activeDevice` and stores
    # into `_batches`, or another list in its place.

    @property
    def _batches(self):
        return self._outbox.stores if self._isOpen else []

    @_batches.setter
    def _batches(self, stores):
        self._outbox.close()
        self._outbox.stores = list(stores)
        self._takeIn()

    def _takeIn(self):
        """Take in what was put into `_activeDevice` and `_batches` directly."""
        if self._outbox.deviceId != self.getDeviceId():
            self._outbox.setDevice(self.getDeviceId())
        for store in list(self._batches):
            if store._tracker is not self._outbox:
                self._batches.remove(store)
                self._outbox.track(store)

    def _activate(self, found, save=False):
        self._checkFork()
        if self._activeDevice is not None \
                and self._activeDevice.deviceId != found.deviceId:
            self._convertDataSetToBatches()  # they are the old device's
        self._activeDevice = found
        self._outbox.setDevice(found.deviceId)
        if save and self._identity is not None:
            self._identity.saveDeviceId(found.deviceId)

    def _saveUnsaved(self):
        if self._identity is not None:
            self._identity.saveUnsaved()

    # -- the token ------------------------------------------------------------

    def _checkToken(self):
        """Refresh the token if it is about to expire."""
        self._tokens.check()

    def _adoptToken(self, token):
        """Give a new token to everyone who sends one."""
        self.projectToken = token
        for service in (self._deviceService, self._importService):
            service.token = token

    def _saveToken(self, token, received):
        if self._identity is not None:
            self._identity.saveToken(token, received)

    # -- what delivery asks of the client ----------------------------------------

    def renewToken(self, refused):
        """Refresh after a 401 or 403; tell whether there is a new token."""
        return self._tokens.renew(refused)

    def registerAgain(self, deviceId):
        """Register our own id with a backend that does not know it.

        Returns:
            bool: whether it is known there now.
        """
        if self._asksToRegister is None or deviceId != self.getDeviceId():
            return False
        try:
            self._deviceService.registerDevice(
                self.projectId, deviceId=deviceId,
                deviceName=self._asksToRegister or None)
        except devices.DuplicateIdError:
            return True
        except (request.ConnectionError, request.TimeoutError):
            raise
        except request.Error as error:
            utils.getLogger().warning(
                "the backend does not know the device %s, and registering it "
                "failed: %s", deviceId, error)
            return False
        utils.getLogger().warning("the backend did not know the device %s: it "
                                  "has been registered again", deviceId)
        return True

    def noteAnswer(self, req, accepted):
        """Learn from an answer: how much it takes, what its clock says."""
        self._batchSize.learn(req.getResponseHeader("Iobeam-Max-Values"))
        self._outbox.valuesPerChunk = self._batchSize.values
        if not accepted:
            return
        date = req.getResponseHeader("Date")
        if date == self._lastDate:  # it counts seconds: nothing new
            return
        self._lastDate = date
        # here: it loads sockets and more, which cost a third of the import
        import email.utils

        try:
            parsed = email.utils.parsedate_tz(date) if date else None
            moment = None if parsed is None else email.utils.mktime_tz(parsed)
        except (ValueError, OverflowError):  # such as the year 99999
            return
        if moment is None:
            return
        self._clockOffset = moment - int(utils.time.time())
        if abs(self._clockOffset) > _WRONG_CLOCK_SECONDS:
            self._warnOnce("the clock of this machine and the backend's are "
                           "%d seconds apart: set it, or see useServerTime()",
                           self._clockOffset)

    # -- adding -----------------------------------------------------------------

    def createDataStore(self, columns):
        """Return the tracked store with these columns, or a new one.

        Args:
            columns (list or tuple of str): in any order.

        Raises:
            ValueError: they are not valid columns.
        """
        self._checkFork()
        if isinstance(columns, (list, tuple)):
            columns = list(columns)
            for store in self._batches:
                if store.hasSameColumns(columns) \
                        and store not in self._legacy.values():
                    return store
        store = DataStore(columns)
        self.addDataStore(store)
        return store

    def addDataStore(self, store):
        """Track a store: its rows go with every `send()`.

        Raises:
            ValueError: no DataStore, or another open client tracks it.
        """
        self._checkFork()
        self._checkOpen()
        if store is None:
            utils.getLogger().warning("addDataStore(None) adds nothing")
            return
        if not isinstance(store, DataStore):
            raise ValueError("store must be a DataStore, not {}".format(
                utils.shorten(store)))
        self._outbox.track(store)

    def addDataPoint(self, seriesName, point):
        """Add one point to a series; equal points are kept once.

        Args:
            seriesName (str): the rules of column names apply.
            point (DataPoint): anything else adds nothing but a warning.

        Raises:
            ValueError: the name is not valid.
        """
        utils.checkValidSeriesName(seriesName)
        if not isinstance(point, DataPoint):
            utils.getLogger().warning("addDataPoint: %s is no DataPoint and is "
                                      "not added", utils.shorten(point))
            return
        self._addPoints(seriesName, [point])

    def addDataSeries(self, series):
        """Add the points of a series; equal points are kept once.

        Raises:
            ValueError: no DataSeries, or something in it is no DataPoint.
        """
        if not isinstance(series, DataSeries):
            raise ValueError("series must be a DataSeries, not {}".format(
                utils.shorten(series)))
        if len(series) == 0:
            utils.getLogger().warning("addDataSeries: %s is empty", series)
            return
        for point in series.getPoints():
            if not isinstance(point, DataPoint):
                raise ValueError("{} holds {}, which is no DataPoint".format(
                    series, utils.shorten(point)))
        self._addPoints(series.getName(), series.getPoints())

    def _addPoints(self, name, points):
        self._checkOpen()
        self._checkFork()
        with self._datasetLock:
            self._dataset.setdefault(name, collections.OrderedDict()).update(
                (point, None) for point in points)
            self._outbox.setPoints(self._pointCount())

    def clearSeries(self, seriesName):
        """Drop the points of a series that wait in memory."""
        if not isinstance(seriesName, compat.TEXTS):
            return  # there are none
        with self._datasetLock:
            self._dataset.pop(seriesName, None)
            self._outbox.setPoints(self._pointCount())
            if seriesName in self._legacy:
                self._legacy[seriesName].clear()

    def _pointCount(self):
        with self._datasetLock:
            return sum(len(points) for points in self._dataset.values())

    def _convertDataSetToBatches(self):
        """Move points into stores of one column, behind those tracked."""
        with self._datasetLock:
            self._outbox.setPoints(0)  # they are rows of stores from now on
            for name, points in self._dataset.items():
                if name not in self._legacy:
                    self._legacy[name] = DataStore([name])
                store = self._legacy[name]
                self._outbox.track(store)
                store.addRows([
                    (Timestamp(found["time"], unit=TimeUnit.MICROSECONDS),
                     {name: found["value"]})
                    for found in (point.toDict() for point in points)])
            self._dataset.clear()

    # -- sending ----------------------------------------------------------------

    def send(self, timeout=None, progress=None):
        """Deliver every pending row to the backend; return when all are accepted.

        Rows leave oldest first within a store, in requests of at most
        `setBatchSize` values (rows x columns). A row is removed from memory, or
        from the disk buffer, only after the request that carried it was accepted,
        so a call after an error goes on where this one stopped. Several threads
        may call it: no row is sent by two of them.

        Args:
            timeout (int, float or None): limit for the whole call, in seconds.
                None leaves only `setGiveUpAfter` (60 s with nothing accepted).
            progress (callable or None): called in this thread after each request
                as ``progress(accepted, total)``, both counted in rows.

        Returns:
            bool: True, also when there was nothing to send.

        Raises:
            SendError: not everything was accepted. `accepted`, `pending` and
                `inDoubt` count rows; `rejected` holds the refused rows. It is
                also an UnauthorizedError, ConnectionError or TimeoutError if
                that was the cause.
            Error: no device id is set; the message names the builder calls.
            ValueError: `timeout` is not a positive number.

        A chunk refused as unprocessable (400, 413, 422) is halved until the bad
        rows stand alone: one of them must not hold back the rest. Which answers
        are retried, and how long it waits: `iobeam.http.retry`. Looking up the
        backend's name is up to the system and not within the limits.
        """
        if timeout is not None:
            _checkPositive("timeout", timeout, compat.isNumber)
        if progress is not None and not callable(progress):
            raise ValueError("progress must be callable, not {}".format(
                utils.shorten(progress)))
        self._checkFork()
        self._checkOpen()
        if self._sender == threading.current_thread():
            raise request.Error("send() cannot be called from its own progress "
                                "callback")
        if self._activeDevice is None:
            raise outbox.noDevice()
        self._takeIn()
        with calls.Call(timeout, self._options.giveUpAfter) as call:
            try:
                self._convertDataSetToBatches()
                self._sendWithin(call, progress)
            except request.Error as error:
                self._lastError = str(error)
                raise
            except BaseException:  # of progress, a signal handler, Ctrl-C
                self._outbox.commitOrWarn()
                raise
            finally:
                self._counters["requests"] += call.requests
                self._counters["retries"] += call.repeats
                self._counters["bytes"] += call.bytes
        return True

    def _sendWithin(self, call, progress):
        if not compat.acquireWithin(self._sendLock, call.left()):
            self._outbox.commitOrWarn()
            raise self._sendError("another thread is still sending")
        try:
            self._sender = threading.current_thread()
            if self._outbox.buffer is None:
                self._sendAlone(call, progress)
                return
            with self._outbox.buffer.sender(call.left()) as held:
                if not held:
                    self._outbox.commitOrWarn()
                    raise self._sendError("another process is still sending "
                                          "from the same buffer")
                self._sendAlone(call, progress)
        finally:
            self._sender = None
            self._sendLock.release()

    def _sendError(self, message):
        return delivery.sendError(request.TimeoutError(message), 0,
                                  self._outbox)

    def _sendAlone(self, call, progress):
        self._saveUnsaved()
        call.onTrouble = self._outbox.commitOrWarn
        try:
            self._checkToken()
        except (request.Error, EnvironmentError) as error:
            self._outbox.commitOrWarn()
            raise delivery.sendError(error, 0, self._outbox)
        if self._options.useServerTime:
            self._learnClock()
        delivery.Delivery(
            self, self._outbox, self._importService, self._batchSize, call,
            self._options.settings, progress).run()

    def flush(self):
        """Commit every row in memory to the disk buffer; no network.

        When it returns, they survive power cuts.

        Raises:
            SpoolError: the disk does not take them; they stay in memory.
            Error: there is no `bufferToDisk`, or no device.
        """
        self._checkFork()
        self._checkOpen()
        if self._outbox.buffer is None:
            raise request.Error("flush() needs a disk buffer: build the client "
                                "with bufferToDisk()")
        if self._activeDevice is None:
            raise outbox.noDevice()
        self._saveUnsaved()
        self._takeIn()
        self._convertDataSetToBatches()
        self._outbox.commit()

    def close(self):
        """Let the stores go; commit rows in memory to the disk buffer.

        Never touches the network. Without a buffer it warns how many rows it
        leaves. May be called again.

        Raises:
            SpoolError: the disk does not take them; the client stays open.
        """
        self._checkFork()
        if not self._isOpen:
            return
        self._saveUnsaved()
        self._keepRows(self._outbox.commit)
        self._isOpen = False
        self._outbox.close()
        session = getattr(self._requester, "_session", None)
        if isinstance(self._requester, request.Requester):
            session.close()

    def _keepRows(self, commit):
        """Commit what is in memory, or say how much is left there."""
        rows = self._outbox.rowsInMemory() + self._pointCount()
        if not rows:
            if self._outbox.buffer is not None:
                self._outbox.buffer.writeOwed()
            return
        if self._outbox.buffer is not None and self._activeDevice is not None:
            self._convertDataSetToBatches()
            commit()
        else:
            self._warnOnce(
                "%d rows were not sent; call send(), or build the client with "
                "bufferToDisk() to keep them", rows)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None and self._isOpen:
                self.send()
        finally:
            self.close()

    def __del__(self):
        # a client that nobody holds any more: its stores are free again, and
        # what can be kept is
        if self.__dict__.get("_isOpen") and self._pid == os.getpid() \
                and "_lastError" in self.__dict__:
            self._isOpen = False
            self._keepRows(self._outbox.commitOrWarn)
            self._outbox.close()

    # -- looking ------------------------------------------------------------------

    def pending(self):
        """Return how many rows wait, in memory and in the disk buffer."""
        self._checkFork()
        return self._outbox.pending() + self._pointCount()

    def rejected(self):
        """Return the last rows (10 000 at most) that the backend refused.

        Returns:
            list of RejectedRow: (projectId, deviceId, row, statusCode,
            apiErrors); with a disk buffer those of earlier runs as well.
        """
        if self._outbox.buffer is not None:
            try:
                return [outbox.RejectedRow(self.projectId, *found) for found in
                        self._outbox.buffer.rejectedRows(
                            self.projectId, outbox.MAX_REMEMBERED)]
            except request.SpoolError as error:
                utils.getLogger().warning("%s", error)
        return list(self._outbox.remembered)

    def stats(self):
        """Return counters since the client was built.

        Returns:
            dict: rows: ``added``, ``accepted``, ``pending``, ``rejected``,
            ``dropped`` (by maxBytes); ``requests`` (attempts), ``retries``,
            ``bytes`` (sent by `send()`), ``refreshes``; ``clockOffset`` (s,
            the backend's clock less ours, None if unknown), ``lastError``
            (str or None).
        """
        found = dict(self._counters)
        found.update(
            added=self._outbox.added() + self._pointCount(),
            accepted=self._outbox.accepted, pending=self.pending(),
            rejected=self._outbox.rejected, dropped=self._outbox.dropped,
            refreshes=self._tokens.refreshes, clockOffset=self._clockOffset,
            lastError=self._lastError)
        return found

    def __repr__(self):
        return "<iobeam client: project {}, device {}>".format(
            self.projectId, self.getDeviceId())

    # -- the clock ------------------------------------------------------------------

    def _learnClock(self):
        """Ask for the server's time, if it is to be used."""
        if not self._options.useServerTime:
            return
        running = calls.current()
        # a part of what is left: the rows go also if the clock does not answer
        with calls.Call(min(_CLOCK_SECONDS, running.left() / 4)) as call:
            call.onTrouble = running.onTrouble
            before = utils.time.time()
            server = self._deviceService.getTimestamp()
            middle = (before + utils.time.time()) / 2
        if server >= 0:
            self._serverOffset = server - int(middle * 1000)

    def _nowOffset(self):
        """ms that "now" is ahead of the local clock."""
        if not self._options.useServerTime:
            return 0
        if self._serverOffset is None:
            self._warnOnce("the server's time is not known yet: rows without a "
                           "timestamp get this machine's")
            return 0
        return self._serverOffset

    # -- small things -----------------------------------------------------------------

    def _newCall(self):
        running = calls.current(None)  # that of build(): one limit for all
        return calls.Call(None if running is None else running.left(),
                          self._options.giveUpAfter)

    def _warnOnce(self, message, *args):
        if message not in self._warned:
            self._warned.add(message)
            utils.getLogger().warning(message, *args)

    def _checkOpen(self):
        if not self._isOpen:
            raise request.Error("the client is closed; build a new one")

    def _checkFork(self):
        """In a forked child, leave the rows that are the parent's to it."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._sendLock = threading.Lock()
        self._datasetLock = threading.RLock()
        self._sender = None
        self._tokens.newLock()
        lost = self._outbox.forget() + self._pointCount()
        self._dataset.clear()
        if lost:
            utils.getLogger().warning(
                "%d rows that were added before the fork are the parent's to "
                "send; this child starts without", lost)

    @staticmethod
    def query(token, qry, backend=None):
        """Carry out a query: `makeQuery`."""
        return exports.ExportService(
            token, requester=_requesterOf(backend)).getData(qry)

    @staticmethod
    def fetchToken(userToken, projectId, duration=None, options=None,
                   backend=None):
        """Get a project token with a user's: `TokenService.getProjectToken`."""
        return tokens.TokenService(
            requester=_requesterOf(backend)).getProjectToken(
                userToken, projectId, duration=duration, options=options)


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


def _requesterOf(backend):
    if backend is None or isinstance(backend, compat.TEXTS):
        return request.getRequester(backend)
    return _checkedRequester(backend)


def _checkedRequester(backend):
    if not all(hasattr(backend, name)
               for name in ("makeEndpoint", "get", "post")):
        raise ValueError("backend must be a URL or a requester (makeEndpoint, "
                         "get, post), not {}".format(utils.shorten(backend)))
    return backend


def _baseUrlOf(requester):
    found = getattr(requester, "baseUrl", None)
    return found if isinstance(found, compat.TEXTS) else None  # not a mock's


def _absolute(what, path):
    path = path.__fspath__() if hasattr(path, "__fspath__") else path
    if not isinstance(path, compat.TEXTS) or not path:
        raise ValueError("{}: path must be a string, the name of a folder, not "
                         "{}".format(what, utils.shorten(path)))
    return os.path.abspath(path)


def _spoolIn(arguments):
    if arguments is None:
        return None
    from iobeam import buffer  # SQLite: for those who ask

    return buffer.Spool(*arguments)


def _checkPositive(what, value, isKind):
    if not isKind(value) or not 0 < value < float("inf"):
        raise ValueError("{} must be {} greater than 0, not {}".format(
            what, "an int" if isKind is compat.isInteger else "a number",
            utils.shorten(value)))


@atexit.register
def _atExit():
    for client in list(_clients):
        if client._isOpen and client._pid == os.getpid():
            client._keepRows(client._outbox.commitOrWarn)


_forking = []  # the outboxes that a fork holds


def _beforeFork():
    # No other thread may be amid a commit: Pythons up to 3.10 close its
    # connection in the child, and that would roll the parent's commit back.
    for client in list(_clients):
        client._outbox.pause()
        _forking.append(client._outbox)


def _afterForkInParent():
    while _forking:
        _forking.pop().resume()


def _afterForkInChild():
    del _forking[:]
    for client in list(_clients):
        client._checkFork()


if hasattr(os, "register_at_fork"):  # from Python 3.7 on
    os.register_at_fork(before=_beforeFork,  # novm
                        after_in_parent=_afterForkInParent,
                        after_in_child=_afterForkInChild)
