"""Which token to use: judge it, refresh it in time, hand the new one on.

The only place where a token is read and held against the clock.
"""
from __future__ import absolute_import

from iobeam import errors
from iobeam.http import call as calls
from iobeam.http import retry
from iobeam.utils import compat, gate, utils

_NEVER = float("inf")
_DAY = 24 * 60 * 60.0  # seconds
_LIFE_PART = 10  # a refreshed token is renewed in the last tenth of its life
_PAUSE_SECONDS = 10 * 60.0  # after a refresh that brought nothing


class TokenKeeper(object):
    """The project token of one client.

    Args:
        token (str): the one from the builder.
        projectId (int): what its ``pid`` must be.
        refresh (callable): takes a token, returns the backend's new one.
        adopt (callable): takes the token that is to be used from now on.
        identity (Identity or None): keeps a refreshed token for the next run.
        clock (callable): monotonic seconds.
    """

    def __init__(self, token, projectId, refresh, adopt, identity=None,
                 clock=compat.monotonic):
        self._token = token.strip()
        self._projectId = projectId
        self._refresh = refresh
        self._adopt = adopt
        self._identity = identity
        self._clock = clock
        self._received = None  # wall clock, for a token got by refresh
        self._checked = False
        # monotonic: no refresh at all before, none unasked, none forced
        self._nextTry = self._nextDue = self._nextForced = None
        self._gate = gate.Gate()
        self.refreshes = 0

    def newGate(self):
        """Forget who was inside of the gate: for a forked child."""
        self._gate = gate.Gate()

    def check(self):
        """See to it that the token is good for a while yet.

        Raises:
            ValueError: it is no token, or one of another project.
            ConnectionError, TimeoutError: it needs a refresh, and the backend
                does not answer.
        """
        if not self._checked:
            self._checkProject(utils.readToken(self._token))
            stored = self._identity and self._identity.readToken()
            if stored is not None and self._isBetter(stored[0]):
                self._received = stored[1]
                self._use(stored[0])
            self._checked = True
        if self._isDue():
            self._renew(self._token, self._isDue)

    def renew(self, refused):
        """Refresh because the backend refuses a token.

        Args:
            refused (str): the token that it did not take.

        Returns:
            bool: whether there is another one now.
        """
        if self._token == refused:
            self._renew(refused, self._mayForce, True)
        return self._token != refused

    def _renew(self, old, isNeeded, forced=False):
        with self._gate.within(calls.current().left()) as entered:
            if not entered:
                raise errors.TimeoutError(
                    "another thread is still refreshing the token")
            if self._token != old or not isNeeded():
                return  # another thread did it while this one waited
            try:
                new = self._refresh(old)
            except (errors.ConnectionError, errors.TimeoutError):
                raise
            except errors.Error as error:
                problem = "the backend refuses (status {})".format(
                    error.statusCode)
                isPassing = retry.isRetried(error.statusCode)
            else:
                problem, isPassing = self._problemOf(new, old), False
            later = self._clock() + _PAUSE_SECONDS
            if forced:
                self._nextForced = later
            if problem is None:
                self._received = utils.time.time()
                self._use(new.strip())
                self.refreshes += 1
                if self._identity is not None:
                    self._identity.saveToken(self._token, self._received)
                if self._isDue():  # the clock may be wrong: not at every call
                    self._nextDue = later
            else:
                self._nextDue = later
                if not isPassing:  # a 401 is no reason to ask again
                    self._nextTry = later
                utils.getLogger().warning(
                    "the token could not be refreshed: %s; the old one is "
                    "used on, next try in %d minutes", problem,
                    _PAUSE_SECONDS // 60)

    def _use(self, token):
        self._token = token
        self._adopt(token)

    def _problemOf(self, new, old):
        """What is wrong with the answer to a refresh, or None."""
        if not isinstance(new, compat.TEXTS) or not new.strip():
            return "the answer holds no token"
        try:
            self._checkProject(utils.readToken(new))
        except ValueError as error:
            return str(error)
        if new.strip() == old:
            return "it is the same token again"
        if self._isUsable(old) and not self._isUsable(new):
            return "the new one has expired already"
        return None

    def _checkProject(self, claims):
        project = claims.get("pid")
        if project is not None and project != self._projectId:
            raise ValueError(
                "the token is for project {}, not {}: check projectId and "
                "token".format(project, self._projectId))

    def _isBetter(self, stored):
        """Tell whether a stored token is to be used in place of ours.

        Also an expired one, if ours expired before it: backends refresh a
        token for a while after its end.
        """
        try:
            self._checkProject(utils.readToken(stored))
        except ValueError:
            return False
        return (self._isUsable(stored)
                or _expiryOf(stored) > _expiryOf(self._token))

    @staticmethod
    def _isUsable(token):
        return _expiryOf(token) > utils.time.time()

    def _isPaused(self, until):
        return until is not None and self._clock() < until

    def _mayForce(self):
        return not (self._isPaused(self._nextTry)
                    or self._isPaused(self._nextForced))

    def _isDue(self):
        """Tell whether a refresh is called for now."""
        if self._isPaused(self._nextDue):
            return False
        if self._received is None:
            return utils.isExpiredToken(self._token)
        expiry = utils.readToken(self._token).get("exp")
        if expiry is None:
            return False
        margin = min(_DAY, max(0, expiry - self._received) / _LIFE_PART)
        return utils.time.time() >= expiry - margin


def _expiryOf(token):
    return utils.readToken(token).get("exp", _NEVER)
