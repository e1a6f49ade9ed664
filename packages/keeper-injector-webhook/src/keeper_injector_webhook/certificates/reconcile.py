"""Keeps the certificate in the cluster right: a program that runs for a second now and then, beside the serving process.

It reads the one Secret, renews what is due, and sees to it that the one webhook configuration trusts the CA. Replicas do so at
the same time: who writes first wins, by ``resourceVersion``, and the other takes what it finds. There is no leader.
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
from pathlib import Path
from typing import Any

import attrs
from kubernetes import client, config
from urllib3.exceptions import HTTPError

from keeper_injector_common.logs import configure_logging
from keeper_injector_webhook.certificates import authority
from keeper_injector_webhook.certificates.authority import Material
from keeper_injector_webhook.certificates.files import publish
from keeper_injector_webhook.errors import ClusterError

log = logging.getLogger("keeper_injector_webhook")

TIMEOUT = 10.0
"""Seconds for one request."""
CONFLICTS = 8
LAG = 3.0
"""Seconds until API servers have seen a new caBundle; only then is a certificate shown that it is needed for."""
LONGEST = 3600.0
"""Seconds until the next look at the latest: somebody may have taken something away."""
INJECTOR = "cert-manager.io/inject-ca-from"
NOT_FOUND, FORBIDDEN, CONFLICT = 404, 403, 409


@attrs.frozen
class ClusterObjects:
    """Where in the cluster the certificate belongs."""

    namespace: str
    secret: str
    service: str
    webhook_configuration: str

    @property
    def names(self) -> Sequence[str]:
        """The names by which API servers reach the Service."""
        host = f"{self.service}.{self.namespace}.svc"
        return (host, f"{host}.cluster.local", f"{self.service}.{self.namespace}")


@attrs.frozen
class Cluster:
    """The API server, as far as this program may use it: one Secret, one webhook configuration."""

    api: client.ApiClient
    objects: ClusterObjects

    def ensure(self, now: datetime) -> tuple[Material, bool]:
        """Return the material to use at *now*, and whether the caBundle had to change; raises ClusterError."""
        material = self._secret(now)
        return material, self._bundle(material, now)

    def _secret(self, now: datetime) -> Material:
        core = client.CoreV1Api(self.api)
        where = (self.objects.secret, self.objects.namespace)
        for _ in range(CONFLICTS):
            found = self._asked(f"Secret {self.objects.secret}", core.read_namespaced_secret, *where)
            present = authority.from_data(found.data or {})
            if present is None and found.data:
                log.warning("certificate.damaged", extra={"secret": self.objects.secret})
            material = authority.renewed(present, now, self.objects.names)
            if material is present:
                return material
            version = {"resourceVersion": found.metadata.resource_version}
            body = {"metadata": version, "data": authority.to_data(material)}
            if self._written(f"Secret {self.objects.secret}", core.patch_namespaced_secret, *where, body):
                log.info(
                    "certificate.renewed",
                    extra={"secret": self.objects.secret, "authorities": len(material.authorities)},
                )
                return material
        raise ClusterError(
            f"Secret {self.objects.secret}: others changed it {CONFLICTS} times meanwhile; it is tried again"
        )

    def _bundle(self, material: Material, now: datetime) -> bool:
        """Let every webhook of the configuration trust the CA; says whether that was new."""
        api = client.AdmissionregistrationV1Api(self.api)
        name = self.objects.webhook_configuration
        what = f"MutatingWebhookConfiguration {name}"
        for _ in range(CONFLICTS):
            found = self._asked(what, api.read_mutating_webhook_configuration, name)
            if INJECTOR in (found.metadata.annotations or {}):
                raise ClusterError(
                    f"{what}: cert-manager keeps its caBundle ({INJECTOR}); take the annotation away, or set tls.mode"
                )
            changes = []
            for index, webhook in enumerate(found.webhooks or ()):
                present = base64.b64decode(webhook.client_config.ca_bundle or "")
                wanted = authority.merged_bundle(present, material, now)
                if webhook.client_config.service is not None and wanted != present:
                    path = f"/webhooks/{index}/clientConfig/caBundle"
                    changes.append({"op": "add", "path": path, "value": base64.b64encode(wanted).decode()})
            if not changes:
                return False
            test = {"op": "test", "path": "/metadata/resourceVersion", "value": found.metadata.resource_version}
            if self._written(what, api.patch_mutating_webhook_configuration, name, [test, *changes]):
                log.info("certificate.trusted", extra={"configuration": name})
                return True
        raise ClusterError(f"{what}: others changed it {CONFLICTS} times meanwhile; it is tried again")

    def _written(self, what: str, call: Callable[..., object], *arguments: object) -> bool:
        """Write; False when somebody else was first."""
        try:
            self._asked(what, call, *arguments)
        except _ConflictError:
            return False
        return True

    def _asked(self, what: str, call: Callable[..., Any], *arguments: object) -> Any:
        """Call the API server; every failure becomes a ClusterError that says what is needed."""
        try:
            return call(*arguments, _request_timeout=TIMEOUT)
        except client.ApiException as error:
            if error.status == CONFLICT or (error.status == 422 and "resourceVersion" in str(error.body)):
                raise _ConflictError from None
            hint = {
                NOT_FOUND: "is not there; the chart makes it: run helm upgrade",
                FORBIDDEN: "may not be read or patched by the webhook's service account; the chart grants it: run helm upgrade",
            }.get(error.status, f"the API server answered {error.status} {error.reason}")
            raise ClusterError(f"{what}: {hint}") from None
        except (HTTPError, OSError) as error:
            raise ClusterError(f"{what}: the API server did not answer ({type(error).__name__})") from None


class _ConflictError(Exception):
    """Somebody else has written meanwhile."""


def run(cluster: Cluster, directory: Path, now: datetime, sleep: Callable[[float], None] = time.sleep) -> float:
    """Bring cluster and *directory* up to date; returns the seconds until the next look. Raises ClusterError."""
    material, is_new = cluster.ensure(now)
    if is_new:
        sleep(LAG)
    publish(directory, material.leaf)
    return min(LONGEST, max(60.0, (authority.next_change(material) - now).total_seconds()))


def main(arguments: list[str] | None = None) -> int:
    """Run once; prints the seconds until the next run."""
    options = _options(arguments)
    configure_logging(options.log_level)
    try:
        if options.kubeconfig:
            config.load_kube_config(options.kubeconfig)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        objects = ClusterObjects(options.namespace, options.secret, options.service, options.webhook_configuration)
        seconds = run(Cluster(client.ApiClient(), objects), options.directory, datetime.now(UTC))
    except config.ConfigException as error:
        return _failed(f"no way to the API server: {error}", os.EX_CONFIG)
    except (ClusterError, OSError) as error:
        return _failed(str(error), os.EX_TEMPFAIL)
    sys.stdout.write(f"{json.dumps({'again_in_seconds': round(seconds)})}\n")
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
    parser.add_argument("--kubeconfig", help="for use outside of a cluster")
    parser.add_argument("--log-level", default="info")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
