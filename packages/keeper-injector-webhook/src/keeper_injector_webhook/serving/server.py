"""Hypercorn tuned for API servers: HTTP/1.1, long keep-alive, readiness off before the door closes, a hard deadline."""

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

from keeper_injector_webhook.certificates.runner import CertificateJob
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.app import create_app
from keeper_injector_webhook.serving.tls import LiveCertificate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)

SECONDS = 1.0
KEEP_ALIVE = 150 * SECONDS
"""Go clients close idle connections after 90 s; a server that closes earlier loses requests (kyverno issue 5062)."""
HANDSHAKE_TIMEOUT = 10 * SECONDS
READ_TIMEOUT = 30 * SECONDS
GRACE = 5 * SECONDS
"""For requests in flight after the listener closed; the API server gives up on one after 5 s itself."""


@attrs.frozen
class ServerOptions:
    """Where to serve."""

    host: str
    port: int
    certificates: Path
    poll: float = 10 * SECONDS
    """How often the certificate's files are looked at; the kubelet updates them once a minute."""
    drain: float = 12 * SECONDS
    """How long it serves on after SIGTERM with readiness off, until every API server has learned of it."""
    own: Sequence[str] = ()
    """Arguments of the program that keeps a certificate of our own right; empty: the certificate is given."""
    client_ca: Path | None = None
    """CA whose certificates clients must show."""
    probe_port: int | None = None
    """Port for probes and metrics without TLS, for kubelets and Prometheus, which have no such certificate."""


class _Config(Config):
    """Hypercorn's settings with our TLS context."""

    tls: ssl.SSLContext

    def create_ssl_context(self) -> ssl.SSLContext:
        return self.tls

    @property
    def ssl_enabled(self) -> bool:
        return True


def run(options: ServerOptions, settings: Settings) -> int:
    """Serve until SIGTERM; returns the exit code. Raises SettingsError when there is no certificate."""
    # What is there at the start stays: no collection looks at it again, and a review is not held up by one of everything.
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
    keeping = await _first_certificate(options, metrics, stop)
    if stop.is_set():
        return os.EX_OK
    certificate = LiveCertificate(options.certificates, metrics, options.client_ca)
    loop.set_exception_handler(_quiet_disconnects)
    app = create_app(settings, metrics, lambda: not stop.is_set(), client_ca=options.client_ca is not None)
    tasks = [asyncio.create_task(_poll(certificate, options.poll))]
    if keeping is not None:
        keeper, again = keeping
        tasks.append(asyncio.create_task(attrs.evolve(keeper, renewed=certificate.refresh).keep(again)))
    log.info("webhook.started", extra={"host": options.host, "port": options.port, "agent_image": settings.agent_image})

    async def drained() -> None:
        await stop.wait()
        log.info("webhook.draining", extra={"seconds": options.drain})
        await asyncio.sleep(options.drain)
        # Hypercorn waits for peers that never answer a closed TLS connection (issue 308), on 3.12 without a limit.
        loop.call_later(GRACE + 1, _leave)

    await hypercorn_serve(app, _config(options, certificate), shutdown_trigger=drained)  # type: ignore[arg-type] # Starlette is ASGI
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.info("webhook.stopped")
    return os.EX_OK


async def _first_certificate(
    options: ServerOptions, metrics: Metrics, stop: asyncio.Event
) -> tuple[CertificateJob, float] | None:
    """Wait for a certificate of our own, or for *stop*; without one there is nothing to serve with."""
    if not options.own:
        return None
    keeper = CertificateJob(options.own, metrics, lambda: None)
    first = asyncio.create_task(keeper.until_first())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([first, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not first.done():
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return None
    return keeper, first.result()


def _config(options: ServerOptions, certificate: LiveCertificate) -> _Config:
    config = _Config()
    config.tls = certificate.context
    config.bind = [f"{options.host}:{options.port}"]
    if options.probe_port:
        config.insecure_bind = [f"{options.host}:{options.probe_port}"]
    config.alpn_protocols = ["http/1.1"]
    config.keep_alive_timeout = KEEP_ALIVE
    config.keep_alive_max_requests = 10**9
    config.ssl_handshake_timeout = HANDSHAKE_TIMEOUT
    config.read_timeout = None
    config.graceful_timeout = GRACE
    config.backlog = 1024
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = _hypercorn_log()
    return config


def _hypercorn_log() -> logging.Logger:
    """Return Hypercorn's log without its greeting and without peers that hung up in the middle of something."""
    logger = logging.getLogger("hypercorn.error")
    logger.setLevel(logging.WARNING)
    logger.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], _HUNG_UP)))
    return logger


_HUNG_UP = (ssl.SSLError, ConnectionError, TimeoutError, ClientDisconnect)


async def _poll(certificate: LiveCertificate, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        certificate.refresh()


def _quiet_disconnects(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Peers that hang up are no news; everything else is."""
    if isinstance(context.get("exception"), _HUNG_UP):
        log.debug("connection.lost", extra={"cause": type(context["exception"]).__name__})
        return
    loop.default_exception_handler(context)


def _leave() -> None:
    log.warning("webhook.forced_shutdown", extra={"reason": "connections did not close in time"})
    os._exit(os.EX_OK)
