"""``/v1/imports``: sending points."""
from __future__ import absolute_import

from iobeam.endpoints import service
from iobeam.http import request
from iobeam.resources import data
from iobeam.utils import utils

_TIMEFMT = data.TimeUnit.MICROSECONDS.value


class ImportService(service.EndpointService):
    """Sends series and tables of points.

    One request a chunk, and it stops at the first refusal; waiting,
    repeating and splitting refused chunks are the business of the client.
    """

    # Values (rows x columns) in one request: the limit of the hosted service.
    _BATCH_SIZE = 1000

    def importData(self, projectId, deviceId, dataSeries):
        """Send the points of one series in the list format.

        Args:
            projectId (int): the project.
            deviceId (str): the device.
            dataSeries (DataSeries): its points need only ``toDict()``. A dict
                of name to points is taken as well.

        Returns:
            tuple: (True, None), or (False, parsed answer) at the first refusal.

        Raises:
            UnauthorizedError: no token.
            ValueError: an argument is not valid.
        """
        self._check(projectId, deviceId, "dataSeries", dataSeries)
        return self._sendAll({}, self._makeListOfReqs(
            projectId, deviceId, dataSeries))

    def importBatch(self, projectId, deviceId, dataStore):
        """Send the rows of a store in the table format.

        Args, Returns, Raises: as `importData`, with a DataStore. The store
        keeps its rows.
        """
        self._check(projectId, deviceId, "dataStore", dataStore)
        if not isinstance(dataStore, data.DataStore):
            raise ValueError("dataStore must be a DataStore, not {}".format(
                utils.shorten(dataStore)))
        return self._sendAll({"fmt": "table"}, self._makeListOfBatchReqs(
            projectId, deviceId, dataStore))

    def postTable(self, payload):
        """Send one table and return the executed request, unjudged.

        Args:
            payload (dict, or object with ``asDict`` and ``asBytes``): the
                body.
        """
        return self._post({"fmt": "table"}, payload)

    def _check(self, projectId, deviceId, what, value):
        utils.checkValidProjectId(projectId)
        if self.token is None:
            raise request.UnauthorizedError.noTokenSet()
        utils.checkValidProjectToken(self.token)
        utils.checkValidDeviceId(deviceId)
        if value is None:
            raise ValueError("{} cannot be None".format(what))

    def _sendAll(self, params, bodies):
        for body in bodies:
            req = self._post(params, body)
            if not req.isAccepted():
                return (False, req.getResponse())
        return (True, None)

    def _post(self, params, body):
        req = self.requester().post(self.makeEndpoint("imports"))
        req.token(self.token).setBody(body)
        for name, value in params.items():
            req.setParam(name, value)
        req.execute()
        return req

    @staticmethod
    def _makeRequest(pid, did, dataset):
        return {
            "project_id": pid,
            "device_id": did,
            "timefmt": _TIMEFMT,
            "sources": [
                {"name": name, "data": [_pointDict(point) for point in points]}
                for name, points in _seriesOf(dataset)],
        }

    @staticmethod
    def _makeListOfReqs(pid, did, dataset):
        limit = ImportService._BATCH_SIZE
        bodies = []
        chunk, room = [], limit
        for name, points in _seriesOf(dataset):
            points = list(points)
            while points:
                chunk.append((name, points[:room]))
                points, room = points[room:], room - len(points[:room])
                if room == 0:
                    bodies.append(ImportService._makeRequest(pid, did, chunk))
                    chunk, room = [], limit
        if chunk:
            bodies.append(ImportService._makeRequest(pid, did, chunk))
        return bodies

    @staticmethod
    def _makeBatchRequest(pid, did, store):
        return tableBody(pid, did, store.columns(), store._table())

    @staticmethod
    def _makeListOfBatchReqs(pid, did, store):
        columns = store.columns()
        table = store._table()
        count = rowsPerRequest(ImportService._BATCH_SIZE, columns)
        return [tableBody(pid, did, columns, table[start:start + count])
                for start in range(0, len(table), count)]


def rowsPerRequest(limit, columns):
    """Return how many rows fit a request of `limit` values; at least one."""
    return max(1, limit // len(columns))


def tableBody(projectId, deviceId, columns, table):
    """Return the body of a table import; times are in microseconds."""
    return {
        "project_id": projectId,
        "device_id": deviceId,
        "sources": {"fields": ["time"] + list(columns), "data": table},
        "timefmt": _TIMEFMT,
    }


def tableBytes(projectId, deviceId, columns, texts):
    """Return `tableBody` as JSON, of rows that are serialised already.

    Args:
        texts (list of str or bytes): JSON lists, each one or more joined by
            commas.

    Returns:
        bytes: UTF-8.
    """
    head = u'{{"project_id":{},"device_id":{},"sources":{{"fields":{},"data":['
    tail = u']},"timefmt":"%s"}' % _TIMEFMT
    return (head.format(projectId, utils.toJson(deviceId), utils.toJson(
        ["time"] + list(columns))).encode("utf-8")
        + b",".join(text if isinstance(text, bytes) else text.encode("utf-8")
                    for text in texts) + tail.encode("utf-8"))


def _seriesOf(dataset):
    """(name, points) pairs of a DataSeries, a dict, or such pairs."""
    if hasattr(dataset, "getPoints"):
        return [(dataset.getName(), dataset.getPoints())]
    return list(dataset.items() if hasattr(dataset, "items") else dataset)


def _pointDict(point):
    found = point.toDict()
    value = found.get("value")
    if isinstance(value, float) and value - value != 0:
        found = dict(found, value=None)  # NaN and infinities: not in JSON
    return found
