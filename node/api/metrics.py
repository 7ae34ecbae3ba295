"""Figures for Prometheus, in a registry of their own: requests as they come, the node's state when it is asked for.

Labels have few values: a route is its template, a peer an enrolled node. Nothing here names a topic or a person.
"""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from node.clock import Clock
from node.service.measure import Figures, LinkFigures

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "OPTIONS"})
_SECONDS = (0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class Metrics:
    """What one app has counted since it started."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "liandong_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "liandong_http_request_seconds",
            "Time until the response was sent.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def seen(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self, figures: Figures, clock: Clock) -> bytes:
        """The exposition: the counters and the given state of the node."""
        now = CollectorRegistry(auto_describe=False)
        now.register(_State(figures, clock))
        return generate_latest(self.registry) + generate_latest(now)


class _State(Collector):
    def __init__(self, figures: Figures, clock: Clock) -> None:
        self._figures, self._clock = figures, clock

    def collect(self) -> Iterable[Metric]:
        topics = GaugeMetricFamily("liandong_topics", "Topics this node takes part in.", labels=["status"])
        for status, count in sorted(self._figures.topics.items()):
            topics.add_metric([status], count)
        yield topics
        yield self._of_links("liandong_link_backlog", "Statements not acknowledged yet.", lambda link: link.backlog)
        yield self._of_links("liandong_link_held", "Statements that wait for a person.", lambda link: link.held)
        yield self._of_links("liandong_link_deferred", "Statements that wait for others.", lambda link: link.deferred)
        yield self._of_links("liandong_link_failures", "Failed attempts in a row.", lambda link: link.failures)
        yield self._of_links("liandong_link_stopped", "1 while the link stands still.", lambda link: link.stopped)
        yield self._of_links("liandong_link_contact_age_seconds", "Since the last contact.", self._age)

    def _of_links(self, name: str, text: str, value: Callable[[LinkFigures], float | None]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["peer"])
        for link in self._figures.links:
            if (measured := value(link)) is not None:
                family.add_metric([link.peer], float(measured))
        return family

    def _age(self, link: LinkFigures) -> float | None:
        if link.last_contact_at is None:
            return None
        return (self._clock.now() - link.last_contact_at).total_seconds()
