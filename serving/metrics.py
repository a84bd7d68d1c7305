"""What Prometheus is told: requests of the API's processes, and the jobs in the store.

Where several processes answer requests, set ``PROMETHEUS_MULTIPROC_DIR`` to an empty folder before any of them starts:
each then tells of all. What is said of jobs comes from the store and is the same everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from serving.jobs import JobStore

CONTENT_TYPE = CONTENT_TYPE_LATEST
_REGISTRY = CollectorRegistry()
REQUESTS = Counter("dysenvdm_http_requests", "Requests answered.", ["method", "route", "status"], registry=_REGISTRY)
SECONDS = Histogram(
    "dysenvdm_http_request_seconds",
    "Seconds to the end of an answer; event streams apart.",
    ["method", "route"],
    registry=_REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
STREAMS = Gauge("dysenvdm_event_streams", "Open event streams.", registry=_REGISTRY, multiprocess_mode="livesum")
REFUSED = Counter("dysenvdm_http_refused", "Requests refused before a route saw them.", ["code"], registry=_REGISTRY)


class _Jobs(Collector):
    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily("dysenvdm_jobs", "Jobs in the store.", labels=["kind", "status"])
        for (kind, status), count in self._store.counts().items():
            jobs.add_metric([kind, status.value], count)
        yield jobs
        waiting = GaugeMetricFamily("dysenvdm_jobs_waiting", "Jobs that wait for a worker.", labels=["stage"])
        for stage, count in self._store.waiting().items():
            waiting.add_metric([stage.value], count)
        yield waiting


def exposition(store: JobStore) -> bytes:
    """All of it as text; raises what the store raises where it does not answer."""
    shown = CollectorRegistry()
    shown.register(_Jobs(store))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(shown)  # type: ignore[no-untyped-call]
        return generate_latest(shown)
    return generate_latest(_REGISTRY) + generate_latest(shown)
