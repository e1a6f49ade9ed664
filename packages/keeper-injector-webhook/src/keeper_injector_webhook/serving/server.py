"""Runs the application behind its listeners, for API servers as clients.

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
from hypercorn.config import Config

from keeper_injector_webhook.certificates import CertificateJob
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.app import create_app
from keeper_injector_webhook.serving.connections import Connections
from keeper_injector_webhook.serving.http1 import Http1Server
from keeper_injector_webhook.serving.limits import PROBES, Limits
from keeper_injector_webhook.serving.listener import Listener
from keeper_injector_webhook.serving.memory import return_freed_memory_forever
from keeper_injector_webhook.serving.tls import LiveCertificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp

    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)

_SECONDS = 1.0
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
    limits: Limits = attrs.field(factory=Limits)
    """What it spends on its clients."""


def serve(options: ServerOptions, settings: Settings) -> int:
    """Serve until SIGTERM and return the exit code. Raises :class:`SettingsError` if the certificate is missing or invalid."""
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
    listeners = _listeners(app, options, certificate, metrics)
    tasks = [
        asyncio.create_task(_poll(certificate, options.poll)),
        asyncio.create_task(return_freed_memory_forever()),
    ]
    if managed is not None:
        job, due = managed
        tasks.append(asyncio.create_task(attrs.evolve(job, renewed=certificate.refresh).run_forever(due)))
    image = settings.agent.image.reference()
    # Objects that exist now live as long as the process. Without freeze, each full collection would scan them and delay a review.
    gc.collect()
    gc.freeze()
    for listener in listeners:
        listener.start()
    log.info("webhook.started", extra={"host": options.host, "port": options.port, "agent_image": image})
    await stop.wait()
    log.info("webhook.draining", extra={"seconds": options.drain})
    await asyncio.sleep(options.drain)
    finished = await asyncio.gather(*(listener.stop(_GRACE) for listener in listeners))
    if not all(finished):
        log.warning("webhook.forced_shutdown", extra={"reason": "requests were not complete in time"})
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


def _listeners(app: ASGIApp, options: ServerOptions, certificate: LiveCertificate, metrics: Metrics) -> list[Listener]:
    """Return the listener for reviews, and the one for probes if it has a port."""
    config = Config()
    config.include_server_header = False
    config.accesslog = None
    ports: list[tuple[int, Limits, ssl.SSLContext | None]] = [(options.port, options.limits, certificate.context)]
    if options.probe_port:
        ports.append((options.probe_port, PROBES, None))
    listeners = [
        Listener(options.host, port, Http1Server(app, config, Connections(limits, metrics), metrics), tls)
        for port, limits, tls in ports
    ]
    metrics.connections.set_function(lambda: sum(len(one.connections) for one in listeners))
    metrics.bytes_in_flight.set_function(lambda: sum(one.connections.held for one in listeners))
    metrics.unread_bytes.set_function(lambda: sum(one.connections.unread for one in listeners))
    return listeners


_DISCONNECTS = (ssl.SSLError, ConnectionError, TimeoutError)


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
