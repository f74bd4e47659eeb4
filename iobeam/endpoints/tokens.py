"""``/v1/tokens``: project tokens, got with a user's and refreshed."""
from __future__ import absolute_import

import re

from iobeam.endpoints import service
from iobeam.http import request
from iobeam.utils import compat, utils

_DURATION = re.compile(r"[1-9][0-9]*[wdhms]\Z")
_OPTIONS = frozenset(["read", "write", "admin", "refreshable", "device_id",
                      "include_user"])


class TokenService(service.EndpointService):
    """Gets and refreshes project tokens. Its own `token` is always None."""

    def __init__(self, requester=None):
        service.EndpointService.__init__(self, None, requester=requester)

    def getProjectToken(self, userToken, projectId, duration=None,
                        options=None):
        """Get a token for a project.

        Args:
            userToken (str): a user's token.
            projectId (int): the project.
            duration (str or None): life: a number and one of w, d, h, m, s.
            options (dict or None): ``read``, ``write``, ``admin``,
                ``refreshable``, ``include_user`` (bool), ``device_id`` (str).

        Returns:
            whatever ``token`` the answer holds, None if there is none.

        Raises:
            UnauthorizedError: no user token, 401 or 403.
            UnknownCodeError: another status than 200 or 201.
            ValueError: an argument is not as above.
        """
        if userToken is None:
            raise request.UnauthorizedError.noTokenSet()
        utils.checkValidProjectToken(userToken)
        utils.checkValidProjectId(projectId)
        params = _checkedOptions(options)
        if duration is not None:
            if not (isinstance(duration, compat.TEXTS)
                    and _DURATION.match(duration)):
                raise ValueError("duration must be a number and one of w, d, "
                                 "h, m, s, such as '5w', not {}".format(
                                     utils.shorten(duration)))
            params["duration"] = duration
        params["project_id"] = projectId
        req = self.requester().get(self.makeEndpoint("tokens/project"))
        req.token(userToken)
        for name, value in params.items():
            req.setParam(name, value)
        return self._tokenOf(req)

    def refreshToken(self, oldToken):
        """Exchange a project token for one that lives longer.

        Args:
            oldToken (str): the present one; the backend also takes it for a
                while after it has expired.

        Returns:
            whatever ``token`` the answer holds, None if there is none.

        Raises:
            UnknownCodeError: the backend refuses.
            ValueError: `oldToken` is no string or empty.
        """
        utils.checkValidProjectToken(oldToken)
        req = self.requester().post(self.makeEndpoint("tokens/project"))
        return self._tokenOf(req.setBody({"refresh_token": oldToken}))

    @staticmethod
    def _tokenOf(req):
        req.execute()
        code = req.getResponseCode()
        if code in (200, 201):
            answer = req.getResponse()
            return answer.get("token") if isinstance(answer, dict) else None
        # the body stays out of the message: it may hold a token
        kind = (request.UnauthorizedCodeError if code in (401, 403)
                else request.UnknownCodeError)
        error = req.getApiError() or {}
        raise kind(
            "Received unexpected code: {}\nDetails: no token given (code {})"
            .format(code, utils.shorten(error.get("code"))), code,
            req.getApiErrors())


def _checkedOptions(options):
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise ValueError("options must be a dict, not {}".format(
            utils.shorten(options)))
    unknown = sorted(utils.shorten(name) for name in options
                     if name not in _OPTIONS)
    if unknown:
        raise ValueError("options: {} unknown; known are {}".format(
            ", ".join(unknown), ", ".join(sorted(_OPTIONS))))
    return dict(options)
