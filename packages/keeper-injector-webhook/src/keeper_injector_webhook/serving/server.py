"""Runs the application under Hypercorn, configured for API servers as clients.

HTTP/1.1 with long keep-alive. On SIGTERM, readiness turns off first, the server continues for a drain period, and then stops
within a deadline, so that no API server loses a request.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from starlette.requests import ClientDisconnect

from keeper_injector_webhook.certificates import CertificateJob
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.app import create_app
from keeper_injector_webhook.serving.tls import LiveCertificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)

_SECONDS = 1.0
_KEEP_ALIVE = 150 * _SECONDS
"""Go clients close idle connections after 90 s. A server that closes them earlier loses requests (kyverno issue 5062)."""
_HANDSHAKE_TIMEOUT = 10 * _SECONDS
_GRACE = 5 * _SECONDS
"""Time for requests in flight after the listener has closed. API servers time out after 5 s themselves."""


@attrs.frozen
class ServerOptions:
    """Where the server listens, which certificate it presents and how it stops."""

    host: str
    port: int
    certificates: Path
    poll: float = 10 * _SECONDS
    """Seconds between checks of the certificate's files; the kubelet updates them once a minute."""
    drain: float = 12 * _SECONDS
    """Seconds that it continues to serve after SIGTERM with readiness off, until every API server has stopped using it."""
    own: Sequence[str] = ()
    """Arguments of the certificate program, if the webhook manages its own certificate; otherwise empty."""
    client_ca: Path | None = None
    """File with the CAs that must have signed the clients' certificates; None accepts any client."""
    probe_port: int | None = None
    """Port for probes and metrics without TLS, because kubelets and Prometheus have no client certificate."""


class _Config(Config):
    """Hypercorn's settings with a TLS context that can be replaced while the server runs."""

    tls: ssl.SSLContext

    def create_ssl_context(self) -> ssl.SSLContext:
        return self.tls

    @property
    def ssl_enabled(self) -> bool:
        return True


def serve(options: ServerOptions, settings: Settings) -> int:
    """Serve until SIGTERM and return the exit code. Raises :class:`SettingsError` if the certificate is missing or invalid."""
    # Objects that exist now live as long as the process. Without freeze, each full collection would scan them and delay a review.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    return uvloop.run(_run(options, settings))


async def _run(options: ServerOptions, settings: Settings) -> int:
    metrics = Metrics()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    managed = await _first_certificate(options, metrics, stop)
    if stop.is_set():
        return os.EX_OK
    certificate = LiveCertificate(options.certificates, metrics, options.client_ca)
    loop.set_exception_handler(_quiet_disconnects)
    app = create_app(settings, metrics, lambda: not stop.is_set(), client_ca=options.client_ca is not None)
    tasks = [asyncio.create_task(_poll(certificate, options.poll))]
    if managed is not None:
        job, due = managed
        tasks.append(asyncio.create_task(attrs.evolve(job, renewed=certificate.refresh).run_forever(due)))
    image = settings.agent.image.reference()
    log.info("webhook.started", extra={"host": options.host, "port": options.port, "agent_image": image})

    async def drained() -> None:
        await stop.wait()
        log.info("webhook.draining", extra={"seconds": options.drain})
        await asyncio.sleep(options.drain)
        # Hypercorn waits for peers that never answer a TLS close (issue 308), on Python 3.12 without a limit.
        loop.call_later(_GRACE + 1, _exit_now)

    await hypercorn_serve(app, _config(options, certificate), shutdown_trigger=drained)  # type: ignore[arg-type] # Starlette is ASGI
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.info("webhook.stopped")
    return os.EX_OK


async def _first_certificate(
    options: ServerOptions, metrics: Metrics, stop: asyncio.Event
) -> tuple[CertificateJob, float] | None:
    """Wait until the certificate program has succeeded once, or until *stop*.

    Return the job and the seconds until its next run; None if the certificate is managed elsewhere or *stop* was set first.
    """
    if not options.own:
        return None
    job = CertificateJob(options.own, metrics, lambda: None)
    first = asyncio.create_task(job.run_until_success())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not first.done():
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return None
    return job, first.result()


def _config(options: ServerOptions, certificate: LiveCertificate) -> _Config:
    config = _Config()
    config.tls = certificate.context
    config.bind = [f"{options.host}:{options.port}"]
    if options.probe_port:
        config.insecure_bind = [f"{options.host}:{options.probe_port}"]
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = _KEEP_ALIVE
    config.keep_alive_max_requests = 10**9
    config.ssl_handshake_timeout = _HANDSHAKE_TIMEOUT
    config.read_timeout = None
    config.graceful_timeout = _GRACE
    config.backlog = 1024
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = _hypercorn_log()
    return config


def _hypercorn_log() -> logging.Logger:
    """Return Hypercorn's logger without its start message and without errors of peers that closed a connection early."""
    logger = logging.getLogger("hypercorn.error")
    logger.setLevel(logging.WARNING)
    logger.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _DISCONNECTS)))
    return logger


_DISCONNECTS = (ssl.SSLError, ConnectionError, TimeoutError, ClientDisconnect)


async def _poll(certificate: LiveCertificate, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        certificate.refresh()


def _quiet_disconnects(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log a peer that closed its connection at debug level, and everything else as usual."""
    if isinstance(context.get("exception"), _DISCONNECTS):
        log.debug("connection.lost", extra={"cause": type(context["exception"]).__name__})
        return
    loop.default_exception_handler(context)


def _exit_now() -> None:
    log.warning("webhook.forced_shutdown", extra={"reason": "connections did not close in time"})
    os._exit(os.EX_OK)
