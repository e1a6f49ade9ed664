"""What the webhook counts, for Prometheus."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

MILLISECONDS = 0.001
BUCKETS = tuple(count * MILLISECONDS for count in (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 500))


class Metrics:
    """One registry with the series of one webhook process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reviews = Counter(
            "keeper_injector_reviews", "Admission reviews answered.", ["decision", "reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "keeper_injector_review_seconds", "Time to decide and patch.", buckets=BUCKETS, registry=self.registry
        )
        self.in_flight = Gauge(
            "keeper_injector_reviews_in_flight", "Reviews being read or answered.", registry=self.registry
        )
        self._rejected = Counter(
            "keeper_injector_requests_rejected",
            "HTTP requests that were no review.",
            ["status"],
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "keeper_injector_certificate_expiry_timestamp_seconds",
            "When the serving certificate expires.",
            registry=self.registry,
        )
        self._runs = Counter(
            "keeper_injector_certificate_runs",
            "Runs of the program that keeps the certificate right, by result.",
            ["result"],
            registry=self.registry,
        )
        Info("keeper_injector_build", "Version of the webhook.", registry=self.registry).info(
            {"version": version("keeper-injector-webhook")}
        )

    def reviewed(self, decision: str, reason: str, seconds: float) -> None:
        """Count one review and how long it took, in seconds."""
        self._reviews.labels(decision, reason).inc()
        self._seconds.observe(seconds)

    def certificate_run(self, result: str) -> None:
        """Count one run of the program that keeps the certificate right: ``ok`` or ``failed``."""
        self._runs.labels(result).inc()

    def rejected(self, status: int) -> None:
        """Count a request that was answered with an HTTP error."""
        self._rejected.labels(str(status)).inc()

    def text(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return generate_latest(self.registry)
