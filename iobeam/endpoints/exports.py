"""``/v1/exports``: reading points back."""
from __future__ import absolute_import

from iobeam.endpoints import service
from iobeam.utils import utils


class ExportService(service.EndpointService):
    """Answers queries."""

    def getData(self, query):
        """Carry out a query.

        Args:
            query (Query): what to ask for.

        Returns:
            dict: ``{"result": [{"project_id", "device_id", "name", "data":
            [{"time", "value"}, ..]}, ..]}``; text for ``output("csv")``.

        Raises:
            UnauthorizedError: no token, 401 or 403.
            UnknownCodeError: another status than 200.
            ValueError: `query` is None, or groups without an operator.
        """
        if query is None:
            raise ValueError("query cannot be None")
        self._checkTokenSet()
        utils.checkValidProjectToken(self.token)
        params = query.getParams()
        req = self.requester().get(
            self.makeEndpoint("exports/{}".format(query.getUrl())))
        req.token(self.token)
        for name, value in params.items():
            req.setParam(name, value)
        req.execute()
        if req.getResponseCode() != 200:
            self.raiseUnknownCodeError(req)
        if params.get("output") == "csv":
            return getattr(req.resp, "text", None)
        return req.getResponse()
