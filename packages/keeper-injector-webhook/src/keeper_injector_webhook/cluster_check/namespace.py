"""Checks of one namespace: do its workloads ask for injection correctly, and did their pods get what they asked for?"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

import attrs
from kubernetes import client

from keeper_injector_common.annotations.parser import wants_injection
from keeper_injector_common.annotations.request import SecretCredentials
from keeper_injector_common.annotations.table import INJECTED, PREFIX
from keeper_injector_common.cli.checks import check_workload
from keeper_injector_common.cli.findings import Finding, failed, ok, warning
from keeper_injector_common.cli.manifests import Workload, workloads
from keeper_injector_common.errors import AnnotationsError, ConfigurationError
from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_common.ksm_configuration import check_key_lengths, parse_configuration
from keeper_injector_webhook.admission import Inject
from keeper_injector_webhook.admission.names import CA_VOLUME, CREDENTIALS_VOLUME, INIT_CONTAINER, MIRROR, SIDECAR
from keeper_injector_webhook.checks import decide_workload, verdict
from keeper_injector_webhook.cluster_check.api import Api, ForbiddenError, MissingError
from keeper_injector_webhook.cluster_check.configurations import Installation
from keeper_injector_webhook.cluster_check.installation import labels_of
from keeper_injector_webhook.cluster_check.relay import check_halves
from keeper_injector_webhook.errors import ClusterError, ReviewError, SettingsError
from keeper_injector_webhook.settings import Settings, parse_settings

_CONFIGURATION_KEY = "config"
"""The key of the Secret of ``ksm-config``."""
_INIT = "troubleshooting.md#the-init-container-fails"
_NOT_INJECTED = "troubleshooting.md#troubleshooting"


@attrs.frozen(order=True)
class Needed:
    """A Secret or ConfigMap that pods of the namespace mount."""

    kind: str
    """``Secret`` or ``ConfigMap``."""
    name: str
    key: str
    is_configuration: bool
    """Whether it holds a KSM configuration; otherwise it holds a CA certificate."""


def check_namespace(api: Api, name: str, installations: Sequence[Installation]) -> Iterator[Finding]:
    """Check the namespace *name*, with the settings of the one of *installations* that serves it."""
    settings = Settings()
    try:
        labels = labels_of(api, name)
        serving = [item for item in installations if item.serves(labels)]
        yield from _serving(name, installations, serving)
        if serving:
            settings = yield from _settings(api, serving[0])
        pods = [pod for pod in api.items("pods", api.core().list_namespaced_pod, name) if _asks(pod)]
        found = [item for item in _workloads(api, name) if _is_annotated(item)]
    except MissingError:
        yield failed("namespace", f"there is no namespace {name}", f"kubectl create namespace {name}")
        return
    except ForbiddenError as error:
        yield warning("namespace", f"{error}; the namespace was not checked")
        return
    yield from _check_workloads(found, settings, name)
    yield from _check_pods(pods, settings)
    for needed in sorted({*_needed_by_pods(pods), *_needed_by_workloads(found, settings, name)}):
        yield from _object(api, name, needed, [item.namespace for item in installations])


def _serving(name: str, installations: Sequence[Installation], serving: Sequence[Installation]) -> Iterator[Finding]:
    if serving:
        yield ok("namespace", f"{serving[0].configuration} is called for pods in namespace {name}")
    elif installations:
        selectors = " and ".join(item.configuration for item in installations)
        yield failed(
            "namespace",
            f"no webhook is called for pods in namespace {name}: the namespaceSelector of {selectors} does not match its labels",
            "label the namespace, or change the chart value namespaceSelector",
            "configuration.md",
        )


def _settings(api: Api, installation: Installation) -> Generator[Finding, None, Settings]:
    """Return the settings of the installed webhook, or the chart's if they cannot be read."""
    where = f"ConfigMap {installation.namespace}/{installation.service}"
    try:
        content = api.read(where, api.core().read_namespaced_config_map, installation.service, installation.namespace)
        return parse_settings(str(as_object(content.get("data")).get("settings.yaml", "")), where)
    except (ClusterError, SettingsError) as error:
        yield warning("webhook-settings", f"{error}; the checks use the settings of a new installation")
        return Settings()


def _asks(pod: Json) -> bool:
    annotations = as_object(pod["metadata"].get("annotations"))
    try:
        return MIRROR not in annotations and (wants_injection(annotations) or INJECTED in annotations)
    except AnnotationsError:
        return True


def _is_annotated(workload: Workload) -> bool:
    return bool(workload.misplaced or workload.injector_entries())


def _workloads(api: Api, namespace: str) -> Iterator[Workload]:
    """Iterate over the workloads that people write; ReplicaSets and pods are made from them."""
    apps, batch = client.AppsV1Api(api.connection), client.BatchV1Api(api.connection)
    calls: tuple[tuple[str, Callable[..., Any]], ...] = (
        ("Deployment", apps.list_namespaced_deployment),
        ("StatefulSet", apps.list_namespaced_stateful_set),
        ("DaemonSet", apps.list_namespaced_daemon_set),
        ("CronJob", batch.list_namespaced_cron_job),
        ("Job", batch.list_namespaced_job),
    )
    for kind, call in calls:
        for item in api.items(f"{kind}s", call, namespace):
            # Who applied which field is most of an object, and kubectl stores the manifest a second time.
            item["metadata"].pop("managedFields", None)
            as_object(item["metadata"].get("annotations")).pop("kubectl.kubernetes.io/last-applied-configuration", None)
            if PREFIX in json.dumps(item) and not item["metadata"].get("ownerReferences"):
                yield from workloads(json.dumps({"kind": kind, **item}))


def _check_workloads(found: Sequence[Workload], settings: Settings, namespace: str) -> Iterator[Finding]:
    """Report what ``lint`` reports, with the settings of the installed webhook."""
    bad = 0
    for item in found:
        problems = list(
            check_workload(
                "",
                item,
                [],
                settings.defaults.within(namespace),
                settings.policies.within(namespace),
                check=lambda workload: verdict(workload, settings, namespace),
            )
        )
        for problem in problems:
            # Unlike in a manifest, an annotation in the wrong place is certainly a mistake here: the workload exists.
            is_warning = problem.is_warning and problem.rule != "misplaced"
            report = warning if is_warning else failed
            yield report("workload", f"{item.name}: {problem.annotation}: {problem.found}", problem.right)
        bad += bool(problems)
    if not bad:
        yield ok("workload", f"annotated workloads in namespace {namespace}: {len(found)}, without a problem")


def _check_pods(pods: Sequence[Json], settings: Settings) -> Iterator[Finding]:
    bad = False
    for pod in pods:
        for finding in _check_pod(pod, settings):
            bad = True
            yield finding
    if not bad:
        yield ok("pod", f"annotated pods: {len(pods)}, all injected by this version and with their secrets")


def _check_pod(pod: Json, settings: Settings) -> Iterator[Finding]:
    name, annotations = pod["metadata"]["name"], as_object(pod["metadata"].get("annotations"))
    if INJECTED not in annotations:
        found = f"pod {name} asks for injection and was created without it, while the webhook could not be called"
        yield failed("pod-not-injected", found, _recreate(pod), _NOT_INJECTED)
        return
    yield from _agent_version(pod, settings)
    yield from _waiting(pod)


def _agent_version(pod: Json, settings: Settings) -> Iterator[Finding]:
    if f"{PREFIX}agent-image" in as_object(pod["metadata"].get("annotations")):
        return
    current = {settings.agent.image.reference(), settings.agent.image.reference(cloud=True)}
    images = {
        str(item.get("image"))
        for item in (*as_objects(pod["spec"].get("initContainers")), *as_objects(pod["spec"].get("containers")))
        if item.get("name") in {INIT_CONTAINER, SIDECAR}
    }
    if other := images - current:
        found = (
            f"pod {pod['metadata']['name']} runs the agent {', '.join(sorted(other))}, and new pods get {min(current)}"
        )
        yield warning("agent-version", found, _recreate(pod), "versioning.md")


def _waiting(pod: Json) -> Iterator[Finding]:
    """Report the agent's containers that do not run, with the message that they ended with."""
    statuses = as_object(pod.get("status"))
    for status in (*as_objects(statuses.get("initContainerStatuses")), *as_objects(statuses.get("containerStatuses"))):
        if status.get("name") not in {INIT_CONTAINER, SIDECAR}:
            continue
        states = (as_object(status.get("state")), as_object(status.get("lastState")))
        ended = next((as_object(state["terminated"]) for state in states if state.get("terminated")), {})
        waits = as_object(states[0].get("waiting"))
        if ended.get("exitCode") and not status.get("ready"):
            cause = str(ended.get("message") or ended.get("reason") or f"exit code {ended['exitCode']}").strip()
        elif waits and status["name"] == INIT_CONTAINER:
            cause = f"{waits.get('reason')}: {waits.get('message') or 'its volumes or images are not there yet'}"
        else:
            continue
        describe = f"kubectl -n {pod['metadata']['namespace']} describe pod {pod['metadata']['name']}"
        yield failed(
            "pod-waiting", f"pod {pod['metadata']['name']}, container {status['name']}: {cause}", describe, _INIT
        )


def _recreate(pod: Json) -> str:
    """Return the command that replaces *pod* by a new one."""
    space, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    owner = next((item for item in as_objects(pod["metadata"].get("ownerReferences")) if item.get("controller")), {})
    match owner.get("kind"):
        case "ReplicaSet":
            return f"kubectl -n {space} rollout restart deployment/{owner['name'].rpartition('-')[0]}"
        case "StatefulSet" | "DaemonSet":
            return f"kubectl -n {space} rollout restart {owner['kind'].lower()}/{owner['name']}"
        case None:
            return f"create pod {name} again: it has no controller"
        case _:
            return f"kubectl -n {space} delete pod {name}"


def _needed_by_pods(pods: Sequence[Json]) -> Iterator[Needed]:
    for pod in pods:
        for volume in as_objects(pod["spec"].get("volumes")):
            if volume.get("name") not in {CREDENTIALS_VOLUME, CA_VOLUME}:
                continue
            source = as_object(volume.get("secret") or volume.get("configMap"))
            key = next((str(item.get("key")) for item in as_objects(source.get("items"))), _CONFIGURATION_KEY)
            kind = "Secret" if volume.get("secret") else "ConfigMap"
            yield Needed(
                kind, str(source.get("secretName") or source.get("name")), key, volume["name"] == CREDENTIALS_VOLUME
            )


def _needed_by_workloads(found: Sequence[Workload], settings: Settings, namespace: str) -> Iterator[Needed]:
    for item in found:
        try:
            decision = decide_workload(item, settings, namespace)
        except (ReviewError, AnnotationsError):
            continue  # reported as a problem of the workload
        if not isinstance(decision, Inject):
            continue
        credentials, ca = decision.request.credentials, decision.request.ca
        if isinstance(credentials, SecretCredentials):
            yield Needed("Secret", credentials.name, _CONFIGURATION_KEY, is_configuration=True)
        if ca is not None:
            yield Needed("Secret" if ca.kind == "secret" else "ConfigMap", ca.name, ca.key, is_configuration=False)


def _object(api: Api, namespace: str, needed: Needed, relays: Sequence[str]) -> Iterator[Finding]:
    """Check an object that pods need. Its content is parsed, and never part of a message. *relays*: where a relay may be."""
    check = "ksm-configuration" if needed.is_configuration else "ca-certificate"
    where = f"{needed.kind} {namespace}/{needed.name}"
    core = api.core()
    call = core.read_namespaced_secret if needed.kind == "Secret" else core.read_namespaced_config_map
    create = "" if needed.kind == "ConfigMap" else " generic"
    right = f"kubectl -n {namespace} create {needed.kind.lower()}{create} {needed.name} --from-file={needed.key}=FILE"
    page = "installation.md#connect-to-keeper" if needed.is_configuration else _INIT
    try:
        data = as_object(api.read(where, call, needed.name, namespace).get("data"))
    except ForbiddenError:
        yield warning(check, f"you may not read {where}, so it was not checked")
        return
    except MissingError:
        yield failed(check, f"{where} does not exist, and pods that name it cannot start", right, page)
        return
    if needed.key not in data:
        yield failed(check, f"{where} has no key {needed.key}", right, page)
        return
    if not needed.is_configuration:
        yield ok(check, f"{where} has the key {needed.key}")
        return
    try:
        configuration = parse_configuration(base64.b64decode(str(data[needed.key])), where)
        check_key_lengths(configuration, where)
    except ConfigurationError as error:
        yield failed(check, str(error), right, page)
        return
    yield ok(check, f"{where} holds a KSM configuration")
    yield from check_halves(api, configuration, where, relays)
