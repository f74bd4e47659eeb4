"""The client that a script holds: a device's connection to a backend.

It looks after device, token and limits, and hands rows to the outbox; what one
`send()` does is `iobeam.delivery`'s business.
"""
from __future__ import absolute_import

import os
import weakref

from iobeam import auth, classic, clock, delivery, outbox, processes
from iobeam.endpoints import devices, exports, imports, tokens
from iobeam.http import call as calls
from iobeam.http import loading
from iobeam.http import request
from iobeam.options import Options
from iobeam.resources import data, device
from iobeam.utils import compat, utils
from iobeam.utils import gate as gates

_CLOCK_SECONDS = 10.0  # longest wait for the server's clock (useServerTime)


class _Client(classic.Seams):
    """A device's connection to a backend; made by `ClientBuilder.build`.

    Attributes:
        projectId (int), projectToken (str): the token is the one in use.
    """

    def __init__(self, path, projectId, projectToken, backend, deviceId=None,
                 options=None):
        utils.checkValidProjectId(projectId)
        utils.checkValidProjectToken(projectToken)
        self.projectId = projectId
        self.projectToken = projectToken.strip()
        self._path = path
        self._options = options or Options()
        self._activeDevice = None
        self._asksToRegister = None
        self._isOpen = True
        self._isKept = False  # the end of the program has looked after it
        self._lost = None  # the rows that it could not keep
        self._pid = os.getpid()
        self._sending = gates.Gate()
        self._counters = dict.fromkeys(
            ("requests", "retries", "bytes"), 0)
        self._lastError = None
        self._warned = set()
        self._connect(backend)
        self._keepTokens(path, projectToken)
        self._keepRowsIn(self._options)
        processes.watch(self)
        if deviceId is None and self._identity is not None:
            deviceId = self._identity.readDeviceId()
            if deviceId is not None:
                self._activate(device.Device(projectId, deviceId))
        elif deviceId is not None:
            self.setDeviceId(deviceId)

    def _connect(self, backend):
        """Make what talks to the backend; nothing is sent yet."""
        if backend is None or isinstance(backend, compat.TEXTS):
            self._requester = request.Requester(request.baseUrl(backend),
                                                self._options.settings)
        else:
            self._requester = request.checkedRequester(backend)
        self._deviceService = devices.DeviceService(
            self.projectToken, requester=self._requester)
        self._importService = imports.ImportService(
            self.projectToken, requester=self._requester)
        self._tokenService = tokens.TokenService(requester=self._requester)

    def _keepTokens(self, path, builderToken):
        self._identity = None
        if path is not None:
            from iobeam import identity  # hashes and files: for those who ask

            self._identity = identity.Identity(
                os.path.abspath(path), self.projectId,
                request.baseUrlOf(self._requester), builderToken)
        this = weakref.ref(self)  # so that a dropped client goes at once
        self._tokens = auth.TokenKeeper(
            builderToken, self.projectId, self._tokenService.refreshToken,
            lambda token: this()._adoptToken(token), self._identity)

    def _keepRowsIn(self, options):
        self._batchSize = delivery.BatchSize(
            options.batchSize, imports.ImportService._BATCH_SIZE)
        self._clock = clock.Clock(options.useServerTime)
        this = weakref.ref(self)
        self._outbox = outbox.Outbox(
            self.projectId, self._clock,
            lambda: this() and this().checkFork(),
            options.spool(self._requester), options.autoFlush)

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

    def _activate(self, found, save=False):
        self.checkFork()
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
        if accepted:
            self._clock.noteDate(req.getResponseHeader("Date"))

    # -- adding -----------------------------------------------------------------

    def createDataStore(self, columns):
        """Return the tracked store with these columns, or a new one.

        Args:
            columns (list or tuple of str): in any order.

        Raises:
            ValueError: they are not valid columns.
        """
        self.checkFork()
        if isinstance(columns, (list, tuple)):
            columns = list(columns)
            for store in self._batches:
                if store.hasSameColumns(columns):
                    return store
        store = data.DataStore(columns)
        self.addDataStore(store)
        return store

    def addDataStore(self, store):
        """Track a store: its rows go with every `send()`.

        Raises:
            ValueError: no DataStore, or another open client tracks it.
        """
        self._ready()
        if store is None:
            utils.getLogger().warning("addDataStore(None) adds nothing")
            return
        if not isinstance(store, data.DataStore):
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
        if not isinstance(point, data.DataPoint):
            utils.getLogger().warning("addDataPoint: %s is no DataPoint and is "
                                      "not added", utils.shorten(point))
            return
        self._addPoints(seriesName, [point])

    def addDataSeries(self, series):
        """Add the points of a series; equal points are kept once.

        Raises:
            ValueError: no DataSeries, or something in it is no DataPoint.
        """
        if not isinstance(series, data.DataSeries):
            raise ValueError("series must be a DataSeries, not {}".format(
                utils.shorten(series)))
        if len(series) == 0:
            utils.getLogger().warning("addDataSeries: %s is empty", series)
            return
        for point in series.getPoints():
            if not isinstance(point, data.DataPoint):
                raise ValueError("{} holds {}, which is no DataPoint".format(
                    series, utils.shorten(point)))
        self._addPoints(series.getName(), series.getPoints())

    def _addPoints(self, name, points):
        self._ready()
        self._outbox.addPoints(name, points)

    def clearSeries(self, seriesName):
        """Drop the points of a series that wait in memory."""
        if isinstance(seriesName, compat.TEXTS):  # else there are none
            self._outbox.clearPoints(seriesName)

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
            progress (callable, bool or None): called in this thread after each
                request as ``progress(accepted, total)``, both counted in rows.
                True shows it on terminals and in notebooks, by tqdm if it can.

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
            utils.checkPositive("timeout", timeout, compat.isNumber)
        if progress is not None and not callable(progress):
            from iobeam.progress import showing
            return showing(self.send, timeout, progress)
        if self._sending.isHeldHere() or self._outbox.gate.isHeldHere():
            raise request.Error(
                "send() cannot be called amid another call of the client in "
                "the same thread, such as from its own progress callback or "
                "from a signal handler; flush() can")
        self._ready(needsDevice=True)
        with calls.Call(timeout, self._options.giveUpAfter) as call:
            try:
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
        with self._sending.within(call.left()) as entered:
            if not entered:
                self._outbox.commitOrWarn()
                raise self._sendError("another thread is still sending")
            if self._outbox.buffer is None:
                self._sendAlone(call, progress)
                return
            with self._outbox.buffer.sender(call.left()) as held:
                if not held:
                    self._outbox.commitOrWarn()
                    raise self._sendError("another process is still sending "
                                          "from the same buffer")
                self._sendAlone(call, progress)

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

        When it returns, they survive power cuts. Amid another call of this
        thread, as in a signal handler, that one does it before it ends.

        Raises:
            SpoolError: the disk does not take them; they stay in memory.
            Error: there is no `bufferToDisk`, or no device.
        """
        self._ready()
        if self._outbox.buffer is None:
            raise request.Error("flush() needs a disk buffer: build the client "
                                "with bufferToDisk()")
        self._ready(needsDevice=True)
        self._saveUnsaved()
        self._outbox.commit()

    def close(self):
        """Let the stores go; commit rows in memory to the disk buffer.

        Never touches the network. Without a buffer it warns how many rows it
        leaves. May be called again.

        Raises:
            SpoolError: the disk does not take them; the client stays open.
        """
        self.checkFork()
        if not self._isOpen:
            return
        if self._outbox.gate.isHeldHere():
            gates.later(self.close)  # amid another call of this thread
            return
        self._saveUnsaved()
        self._takeIn()
        self._outbox.keep(self._warnOnce)
        self._isOpen = False
        self._outbox.close()
        if isinstance(self._requester, request.Requester):
            self._requester.close()

    def keepRows(self, warn=processes.warn):
        """Keep what is in memory at the end, or say how much is lost."""
        if not self._isOpen or self._pid != os.getpid():
            return  # a fork's parent looks after them, and may hold the gate
        if self._outbox.rowsInMemory() != self._lost:
            self._isKept = True
            self._takeIn()
            try:
                self._outbox.keep(warn)
            except request.SpoolError as error:
                warn("%d rows were not sent and are lost: %s",
                     self._outbox.rowsInMemory(), error)
            self._lost = self._outbox.rowsInMemory()  # that is said once

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
        # what can be kept is; there are none if making it failed before
        if "_outbox" in self.__dict__ and self._isOpen and not self._isKept \
                and self._pid == os.getpid():  # last: 2.7 ends modules first
            buffer = self._outbox.buffer
            if buffer is not None and buffer.isBusyHere():
                gates.later(self.leave)  # lives for so long
            else:
                self.leave()

    def leave(self):
        """Keep what is in memory, and let the stores go: it is collected."""
        # without a buffer nothing was promised: what the log says is enough
        self.keepRows(self._warnOnce if self._outbox.buffer is None
                      else processes.warn)
        self._isOpen = False
        self._outbox.close()

    # -- looking ------------------------------------------------------------------

    def pending(self):
        """Return how many rows wait, in memory and in the disk buffer."""
        self.checkFork()
        return self._outbox.pending()

    def rejected(self):
        """Return the last rows (10 000 at most) that the backend refused.

        Returns:
            list of RejectedRow: (projectId, deviceId, row, statusCode,
            apiErrors); with a disk buffer those of earlier runs as well.
        """
        return self._outbox.rejectedRows()

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
            added=self._outbox.added(),
            accepted=self._outbox.accepted, pending=self.pending(),
            rejected=self._outbox.rejected, dropped=self._outbox.dropped,
            refreshes=self._tokens.refreshes, clockOffset=self._clock.offset,
            lastError=self._lastError)
        return found

    def __repr__(self):
        return "<iobeam client: project {}, device {}>".format(
            self.projectId, self.getDeviceId())

    def _repr_html_(self):
        from iobeam.utils import markup
        return markup.facts(self)

    # -- the clock ------------------------------------------------------------------

    def _learnClock(self):
        """Ask for the server's time, if it is to be used."""
        if not self._options.useServerTime:
            return
        if isinstance(self._requester, request.Requester):
            loading.transport()  # not within the time that the answer takes
        running = calls.current()
        # a part of what is left: the rows go also if the clock does not answer
        with calls.Call(min(_CLOCK_SECONDS, running.left() / 4)) as call:
            call.onTrouble = running.onTrouble
            self._clock.learn(self._deviceService.getTimestamp)
        self._outbox.settleTimes()

    # -- small things -----------------------------------------------------------------

    def _newCall(self):
        running = calls.current(None)  # that of build(): one limit for all
        return calls.Call(None if running is None else running.left(),
                          self._options.giveUpAfter)

    def _warnOnce(self, message, *args):
        if message not in self._warned:
            self._warned.add(message)
            utils.getLogger().warning(message, *args)

    def _ready(self, needsDevice=False):
        """Begin a call that adds or sends something.

        Raises:
            Error: the client is closed; or there is no device, and
                `needsDevice`.
        """
        self.checkFork()
        if not self._isOpen:
            raise request.Error("the client is closed; build a new one")
        if needsDevice:
            if self._activeDevice is None:
                raise outbox.noDevice()
            self._takeIn()

    def gate(self):
        """Return what a fork has to hold."""
        return self._outbox.gate

    def checkFork(self):
        """In a forked child, leave the rows that are the parent's to it."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._sending = gates.Gate()
        self._tokens.newGate()
        lost = self._outbox.forget()
        processes.finalizeChild()
        if lost:
            utils.getLogger().warning(
                "%d rows that were added before the fork are the parent's to "
                "send; this child starts without", lost)

    def makeQuery(self, qry):
        """Carry out a query with this client's token and backend: `makeQuery`.

        Raises:
            Error: the client is closed; and what `makeQuery` raises.
        """
        self._ready()
        with self._newCall():
            self._checkToken()
            return exports.ExportService(
                self.projectToken, requester=self._requester).getData(qry)

    @staticmethod
    def query(token, qry, backend=None):
        """Carry out a query: `makeQuery`."""
        return exports.ExportService(
            token, requester=request.requesterOf(backend)).getData(qry)

    @staticmethod
    def fetchToken(userToken, projectId, duration=None, options=None,
                   backend=None):
        """Get a project token with a user's: `TokenService.getProjectToken`."""
        return tokens.TokenService(
            requester=request.requesterOf(backend)).getProjectToken(
                userToken, projectId, duration=duration, options=options)
