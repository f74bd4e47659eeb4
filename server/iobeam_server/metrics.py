"""What one process counts, in the form Prometheus reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, Optional

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A commit waits for the disk: 1 ms on a good one, seconds on an SD card that is wearing out.
_COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Silent(NamedTuple):
    """A device that has fallen silent."""

    project_id: int
    device_id: str
    last_s: float
    """Time of its newest point."""


class Metrics:
    """The counters of one backend, in a registry of its own: a process may hold several."""

    def __init__(self) -> None:
        self._silent: Callable[[], Sequence[Silent]] = tuple
        self._clock: Callable[[], float] = lambda: 0.0
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

    def watch_silence(
        self, silent: Callable[[], Sequence[Silent]], clock: Callable[[], float]
    ) -> None:
        """Show the devices that are silent, asked for when metrics are read; clock in s."""
        self._silent = silent
        self._clock = clock

    def shown(self, project_id: Optional[int] = None, device_id: Optional[str] = None) -> bytes:
        """Return all of it; of devices those of one project, or the one; None is each."""
        silent = [
            one
            for one in self._silent()
            if project_id in (None, one.project_id) and device_id in (None, one.device_id)
        ]
        registry = CollectorRegistry()
        registry.register(_Silence(silent, self._clock()))
        return generate_latest(self._registry) + generate_latest(registry)


class _Silence:
    """Shows silent devices as Prometheus asks for them."""

    def __init__(self, silent: Sequence[Silent], now_s: float) -> None:
        self._silent = silent
        self._now_s = now_s

    def collect(self) -> Iterator[Metric]:
        shown = GaugeMetricFamily(
            "iobeam_device_silent_seconds",
            "Since the newest point of a device that has sent nothing for five times as long as"
            " it usually does; others are not listed.",
            labels=["project", "device"],
        )
        for one in self._silent:
            shown.add_metric([str(one.project_id), one.device_id], self._now_s - one.last_s)
        yield shown
