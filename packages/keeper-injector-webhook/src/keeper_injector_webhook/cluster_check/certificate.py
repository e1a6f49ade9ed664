"""Checks of the certificate: what API servers trust (``caBundle``) against what the webhook serves."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cryptography import x509

from keeper_injector_common.cli.findings import Finding, failed, ok, warning
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.cluster_check.api import Api, ForbiddenError
from keeper_injector_webhook.cluster_check.configurations import Installation
from keeper_injector_webhook.errors import ClusterError

_SOON = timedelta(days=3)
"""The webhook renews its own certificate, and cert-manager its certificates, long before this."""
_PAGE = "troubleshooting.md#certificatefailed"


def check_certificate(api: Api, item: Installation, pods: Sequence[Json], now: datetime) -> Iterator[Finding]:
    """Check the ``caBundle`` of *item*, and the certificate of each of its ready *pods* against it."""
    namespace, name = item.namespace, item.service
    renew = f"kubectl -n {namespace} rollout restart deployment/{name}"
    try:
        bundle = base64.b64decode(item.ca_bundle, validate=True)
        authorities = x509.load_pem_x509_certificates(bundle) if bundle else []
    except (binascii.Error, ValueError):
        yield failed("ca-bundle", "the caBundle is not a list of certificates in PEM", renew, _PAGE)
        return
    if not authorities:
        logs = f"kubectl -n {namespace} logs deployment/{name} | grep certificate"
        yield failed("ca-bundle", "the caBundle is empty, so API servers trust no webhook", logs, _PAGE)
        return
    valid = [one for one in authorities if one.not_valid_before_utc <= now < one.not_valid_after_utc]
    if not valid:
        last = max(one.not_valid_after_utc for one in authorities)
        yield failed(
            "ca-bundle", f"every CA in the caBundle is invalid today; the last one ends {last:%Y-%m-%d}", renew, _PAGE
        )
        return
    days = (max(one.not_valid_after_utc for one in valid) - now).days
    yield ok("ca-bundle", f"API servers trust {len(valid)} CA, valid for {days} more days")
    for pod in pods:
        yield _served(api, pod, f"{name}.{namespace}.svc", bundle.decode(), now)


def _served(api: Api, pod: Json, host: str, bundle: str, now: datetime) -> Finding:
    check, name, namespace = "webhook-certificate", str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"])
    renew = f"kubectl -n {namespace} delete pod {name}"
    port = next((int(item["containerPort"]) for item in _ports(pod) if item.get("name") == "https"), 8443)
    try:
        certificate = x509.load_der_x509_certificate(api.served_certificate(name, namespace, port, host, bundle))
    except ssl.SSLCertVerificationError as error:
        found = f"API servers do not trust the certificate of pod {name}: {error.verify_message}"
        return failed(check, found, renew, "troubleshooting.md#failed-calling-webhook-podskeepersecurity")
    except ForbiddenError:
        return warning(check, f"you may not forward a port of pod {name}, so its certificate was not read")
    except (ClusterError, ssl.SSLError, ValueError) as error:
        return warning(check, f"the certificate of pod {name} was not read: {error}", renew)
    left = certificate.not_valid_after_utc - now
    if left < _SOON:
        return failed(
            check, f"the certificate of pod {name} ends in {left.days} days and was not renewed", renew, _PAGE
        )
    return ok(check, f"pod {name} serves a certificate of this CA for {host}, valid for {left.days} more days")


def _ports(pod: Json) -> list[Json]:
    return [port for container in pod["spec"]["containers"] for port in container.get("ports") or ()]
