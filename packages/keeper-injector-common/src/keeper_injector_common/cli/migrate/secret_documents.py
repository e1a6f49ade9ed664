"""Objects that create a Kubernetes Secret → entries for the pods that use it, or a document if no pod of the input does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import yaml

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.console import visible
from keeper_injector_common.cli.manifest_yaml import Position
from keeper_injector_common.cli.migrate.accepted import CONFIG, accept
from keeper_injector_common.cli.migrate.pods import Pod
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.secret_users import mounted
from keeper_injector_common.cli.migrate.wanted import (
    Document,
    Origin,
    Setting,
    Unmigrated,
    Wanted,
    WantedEntry,
)
from keeper_injector_common.cli.migrate.yaml_edits import entry_lines
from keeper_injector_common.json_values import Json, as_object

_API_VERSIONS = {
    "CronJob": "batch/v1",
    "Job": "batch/v1",
    "Pod": "v1",
    "PodTemplate": "v1",
}
_TEMPLATES = {"CronJob": ("spec", "jobTemplate", "spec", "template"), "Pod": (), "PodTemplate": ("template",)}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Pod")
"""The kinds that ``--workload`` accepts."""


@attrs.frozen
class SecretSource:
    """What creates a Secret in another tool, in the terms of Keeper Injector."""

    label: str
    """Kind and name of the object."""
    kind: str
    """The resource, as kubectl knows it."""
    name: str
    namespace: str
    secret: str
    """The name of the Secret."""
    entries: tuple[Json, ...]
    """For ``config``. If it is empty, nothing is written."""
    settings: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    deletion: str = ""
    """What happens to the Secret when the object is deleted, and what to do about it."""


def wants_of(pod: Pod, source: SecretSource, run: Run) -> Wanted:
    """Return what *pod* gets because it uses the Secret of *source*."""
    run.used.add((source.label, source.namespace))
    origin = Origin(position=pod.position, label=source.label)
    remarks = []
    if source.secret in mounted(pod):
        found = f"{source.label}: the pod mounts the Secret {source.secret}, which its own agent cannot write"
        remarks.append(Unmigrated(pod.position, f"{found}; read the file that config writes, and remove the volume"))
    return Wanted(
        settings=[Setting(name, value, origin) for name, value in source.settings],
        entries=[WantedEntry(entry, origin) for entry in source.entries],
        remarks=remarks,
    )


def document_of(source: SecretSource, run: Run) -> Document:
    """Return the document with the annotations, unless a pod of the input has them; and what has no counterpart."""
    origin = Origin(position=Position(), label=source.label)
    settings = [Setting("inject", "true", origin), *(Setting(name, value, origin) for name, value in source.settings)]
    accepted = accept({}, settings, [WantedEntry(entry, origin) for entry in source.entries])
    refused = [reason for _, reason in accepted.refused if not reason.startswith(f"{PREFIX}inject ")]
    if (source.label, source.namespace) in run.used:
        # The pod's own problems are reported with the pod.
        return Document("", tuple(f"{source.label}: {problem}" for problem in source.problems))
    problems = tuple(f"{source.label}: {problem}" for problem in (*source.problems, *refused))
    if not accepted.entries:
        return Document("", problems or (f"{source.label}: it creates no Secret; remove it",))
    annotations = {f"{PREFIX}{item.name}": item.value for item in accepted.settings} | {CONFIG: accepted.config}
    # Names come from others: one with a line break would end the comment that it is in.
    lines = [visible(line) if line.startswith("#") else line for line in _lines(source, annotations, run)]
    return Document("\n".join(lines) + "\n", problems)


def _lines(source: SecretSource, annotations: dict[str, str], run: Run) -> Iterator[str]:
    yield "---"
    if run.workload:
        kind, name = run.workload
        yield f"# For the pods of {kind}/{name}, in place of {source.label}."
        yield "# Name this document as a patch of a kustomization, or apply it to the existing object:"
        yield "# kubectl apply --server-side --field-manager=keeper-injector-migrate -f FILE"
    else:
        kind, name = "PodTemplate", source.secret
        yield f"# For every pod template that uses the Secret {source.secret}, in place of {source.label}. No workload of the input"
        yield "# uses it. Add the workload to the input, or write --workload KIND/NAME, and the annotations are put there."
        yield "# This object holds them until then; it starts no pods."
    yield from _steps(source)
    yield f"apiVersion: {_API_VERSIONS.get(kind, 'apps/v1')}"
    yield f"kind: {kind}"
    yield "metadata:"
    yield f"  name: {_scalar(name)}"
    if source.namespace:
        yield f"  namespace: {_scalar(source.namespace)}"
    indent = ""
    for key in _TEMPLATES.get(kind, ("spec", "template")):
        yield f"{indent}{key}:"
        indent += "  "
    if indent:
        yield f"{indent}metadata:"
    yield f"{indent}  annotations:"
    for key, value in annotations.items():
        yield from entry_lines(f"{indent}    ", key, value)
    if kind == "PodTemplate":
        yield from (f"{indent}{line}" for line in ("spec:", "  containers:", "    - name: app", "      image: scratch"))


def _steps(source: SecretSource) -> Iterator[str]:
    """Iterate over the comment lines that tell the user how to replace the object on a live cluster."""
    option = f" -n {source.namespace}" if source.namespace else ""
    yield "# Follow these steps in order:"
    yield f"# 1. kubectl delete {source.kind} {source.name}{option}"
    if source.deletion:
        yield f"#    {source.deletion}"
    if any(entry.get("injectAsK8sSecret") for entry in source.entries):
        yield "# 2. Allow the pods' service account to write the Secret: set the chart values"
        yield f"#    kubernetesSecrets.namespaces: [{source.namespace or '…'}] and kubernetesSecrets.serviceAccounts with its name."
        yield "# 3. Add these annotations to the pod template, and restart the workload."
        yield "# When the application reads the file, the Secret is not needed: remove injectAsK8sSecret and all keys that begin with k8sSecret."
    else:
        yield "# 2. Add these annotations to the pod template, and restart the workload."


def _scalar(text: str) -> str:
    return yaml.safe_dump(
        text, allow_unicode=False, width=10000, default_style='"' if not text.isprintable() else None
    ).splitlines()[0]


def metadata_of(manifest: Json) -> tuple[str, str]:
    """Return the name and the namespace of an object."""
    metadata = as_object(manifest.get("metadata"))
    return str(metadata.get("name")), str(metadata.get("namespace") or "")


def separate(entries: Sequence[Json], mode: str) -> tuple[Json, ...]:
    """Return *entries* of one Secret; several of them merge their keys into it."""
    return tuple({**entry, "k8sSecretMode": mode} if len(entries) > 1 else entry for entry in entries)
