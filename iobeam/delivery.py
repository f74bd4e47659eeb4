"""One `send()`: what goes next, and what an answer means for it.

Rows leave in their order. A refused request is halved until the refused rows
stand alone; what the backend does not let a device do holds up this device
alone; anything else that fails ends the call, and the rows stay.
"""
from __future__ import absolute_import

import collections
import re
import time

from iobeam import verdict
from iobeam.errors import Error, SendError, UnauthorizedError, combine
from iobeam.http import request, retry
from iobeam.outbox import RejectedRow
from iobeam.utils import compat, utils

MAX_VALUES = 20000  # of a request, whatever the backend says it takes
_OF_ONE_DEVICE = (verdict.UNAUTHORIZED, verdict.UNKNOWN_DEVICE,
                  verdict.NOT_FOUND)
MIN_VALUES = 50  # a slow link is not helped by still smaller requests


class BatchSize(object):
    """How many values a request may hold, as the link and the backend allow.

    Args:
        fixed (int or None): as set by the program, else 1000 until the
            backend says that it takes more.
    """

    def __init__(self, fixed, default):
        self._fixed = fixed
        self._top = fixed or default
        self._advertised = None  # as it was said last
        self.values = self._top

    def learn(self, advertised):
        """Take up an ``Iobeam-Max-Values`` header (str or None)."""
        if advertised == self._advertised or self._fixed is not None:
            return
        self._advertised = advertised
        if (isinstance(advertised, compat.TEXTS)
                and re.match("0*[1-9][0-9]{0,9}\\Z", advertised)):
            top = min(int(advertised), MAX_VALUES)
            if top != self._top:
                if self.values == self._top or self.values > top:
                    self.values = top
                self._top = top

    def shrink(self):
        """Halve after a time-out or a 413; return whether that was possible."""
        smaller = max(MIN_VALUES, self.values // 2)
        shrunk, self.values = smaller < self.values, min(smaller, self.values)
        return shrunk

    def grow(self):
        """Double after an acceptance, up to the limit."""
        self.values = min(self._top, self.values * 2)


class Delivery(object):
    """One call of `send()`.

    Args:
        client: gives ``renewToken(token)``, ``registerAgain(deviceId)`` (both
            return whether a repeat makes sense) and ``noteAnswer(req, accepted)``.
        outbox (Outbox): the rows.
        service (ImportService): posts them.
        batch (BatchSize): kept by the client from call to call.
        call (Call): the limits.
        settings (Settings): the number of repeats.
        progress (callable or None): told (accepted, total) after each request.
    """

    def __init__(self, client, outbox, service, batch, call, settings,
                 progress=None):
        self._client = client
        self._outbox = outbox
        self._service = service
        self._batch = batch
        self._call = call
        self._settings = settings
        self._progress = progress
        # device to the answer or error that stopped it; the first is raised
        self._skipped = collections.OrderedDict()
        self._rejected = []
        self._firstRefusal = None  # (status, API errors, the answer as text)
        self._accepted = self._total = 0
        self._halving = verdict.Halving()
        self._hasRenewed = self._hasRegistered = False  # for this parcel

    def run(self):
        """Deliver what was pending when it began.

        Raises:
            SendError: not all of it was accepted.
        """
        failure = None
        self._call.onTrouble = self._outbox.commitOrWarn
        try:
            self._outbox.begin()
            if self._progress is not None:
                self._total = self._outbox.pending()
            while failure is None:
                parcel = self._next()
                if parcel is None:
                    break
                failure = self._deliver(parcel)
                if self._progress is not None:
                    self._progress(self._accepted, self._total)
        except BaseException:
            # of `progress`, or KeyboardInterrupt: what was accepted is gone,
            # the rest is pending, and as safe as after any other failure
            self._outbox.commitOrWarn()
            raise
        finally:
            self._call.onTrouble = None
            self._outbox.end()
            if self._rejected:
                utils.getLogger().warning(
                    "%d rows were refused by the backend, the first with %s %s",
                    len(self._rejected), self._firstRefusal[0],
                    self._firstRefusal[2])
        if failure is None:
            failure = self._outbox.unread  # rows on disk were left there
        if failure is None and self._skipped:
            failure = next(iter(self._skipped.values()))
        if failure is None and self._rejected:
            status, apiErrors, text = self._firstRefusal
            failure = SendError("{} {}".format(status, text), status, apiErrors)
        if failure is not None:
            self._outbox.commitOrWarn()
            raise sendError(failure, self._accepted, self._outbox,
                            self._rejected)

    def _next(self):
        return self._outbox.next(self._batch.values, self._halving.size,
                                 self._skipped)

    def _deliver(self, parcel):
        """Send one parcel until it is decided; the error that ends it all."""
        self._call.repeated = 0
        self._hasRenewed = self._hasRegistered = False
        while parcel is not None:  # its store may be cleared meanwhile
            token = self._service.token
            try:
                req = self._post(parcel)
            except (Error, EnvironmentError) as error:
                if not self._waitAfter(error):
                    return error
                parcel = self._again(parcel)
                continue
            found = self._judge(req)
            if found == verdict.ACCEPTED:
                self._accept(parcel)
                return None
            if found == verdict.REFUSED:
                self._refuse(parcel, req)
                return None
            # made now: a double uses its one request for a refresh as well
            failure = _errorOf(req)
            try:
                isMended = self._mend(found, parcel, token)
            except (Error, EnvironmentError) as error:
                return error
            if isMended:
                parcel = self._again(parcel)
            elif found in _OF_ONE_DEVICE:
                self._skip(parcel, failure)
                return None
            else:
                return failure
        return None

    def _judge(self, req):
        isAccepted = req.isAccepted()
        self._client.noteAnswer(req, isAccepted)
        if isAccepted:  # nothing more has to be parsed
            return verdict.ACCEPTED
        return verdict.judge(
            req.getResponseCode(), isAccepted, _isApiError(req),
            req.hasApiErrorCode(request.ERROR_CODE_NOT_FOUND))

    def _mend(self, found, parcel, token):
        """Do what may make a repeat succeed; tell whether something was done."""
        if found == verdict.UNREADABLE:
            self._outbox.noteDoubt(parcel)
        elif found == verdict.TOO_LARGE:
            self._call.repeated = 0
            return self._batch.shrink() and parcel.count > 1
        elif found == verdict.UNAUTHORIZED and not self._hasRenewed:
            self._hasRenewed = True
            return self._client.renewToken(token)
        elif found == verdict.UNKNOWN_DEVICE and not self._hasRegistered:
            self._hasRegistered = True
            return self._client.registerAgain(parcel.deviceId)
        return False

    def _waitAfter(self, error):
        """After a time-out, wait for a repeat; tell whether there is one.

        Repeated here, not below: in a smaller form, so that a link too slow
        for this one does not fail for ever.
        """
        if not (isinstance(error, request.TimeoutError)
                and getattr(error, "isFromTransport", False)):
            return False
        self._batch.shrink()
        self._outbox.commitOrWarn()
        import random  # with its hashes, when it is needed

        wait = retry.backoff(self._call.repeated, random.random)
        if (self._call.repeated >= self._settings.retries
                or wait >= self._call.left()):
            return False
        self._call.repeated += 1
        self._call.repeats += 1
        time.sleep(wait)
        return True

    def _again(self, parcel):
        """The front of the queue again, in the size that is allowed now."""
        self._outbox.putBack(parcel)
        return self._next()

    def _post(self, parcel):
        self._call.resizes = True
        try:
            return self._service.postTable(parcel.payload())
        finally:
            self._call.resizes = False
            if self._call.inDoubt:
                self._outbox.noteDoubt(parcel)
                self._call.inDoubt = False

    def _accept(self, parcel):
        self._outbox.settle(parcel, accepted=True)
        self._accepted += parcel.count
        self._call.progressed()
        self._batch.grow()
        self._halving.accepted(parcel.count)

    def _refuse(self, parcel, req):
        if req.getResponseCode() == 413:
            self._batch.shrink()
        if self._firstRefusal is None:
            self._firstRefusal = (req.getResponseCode(), req.getApiErrors(),
                                  req.describeAnswer())
        row = self._halving.refused(
            parcel.count, [chunk.rows for chunk in parcel.chunks],
            (req.getApiError() or {}).get("row"))
        if row == verdict.ALL:
            self._rejectStretch(parcel, req)
        elif row is not None:
            self._reject(parcel, req, [parcel.rowsAsDicts()[row]], row)
        else:
            self._outbox.putBack(parcel)

    def _reject(self, parcel, req, dicts, row=None):
        rejected = [RejectedRow(self._outbox.projectId, parcel.deviceId, found,
                                req.getResponseCode(), req.getApiErrors())
                    for found in dicts]
        self._outbox.settle(parcel, False, rejected, row)
        self._rejected += rejected
        self._halving.decided(len(rejected))

    def _rejectStretch(self, parcel, req):
        """Nothing of it was accepted in many tries: all of it is refused."""
        while parcel is not None:
            self._reject(parcel, req, parcel.rowsAsDicts())
            parcel = self._next() if self._halving.size else None

    def _skip(self, parcel, error):
        """Leave this device's rows for another time; others may go."""
        self._skipped[parcel.deviceId] = error
        self._halving.giveUp()
        self._outbox.putBack(parcel)


def _isApiError(req):
    """Tell whether the backend itself says it, not a proxy on the way."""
    answer = req.getResponse()
    return isinstance(answer, dict) and bool(answer.get("errors"))


def _errorOf(req):
    """What an answer that is neither acceptance nor refusal amounts to."""
    status = req.getResponseCode()
    kind = UnauthorizedError if status in (401, 403) else Error
    return kind("{} {}".format(status, req.describeAnswer()), status,
                req.getApiErrors())


def sendError(failure, accepted, outbox, rejected=()):
    """Make the SendError that is an instance of its cause as well."""
    cause = type(failure)
    if cause in (Error, SendError):
        kind = SendError
    else:
        kind = combine(SendError, cause)
    said = str(failure)
    if isinstance(failure, (request.ConnectionError, request.TimeoutError)) or not \
            isinstance(failure, Error):
        said = "no answer: " + said
    pending = outbox.pending()
    error = kind("send failed. server sent: " + said,
                 getattr(failure, "statusCode", None),
                 getattr(failure, "apiErrors", ()), accepted=accepted,
                 pending=pending, rejected=rejected,
                 inDoubt=outbox.inDoubt)
    error.cause = getattr(failure, "cause", None)
    if isinstance(failure, EnvironmentError):
        error.request = error.response = None
    return error
