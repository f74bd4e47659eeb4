"""What one process counts, in the form Prometheus reads."""

from __future__ import annotations

from typing import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A commit waits for the disk: 1 ms on a good one, seconds on an SD card that is wearing out.
_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The counters of one backend, in a registry of its own: a process may hold several."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # memory, CPU, descriptors
        self.requests = Counter(
            "iobeam_requests",
            "Answers, by route template and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "iobeam_request_seconds",
            "Time from the whole request received to the answer made.",
            ["method", "route"],
            registry=self._registry,
        )
        self.values_stored = Counter(
            "iobeam_values_stored",
            "Values (rows x columns, gaps left out) that were committed.",
            registry=self._registry,
        )
        self.writer_refusals = Counter(
            "iobeam_writer_refusals",
            "Imports answered 429: the writer's queue was above its high-water mark.",
            registry=self._registry,
        )
        self.commit_seconds = Histogram(
            "iobeam_commit_seconds",
            "Time of one transaction of the writer, commit included.",
            buckets=_COMMIT_BUCKETS_S,
            registry=self._registry,
        )
        self.commit_requests = Counter(
            "iobeam_commit_requests",
            "Imports that went through the writer; per commit, how well they group.",
            registry=self._registry,
        )

    def watch_queue(self, values: Callable[[], int], requests: Callable[[], int]) -> None:
        """Show the depth of the writer's queue, asked for when metrics are read."""
        for name, text, depth in (
            ("iobeam_writer_queue_values", "Values that wait for the writer.", values),
            ("iobeam_writer_queue_requests", "Imports that wait for the writer.", requests),
        ):
            Gauge(name, text, registry=self._registry).set_function(depth)

    def shown(self) -> bytes:
        return generate_latest(self._registry)
