"""The serving certificate, reloaded while the server runs: each new key pair gets its own TLS context.

As soon as there is a second one, the SNI callback selects the newest context at each handshake. Loading a new key pair into the
context in use would leave that context broken after a mismatched pair, and would keep a certificate of another key type alive
(measured with OpenSSL 3).
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_injector_webhook.errors import SettingsError
from keeper_injector_webhook.serving.expiry import not_after

if TYPE_CHECKING:
    from keeper_injector_webhook.metrics import Metrics

log = logging.getLogger(__name__)


class LiveCertificate:
    """The key pair ``tls.crt`` and ``tls.key`` in a directory, laid out like a Secret volume."""

    def __init__(self, directory: Path, metrics: Metrics, client_ca: Path | None = None) -> None:
        """Load the key pair; raises :class:`SettingsError` if it is missing or invalid.

        With *client_ca*, a PEM file, clients must present a certificate that one of its CAs signed.
        """
        self._client_ca = client_ca
        self._directory = directory
        self._metrics = metrics
        self._seen = self._pair()
        try:
            self._active = self._load(self._seen)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{directory}: no usable tls.crt and tls.key ({error})") from None
        self.context = self._active

    def refresh(self) -> bool:
        """Reload the key pair if its files changed, and return whether it was replaced. An invalid pair is logged and ignored."""
        try:
            pair = self._pair()
            if pair == self._seen:
                return False
            self._active = self._load(pair)
        except (OSError, ValueError, SettingsError) as error:
            log.warning("tls.reload_failed", extra={"directory": str(self._directory), "cause": str(error)})
            return False
        self._seen = pair
        # Not before there is another context: the callback and the change of contexts take time in each handshake.
        self.context.sni_callback = self._choose
        log.info("tls.reloaded", extra={"directory": str(self._directory)})
        return True

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._active

    def _pair(self) -> tuple[bytes, bytes]:
        # Read both through one resolved directory, because the kubelet replaces the directory as a whole.
        directory = (self._directory / "..data").resolve() if (self._directory / "..data").exists() else self._directory
        try:
            return (directory / "tls.crt").read_bytes(), (directory / "tls.key").read_bytes()
        except OSError as error:
            raise SettingsError(f"{error.filename}: {error.strerror}; put the certificate and its key there") from None

    def _load(self, pair: tuple[bytes, bytes]) -> ssl.SSLContext:
        context = self._new_context()
        self._load_into(context, pair)
        self._metrics.certificate_expiry.set(not_after(pair[0]).timestamp())
        return context

    def _load_into(self, context: ssl.SSLContext, pair: tuple[bytes, bytes]) -> None:
        # Python's ssl loads key pairs from files only, and they may have changed since they were read: compare afterwards.
        context.load_cert_chain(self._directory / "tls.crt", self._directory / "tls.key")
        if self._pair() != pair:
            raise ValueError("the files changed while they were loaded")

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        # API servers speak HTTP/1.1 to webhooks (client-go, issue 75791): HTTP/2 would only add attack surface.
        context.set_alpn_protocols(["http/1.1"])
        if self._client_ca is not None:
            # Set in both contexts: a connection that switches contexts keeps its verify mode and takes the new context's CAs.
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"{self._client_ca}: {error}; put the CA certificates of the clients there"
                ) from None
        return context
