"""The certificate program against a small API server, and verification as API servers do it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api_server import ApiServer
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from kubernetes import client

from keeper_injector_webhook.certificates import authority, stored
from keeper_injector_webhook.certificates.authority import Material
from keeper_injector_webhook.certificates.reconcile import Cluster, ClusterObjects

NOW = datetime(2026, 11, 24, tzinfo=UTC)

OBJECTS = ClusterObjects("injector", "webhook-tls", "webhook", "webhook")

DAY = timedelta(days=1)


def reach(server: ApiServer) -> Cluster:
    """Return the cluster as the certificate program sees it."""
    configuration = client.Configuration(host=server.url)
    configuration.retries = False
    return Cluster(client.ApiClient(configuration), OBJECTS)


def verify(leaf: bytes, bundle: bytes, now: datetime) -> None:
    """Verify a leaf certificate as an API server does that has *bundle* at *now*."""
    authorities = [x509.load_pem_x509_certificate(block) for block in stored.split_pem(bundle)]
    verifier = (
        PolicyBuilder().store(Store(authorities)).time(now).build_server_verifier(x509.DNSName("webhook.injector.svc"))
    )
    verifier.verify(x509.load_pem_x509_certificate(leaf), [])


def material(now: datetime = NOW) -> Material:
    """Return the material of a first run."""
    return authority.renew_if_due(None, now, OBJECTS.names)
