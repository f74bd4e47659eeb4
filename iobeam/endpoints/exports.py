"""``/v1/exports``: reading points back."""
from __future__ import absolute_import

from iobeam.endpoints import service
from iobeam.resources import result
from iobeam.utils import utils


class ExportService(service.EndpointService):
    """Answers queries."""

    def getData(self, query):
        """Carry out a query.

        Args:
            query (Query): what to ask for.

        Returns:
            dict: ``{"result": [{"project_id", "device_id", "name", "data":
            [{"time", "value"}, ..]}, ..]}``, a table in notebooks; text for
            ``output("csv")``.

        Raises:
            UnauthorizedError: no token, 401 or 403.
            UnknownCodeError: another status than 200, a page, or errors.
            ValueError: `query` is no Query, or groups without an operator.
        """
        if query is None:
            raise ValueError("query cannot be None")
        if not hasattr(query, "getParams"):
            raise ValueError("query must be a Query, not {}".format(
                utils.shorten(query)))
        self._checkToken()
        params = query.getParams()
        req = self.requester().get(
            self.makeEndpoint("exports/{}".format(query.getUrl())))
        req.token(self.token)
        for name, value in params.items():
            req.setParam(name, value)
        req.execute()
        isText = params.get("output") == "csv"
        if req.getResponseCode() != 200 or _isPage(req) \
                or not (isText or req.isAccepted()):
            self.raiseUnknownCodeError(req)
        if isText:
            return getattr(req.resp, "text", None)
        found = req.getResponse()
        return result.Result(found) if isinstance(found, dict) else found


def _isPage(req):
    """Tell whether a captive portal answers in place of the backend."""
    return "html" in (req.getResponseHeader("Content-Type") or "").lower()
