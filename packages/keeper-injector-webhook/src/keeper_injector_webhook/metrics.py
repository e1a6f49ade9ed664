"""The Prometheus metrics of one webhook process."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

_MILLISECOND = 0.001
_BUCKETS = tuple(count * _MILLISECOND for count in (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 25, 50, 100, 500))
# Every counter starts at 0 for each of its usual labels: to Prometheus, a series that begins at 1 has not increased.
_REVIEWS = (
    ("inject", "asked"),
    ("deny", "annotations"),
    ("error", "bug"),
    *(("skip", why) for why in ("not_asked", "already_injected", "mirror", "not_a_pod", "not_a_creation")),
)
_CUT = ("handshake", "idle", "request", "closing", "connections", "bytes")
_STATUSES = ("400", "403", "404", "405", "408", "413", "431", "500", "501", "505")
_RUNS = ("ok", "failed")


class Metrics:
    """A registry with the webhook's metrics, and one method for each thing that is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reviews = Counter(
            "keeper_injector_reviews", "Admission reviews answered.", ["decision", "reason"], registry=self.registry
        )
        self._seconds = Histogram(
            "keeper_injector_review_seconds",
            "Seconds to decide and build the patch.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._warnings = Counter(
            "keeper_injector_warnings", "Warnings in answers to admission reviews.", registry=self.registry
        )
        self.connections = Gauge(
            "keeper_injector_connections",
            "Open connections, with those whose TLS handshake is under way.",
            registry=self.registry,
        )
        self.bytes_in_flight = Gauge(
            "keeper_injector_bytes_in_flight",
            "Bytes of requests and responses that are not complete.",
            registry=self.registry,
        )
        self.unread_bytes = Gauge(
            "keeper_injector_unread_bytes",
            "Bytes of responses that clients have not taken yet.",
            registry=self.registry,
        )
        self._cut = Counter(
            "keeper_injector_connections_cut",
            "Connections that the webhook ended: at the deadline of a handshake, of a request, of an idle connection or of the "
            "closing, or because a client kept it waiting or took no response at the limit of connections or of bytes.",
            ["reason"],
            registry=self.registry,
        )
        self._rejected = Counter(
            "keeper_injector_requests_rejected",
            "HTTP requests rejected because they are not a valid review.",
            ["status"],
            registry=self.registry,
        )
        self.certificate_expiry = Gauge(
            "keeper_injector_certificate_expiry_timestamp_seconds",
            "Expiry of the serving certificate, as a Unix timestamp.",
            registry=self.registry,
        )
        self._runs = Counter(
            "keeper_injector_certificate_runs",
            "Runs of the certificate program, by result (ok or failed).",
            ["result"],
            registry=self.registry,
        )
        for decision, reason in _REVIEWS:
            self._reviews.labels(decision, reason)
        for counter, labels in ((self._cut, _CUT), (self._rejected, _STATUSES), (self._runs, _RUNS)):
            for label in labels:
                counter.labels(label)
        Info("keeper_injector_build", "Version of the webhook.", registry=self.registry).info(
            {"version": version("keeper-injector-webhook")}
        )

    def reviewed(self, decision: str, reason: str, seconds: float, warnings: int = 0) -> None:
        """Count one review and its warnings, and record how many seconds it took."""
        self._reviews.labels(decision, reason).inc()
        if warnings:
            self._warnings.inc(warnings)
        self._seconds.observe(seconds)

    def certificate_run(self, result: str) -> None:
        """Count one run of the certificate program; *result* is ``ok`` or ``failed``."""
        self._runs.labels(result).inc()

    def connection_cut(self, reason: str) -> None:
        """Count a connection that the webhook ended before its client did."""
        self._cut.labels(reason).inc()

    def rejected(self, status: int) -> None:
        """Count a request that was answered with this HTTP error status."""
        self._rejected.labels(str(status)).inc()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
