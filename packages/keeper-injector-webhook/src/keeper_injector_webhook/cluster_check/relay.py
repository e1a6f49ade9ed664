"""Checks of a relay: do its replicas publish, how old is what they publish, and does it have the other half of a configuration?"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence

import attrs
from kubernetes import client

from keeper_injector_common.cli.findings import Finding, failed, ok, warning
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.ksm_configuration import APPLICATION_KEY, DEVICE_KEY, RELAY_KEY, application_id, decoded
from keeper_injector_webhook.cluster_check.api import Api, ForbiddenError
from keeper_injector_webhook.errors import ClusterError

_LABELS = "app.kubernetes.io/part-of=keeper-injector,app.kubernetes.io/component=relay"
_PAGE = "relay.md#if-it-does-not-work"
_METRICS_PORT = 9113
_OLD = 600.0
"""Seconds; the alert KeeperRelayStale has the same limit."""
_AGE = re.compile(r'^keeper_injector_relay_snapshot_timestamp_seconds\{application="([^"]+)"\} (\S+)$', re.MULTILINE)
_POINT = 65
"""Bytes of a public key at the end of a device's private key (RFC 5915, section 3)."""


@attrs.frozen
class Half:
    """What the relay's half of a configuration says without a secret."""

    where: str
    application: str
    device: bytes
    """The public key."""


def check_relays(api: Api, namespace: str) -> Iterator[Finding]:
    """Check each relay in *namespace*; yields nothing without one."""
    for deployment in _deployments(api, namespace):
        name = deployment["metadata"]["name"]
        pods = list(api.items("the relay's pods", api.core().list_namespaced_pod, namespace, label_selector=_LABELS))
        ready, wanted = (
            int(as_object(deployment.get("status")).get("readyReplicas") or 0),
            deployment["spec"]["replicas"],
        )
        describe = f"kubectl -n {namespace} describe pods -l {_LABELS}"
        if ready < wanted:
            report = warning if ready else failed
            yield report("relay-replicas", f"{ready} of {wanted} pods of relay {name} are ready", describe, _PAGE)
        else:
            yield ok("relay-replicas", f"{ready} of {wanted} pods of relay {name} are ready")
        for pod in pods:
            yield from _ages(api, pod)


def _deployments(api: Api, namespace: str) -> list[Json]:
    call = client.AppsV1Api(api.connection).list_namespaced_deployment
    return list(api.items("relays", call, namespace, label_selector=_LABELS))


def _ages(api: Api, pod: Json) -> Iterator[Finding]:
    """Report the age of each application that *pod* publishes."""
    name, namespace = str(pod["metadata"]["name"]), str(pod["metadata"]["namespace"])
    try:
        text = api.text_of_pod(name, namespace, _METRICS_PORT, "metrics")
    except ForbiddenError:
        yield warning("relay-age", f"you may not read through the API server from pod {name}, so its age is unknown")
        return
    except ClusterError as error:
        yield warning("relay-age", f"the metrics of pod {name} were not read: {error}")
        return
    for application, fetched in _AGE.findall(text):
        age = time.time() - float(fetched)
        logs = f"kubectl -n {namespace} logs {name} --container relay | grep relay.poll_failed"
        if not float(fetched):
            yield failed("relay-age", f"pod {name} has published nothing for application {application}", logs, _PAGE)
        elif age > _OLD:
            found = f"pod {name} has had no answer from Keeper for application {application} for {age / 60:.0f} minutes"
            yield failed("relay-age", found, logs, _PAGE)
        else:
            yield ok("relay-age", f"pod {name} publishes application {application}, {max(0, age):.0f} s old")


def check_halves(
    api: Api, configuration: Mapping[str, str], where: str, namespaces: Sequence[str]
) -> Iterator[Finding]:
    """Check that a relay in *namespaces* has the other half of a *configuration*, which is the pods' half of a split one."""
    if RELAY_KEY not in configuration:
        return
    url = configuration[RELAY_KEY]
    try:
        halves = [half for namespace in namespaces for half in _halves(api, namespace)]
    except ForbiddenError:
        yield warning(
            "relay-halves", f"you may not read the Secrets of the relay, so {where} was not compared with them"
        )
        return
    same = [
        half for half in halves if half.application == application_id(decoded(configuration[APPLICATION_KEY]) or b"")
    ]
    if not same:
        found = f"{where} uses the relay at {url}, and no relay here has the other half of this configuration"
        right = "add the Secret with the relay's half of the same split to the chart value relay.applications"
        yield failed("relay-halves", found, right, _PAGE)
    elif all(half.device != decoded(configuration[DEVICE_KEY]) for half in same):
        found = f"{where} expects another device than that of {same[0].where}, so pods refuse what the relay publishes"
        yield failed("relay-halves", found, "run keeper-injector-agent split again, and replace both halves", _PAGE)
    else:
        yield ok("relay-halves", f"{where} uses the relay at {url}, which has the other half in {same[0].where}")


def _halves(api: Api, namespace: str) -> Iterator[Half]:
    for deployment in _deployments(api, namespace):
        for volume in as_objects(deployment["spec"]["template"]["spec"].get("volumes")):
            name = as_object(volume.get("secret")).get("secretName")
            if not str(volume.get("name")).startswith("application-") or not name:
                continue
            secret = api.read(f"Secret {namespace}/{name}", api.core().read_namespaced_secret, name, namespace)
            half = _half(
                decoded(str(as_object(secret.get("data")).get("config", ""))) or b"", f"Secret {namespace}/{name}"
            )
            if half:
                yield half


def _half(content: bytes, where: str) -> Half | None:
    try:
        values = as_object(json.loads(content))
    except (ValueError, RecursionError):
        return None
    return Half(where, str(values.get("application")), (decoded(str(values.get("privateKey", ""))) or b"")[-_POINT:])
