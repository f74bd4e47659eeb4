"""What every REST resource shares: a token, a requester, judging answers."""
from __future__ import absolute_import

from iobeam.http import request
from iobeam.utils import utils


class EndpointService(object):
    """A token and a requester. Nothing is checked at construction.

    Args:
        token (str or None): sent as bearer with every request.
        requester (Requester or None): None for the shared one of the default
            base URL, looked up when it is first needed.
    """

    def __init__(self, token, requester=None):
        self.token = token
        self._given = requester

    def requester(self):
        """Return the requester of this service."""
        return self._requester

    @property
    def _requester(self):
        if self._given is None:
            self._given = request.getRequester()
        return self._given

    @_requester.setter
    def _requester(self, requester):
        self._given = requester

    def makeEndpoint(self, path):
        """Return the address of `path` of the API."""
        return self.requester().makeEndpoint(path)

    def raiseUnknownCodeError(self, req):
        """Raise the error of an answer that is no success.

        Raises:
            UnauthorizedError: 401 or 403; it is an UnknownCodeError as well.
            UnknownCodeError: anything else.
        """
        if req.getResponseCode() in (401, 403):
            raise request.UnauthorizedCodeError(req)
        raise request.UnknownCodeError(req)

    def _checkToken(self):
        if not self.token:
            raise request.UnauthorizedError.noTokenSet()
        utils.checkValidProjectToken(self.token)
