"""Reconciles the certificate with the cluster: a program that the server runs as a short-lived subprocess.

It reads one Secret, renews what is due, adds the CA to one webhook configuration and writes the key pair for the server. All
replicas run it. The first writer wins by ``resourceVersion``, and the others use what it wrote; there is no leader.
:mod:`.authority` explains the rotation.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from keeper_injector_common.logs import configure_logging
from keeper_injector_webhook.certificates import authority, stored
from keeper_injector_webhook.certificates.authority import Material
from keeper_injector_webhook.certificates.files import publish
from keeper_injector_webhook.errors import ClusterError

log = logging.getLogger("keeper_injector_webhook")

_TIMEOUT = 10.0
"""Seconds for one request to the API server."""
_MOST_CONFLICTS = 8
"""How often one run retries a write that another client overtook."""
_PROPAGATION = 3.0
"""Seconds until every API server has seen a new ``caBundle``; the certificate that needs it is written after that."""
_LONGEST_WAIT = 3600.0
"""Seconds until the next run at the latest, because someone may have changed the Secret or the configuration."""
_SHORTEST_WAIT = 60.0
FIELD_MANAGER = "keeper-injector-webhook"
"""The name under which API servers record what this program wrote."""
CERT_MANAGER = "cert-manager.io/inject-ca-from"
"""The annotation that makes cert-manager's CA injector overwrite ``caBundle``."""
_NOT_FOUND, _FORBIDDEN, _CONFLICT, _INVALID = 404, 403, 409, 422


@attrs.frozen
class ClusterObjects:
    """The names of the cluster objects that hold or trust the certificate."""

    namespace: str
    secret: str
    service: str
    webhook_configuration: str

    @property
    def names(self) -> Sequence[str]:
        """The DNS names under which API servers may reach the Service; the first one is used for the subject."""
        host = f"{self.service}.{self.namespace}.svc"
        return (host, f"{host}.cluster.local", f"{self.service}.{self.namespace}")


@attrs.frozen
class Cluster:
    """The API server, limited to what this program may access: one Secret and one webhook configuration."""

    api: client.ApiClient
    objects: ClusterObjects

    def check_clock(self, now: datetime) -> None:
        """Compare *now* with the API server's clock, which verifies the certificate; raises :class:`ClusterError`.

        A replica with a wrong clock would replace the CA of the others, which would replace its CA.
        """
        where = (self.objects.secret, self.objects.namespace)
        read = client.CoreV1Api(self.api).read_namespaced_secret_with_http_info
        _, _, headers = self._request(f"Secret {self.objects.secret}", read, *where)
        date = headers.get("Date")
        if date is None:
            return
        ahead = now - parsedate_to_datetime(date)
        if abs(ahead) > authority.BACKDATED:
            raise ClusterError(
                f"clock: {now:%Y-%m-%d %H:%M} here is {date} at the API server; set the clock of the node that is wrong"
            )

    def ensure(self, now: datetime) -> tuple[Material, bool]:
        """Return the material to use at *now* and whether the ``caBundle`` had to change; raises :class:`ClusterError`."""
        material = self._secret(now)
        return material, self._bundle(material, now)

    def _secret(self, now: datetime) -> Material:
        core = client.CoreV1Api(self.api)
        where = (self.objects.secret, self.objects.namespace)
        for _ in range(_MOST_CONFLICTS):
            found = self._request(f"Secret {self.objects.secret}", core.read_namespaced_secret, *where)
            present = stored.from_secret_data(found.data or {})
            if present is None and found.data:
                log.warning("certificate.damaged", extra={"secret": self.objects.secret})
            material = authority.renew_if_due(present, now, self.objects.names)
            if material is present:
                return material
            version = {"resourceVersion": found.metadata.resource_version}
            body = {"metadata": version, "data": stored.to_secret_data(material)}
            if self._write(f"Secret {self.objects.secret}", core.patch_namespaced_secret, *where, body):
                log.info(
                    "certificate.renewed",
                    extra={"secret": self.objects.secret, "authorities": len(material.authorities)},
                )
                return material
        raise ClusterError(
            f"Secret {self.objects.secret}: other clients changed it {_MOST_CONFLICTS} times during this run; the webhook retries"
        )

    def _bundle(self, material: Material, now: datetime) -> bool:
        """Add the CA to every webhook of the configuration; return whether that changed anything."""
        api = client.AdmissionregistrationV1Api(self.api)
        name = self.objects.webhook_configuration
        what = f"MutatingWebhookConfiguration {name}"
        refused: tuple[str, ClusterError] | None = None
        for _ in range(_MOST_CONFLICTS):
            found = self._request(what, api.read_mutating_webhook_configuration, name)
            if refused and refused[0] == found.metadata.resource_version:
                raise refused[1]
            if CERT_MANAGER in (found.metadata.annotations or {}):
                raise ClusterError(
                    f"{what}: cert-manager manages its caBundle ({CERT_MANAGER}); remove the annotation, or set tls.mode"
                )
            changes = []
            for index, webhook in enumerate(found.webhooks or ()):
                present = base64.b64decode(webhook.client_config.ca_bundle or "")
                wanted = stored.merge_bundle(present, material, now)
                if webhook.client_config.service is not None and wanted != present:
                    path = f"/webhooks/{index}/clientConfig/caBundle"
                    changes.append({"op": "add", "path": path, "value": base64.b64encode(wanted).decode()})
            if not changes:
                return False
            test = {"op": "test", "path": "/metadata/resourceVersion", "value": found.metadata.resource_version}
            try:
                written = self._write(what, api.patch_mutating_webhook_configuration, name, [test, *changes])
            except _InvalidError as error:
                # API servers do not say whether it was the test that failed. If so, the object has another version now.
                refused = (found.metadata.resource_version, error)
                continue
            if written:
                log.info("certificate.trusted", extra={"configuration": name})
                return True
        raise ClusterError(
            f"{what}: other clients changed it {_MOST_CONFLICTS} times during this run; the webhook retries"
        )

    def _write(self, what: str, call: Callable[..., object], *arguments: object) -> bool:
        """Write an object; return False if another client changed it first."""
        try:
            self._request(what, partial(call, field_manager=FIELD_MANAGER), *arguments)
        except _ConflictError:
            return False
        return True

    def _request(self, what: str, call: Callable[..., Any], *arguments: object) -> Any:
        """Call the API server and turn every failure into a :class:`ClusterError` that says what to do."""
        try:
            return call(*arguments, _request_timeout=_TIMEOUT)
        except client.ApiException as error:
            if error.status == _CONFLICT:
                raise _ConflictError from None
            hint = {
                _NOT_FOUND: "does not exist; the chart creates it: run helm upgrade",
                _FORBIDDEN: "the webhook's service account may not read or patch it; the chart grants this: run helm upgrade",
            }.get(error.status, f"the API server answered {error.status} {error.reason}")
            kind = _InvalidError if error.status == _INVALID else ClusterError
            raise kind(f"{what}: {hint}") from None
        except (HTTPError, OSError) as error:
            raise ClusterError(f"{what}: the API server did not answer ({type(error).__name__})") from None


class _InvalidError(ClusterError):
    """The API server refuses a write: a policy or a test in the patch does not allow it."""


class _ConflictError(Exception):
    """Another client changed the object after it was read."""


def run(cluster: Cluster, directory: Path, now: datetime, sleep: Callable[[float], None] = time.sleep) -> float:
    """Reconcile the cluster and *directory*; return the seconds until the next run is due. Raises :class:`ClusterError`."""
    material, is_new = cluster.ensure(now)
    if is_new:
        sleep(_PROPAGATION)
    publish(directory, material.leaf)
    return min(_LONGEST_WAIT, max(_SHORTEST_WAIT, (authority.next_change(material) - now).total_seconds()))


def main(arguments: list[str] | None = None) -> int:
    """Run once, print the seconds until the next run as JSON, and return the exit code."""
    options = _options(arguments)
    configure_logging(options.log_level)
    try:
        if options.kubeconfig:
            config.load_kube_config(options.kubeconfig)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        objects = ClusterObjects(options.namespace, options.secret, options.service, options.webhook_configuration)
        cluster, now = Cluster(client.ApiClient(), objects), datetime.now(UTC)
        cluster.check_clock(now)
        seconds = run(cluster, options.directory, now)
    except config.ConfigException as error:
        return _failed(f"cannot connect to the API server: {error}", os.EX_CONFIG)
    except (ClusterError, OSError) as error:
        return _failed(str(error), ClusterError.exit_code)
    sys.stdout.write(f"{json.dumps({'next_run_in_seconds': round(seconds)})}\n")
    return os.EX_OK


def _failed(cause: str, code: int) -> int:
    log.error("certificate.failed", extra={"cause": cause, "exit_code": code})
    return code


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keeper_injector_webhook.certificates.reconcile", description=__doc__
    )
    for name in ("namespace", "secret", "service", "webhook-configuration"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--kubeconfig", help="connect with this kubeconfig; needed outside a cluster")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
