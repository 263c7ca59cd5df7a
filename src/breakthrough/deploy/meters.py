"""What the service counts, in Prometheus format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

LATENCY_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Meters:
    """Counters and histograms of one service, in a registry of their own.

    Units:  latencies from the first byte of a request to its answer
    """

    def __init__(self, sizes: tuple[int, ...], depth: Callable[[], float], busy: Callable[[], float]) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self._registry, "namespace": "breakthrough"}
        ProcessCollector(namespace="breakthrough", registry=self._registry)
        self.requests = Counter("requests_total", "Requests to /v1/inspect, by status.", ["status"], **made)
        self.refused = Counter("refused_total", "Requests that were not answered, by reason.", ["reason"], **made)
        self.latency = Histogram("request_seconds", "From a request to its answer.", buckets=LATENCY_S, **made)
        self.batch = Histogram("batch_size", "Pictures computed together.", buckets=sizes, **made)
        self.model = Histogram("model_seconds", "The time of one batch in the net.", buckets=LATENCY_S, **made)
        Gauge("queue_depth", "Requests that wait for the net.", **made).set_function(depth)
        Gauge("requests_open", "Requests that are being read, wait or are computed.", **made).set_function(busy)
        self._answered = self.requests.labels("200")

    def answered(self, took_s: float) -> None:
        """Count an answer."""
        self._answered.inc()
        self.latency.observe(took_s)

    def refuse(self, status: int, reason: str) -> None:
        """Count a refusal."""
        self.requests.labels(str(status)).inc()
        self.refused.labels(reason).inc()

    def computed(self, size: int, took_s: float) -> None:
        """Count a batch."""
        self.batch.observe(size)
        self.model.observe(took_s)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)
