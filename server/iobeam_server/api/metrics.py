"""``/metrics``: what the process counts, and the hook that counts requests."""

from __future__ import annotations

import time

import falcon
from prometheus_client import Counter, Histogram

from iobeam_server import metrics
from iobeam_server.api.access import Access, Resource
from iobeam_server.api.operations import Operation, Reply

# Names of a client's making must not become labels: each would be kept for ever.
_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"})


class MetricsPage(Resource):
    """``/metrics``."""

    access = {"GET": Access.LOCAL_OR_ADMIN}
    pool = "metrics"
    operations = {"GET": Operation({200: Reply("The counters.", media=["text/plain"])})}

    def __init__(self, counted: metrics.Metrics) -> None:
        self._counted = counted

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer the counters of this process in Prometheus' text format, and silent devices.

        With a token those that it reaches; without one, those of every project.

        Needs a project token with admin, unless the server is bound to loopback and the
        request did not come through a proxy.
        """
        resp.content_type = metrics.TYPE
        claims = req.context.claims
        if claims is None:
            resp.data = self._counted.shown()
        else:
            resp.data = self._counted.shown(claims.pid, claims.did)


class RequestCounter:
    """Falcon middleware: counts answers by route template, never by path."""

    def __init__(self, counted: metrics.Metrics) -> None:
        self._counted = counted
        # looking one up by its labels takes longer than counting with it
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        req.context.counted_from = time.perf_counter()

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, resource: object, succeeded: bool
    ) -> None:
        method = req.method if req.method in _METHODS else "other"
        route = req.uri_template or "unknown"
        status = falcon.http_status_to_code(resp.status)
        answers, seconds = self._answers.get((method, route, status)) or self._of(
            method, route, status
        )
        answers.inc()
        ended = time.perf_counter()
        # falcon refuses the method WEBSOCKET before `process_request`
        took = ended - getattr(req.context, "counted_from", ended)
        seconds.observe(took)

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        found = self._answers[method, route, status] = (
            self._counted.requests.labels(method, route, status),
            self._counted.request_seconds.labels(method, route),
        )
        return found
