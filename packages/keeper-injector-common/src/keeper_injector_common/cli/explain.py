"""``keeper-injector explain``: what annotations will do, in words."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from keeper_injector_common.annotation_parser import parse_request, wants_injection
from keeper_injector_common.annotations import ANNOTATIONS, PREFIX, Annotation
from keeper_injector_common.cli import console
from keeper_injector_common.cli.manifests import UnreadableManifest, Workload, workloads
from keeper_injector_common.cli.reference import default
from keeper_injector_common.delivery import Formatted
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.references import FileContent
from keeper_injector_common.request import (
    AwsCredentials,
    AzureCredentials,
    Containers,
    Credentials,
    FolderFiles,
    GcpCredentials,
    InjectionRequest,
    RecordVariables,
    SecretCredentials,
    SecretFile,
    Variable,
)

HELP = "say in words what annotations will do"
DESCRIPTION = f"""\
Say for every workload which files and variables its containers get, how often Keeper is asked, and what the application must
do to see a change; or what one annotation means. Defaults of a chart are not known here.

exit codes: 0 explained, 1 annotations that cannot be followed, 2 a file cannot be read or the command is misused

The prefix {PREFIX} may be left out.
"""
EXAMPLES = """\
examples:
  keeper-injector explain deployment.yaml
  kubectl get deployment shop -o yaml | keeper-injector explain -
  keeper-injector explain annotation refresh-interval
"""


@attrs.frozen
class Node:
    """A line with lines below it."""

    text: str
    below: tuple[Node, ...] = ()


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="manifest, directory, -, or: annotation KEY")


def run(options: argparse.Namespace) -> int:
    """Print the explanation; returns the exit code."""
    first, *rest = options.files
    if first == "annotation" and rest:
        sys.stdout.write("\n".join(annotation(key) for key in rest))
        return console.FINE
    code = console.FINE
    for file in console.files(map(Path, options.files)):
        try:
            for workload in workloads(console.read(file)):
                try:
                    tree = explained(workload)
                except AnnotationsError as error:
                    code = console.PROBLEMS
                    said = [f"problem: {problem}" for problem in error.problems]
                    said += [f"warning: {warning}" for warning in error.warnings]
                    tree = Node(workload.label, tuple(map(Node, said)))
                sys.stdout.write("\n".join([console.paint(tree.text, "bold"), *_lines(tree.below)]) + "\n")
        except UnreadableManifest as error:
            raise console.Stop(f"{file}:{error.place.line}:{error.place.column}: {error}") from None
    return code


def annotation(key: str) -> str:
    """Return what one annotation means; raises :class:`~keeper_injector_common.cli.console.Stop`."""
    name = key.removeprefix(PREFIX)
    found = [item for item in ANNOTATIONS if item.name == name or (item.stem and name.startswith(item.stem))]
    exact: list[Annotation] = [item for item in found if item.name == name] or found
    if not exact:
        import difflib

        near = difflib.get_close_matches(name, [item.name for item in ANNOTATIONS], n=1)
        advice = f"did you mean {near[0]}?" if near else "keeper-injector annotations lists all"
        raise console.Stop(f"{key}: no annotation of ours; {advice}")
    item = exact[0]
    return f"{item.key}\n  {item.help}\n  example: {item.example}\n  default: {default(item).replace('`', '')}\n"


def explained(workload: Workload) -> Node:
    """Return what becomes of a workload; raises AnnotationsError."""
    if not wants_injection(workload.annotations):
        return Node(workload.label, (Node(f'left alone: {PREFIX}inject: "true" is not on its pods'),))
    request = parse_request(workload.annotations)
    return Node(
        workload.label,
        (
            *(Node(f"warning: {warning}") for warning in request.warnings),
            *_where_from(request),
            *_containers(request, [name for name, _ in workload.containers()]),
            *_kubernetes_secrets(request),
            *_changes(request),
        ),
    )


def _place(credentials: Credentials) -> str:
    match credentials:
        case SecretCredentials(name):
            return f"Secret {name}, key config, mounted for the agent alone"
        case AwsCredentials(secret_id):
            return f"AWS secret {secret_id}, by the pod's own identity"
        case GcpCredentials(secret_id):
            return f"Google Cloud secret {secret_id}, by the pod's own identity"
        case AzureCredentials(vault, secret):
            return f"secret {secret} of Azure vault {vault}, by the pod's own identity"


def _where_from(request: InjectionRequest) -> Iterator[Node]:
    yield Node(f"KSM configuration: {_place(request.credentials)}")
    often = (
        "once, at the start"
        if request.init_only
        else f"at the start and every {_duration(request.refresh_interval)}, ±10 %"
    )
    asked = ["one request for all records"]
    if request.folders or any(len(source.record.parts) > 1 for file in request.files for source in file.sources):
        asked.append("one for the folders")
    if any(isinstance(source, FileContent) for file in request.files for source in file.sources):
        asked.append("one download for each attachment that has changed")
    yield Node(f"Keeper is asked {often}: {', '.join(asked)}")


def _containers(request: InjectionRequest, names: Sequence[str]) -> Iterator[Node]:
    items: tuple[SecretFile | FolderFiles, ...] = (*request.files, *request.folders)
    for name in names or ("every container",):
        files = [_file(request, item) for item in items if _receives(name, item.containers, request.containers, names)]
        variables = [
            _variable(item) for item in request.variables if _receives(name, item.containers, request.containers, names)
        ]
        if files or variables:
            yield Node(f"container {name}", (*files, *variables))


def _receives(name: str, own: Containers, whole: Containers, names: Sequence[str]) -> bool:
    chosen = own if own is not None else whole
    return chosen is None or not names or name in chosen


def _file(request: InjectionRequest, item: SecretFile | FolderFiles) -> Node:
    if isinstance(item, FolderFiles):
        deep = " and the folders below it" if item.recursive else ""
        return Node(f"{item.directory}/  one {item.format} file for each record of folder {item.folder.title}{deep}")
    form = item.content.format if isinstance(item.content, Formatted) else "a template"
    mode = item.mode if item.mode is not None else request.file_mode
    shown = f"{mode:04o}" if mode is not None else "0400 of the container's runAsUser; else 0440 by fsGroup; else 0444"
    return Node(f"{item.path}  {form} of {' and '.join(map(str, item.sources))}, {shown}")


def _variable(item: Variable | RecordVariables) -> Node:
    if isinstance(item, Variable):
        return Node(f"${item.name}  {item.source}")
    which = ", ".join(item.fields) or "every field"
    return Node(f"${item.prefix}…  {which} of {item.source}")


def _kubernetes_secrets(request: InjectionRequest) -> Iterator[Node]:
    for secret in request.kubernetes_secrets:
        yield Node(
            f"Kubernetes Secret {secret.name} ({secret.type}, {secret.mode}), written by the pod's own service account"
        )


def _changes(request: InjectionRequest) -> Iterator[Node]:
    if request.init_only:
        yield Node("a change in Keeper is seen by new pods only (init-only)")
        return
    below = [Node("files change together, without a restart; the application must read them again")]
    if request.notify and request.notify.signal:
        whom = (
            f"processes called {request.notify.process}"
            if request.notify.process
            else "the main process of each container"
        )
        below.append(Node(f"{request.notify.signal} goes to {whom}, which must run as the agent's user"))
    if request.notify and request.notify.url:
        below.append(Node(f"POST {request.notify.url}"))
    if request.variables:
        below.append(Node("variables are those of the container's start: restart it to see new ones"))
    if request.on_removal == "remove":
        below.append(Node("the file of a record that is gone is removed"))
    yield Node("after a change in Keeper", tuple(below))


def _duration(seconds: float) -> str:
    whole = int(seconds)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def _lines(nodes: Iterable[Node], indent: str = "") -> Iterator[str]:
    items = list(nodes)
    for number, node in enumerate(items):
        last = number == len(items) - 1
        yield f"{indent}{'└─' if last else '├─'} {node.text}"
        yield from _lines(node.below, indent + ("   " if last else "│  "))
