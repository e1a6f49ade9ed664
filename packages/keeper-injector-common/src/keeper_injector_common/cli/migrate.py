"""``keeper-injector migrate``: manifests for other injectors → manifests for this one, as far as there is a counterpart."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import attrs
import yaml

from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.cli import console
from keeper_injector_common.cli.external_secrets import counterpart
from keeper_injector_common.cli.manifests import Entry, Place, UnreadableManifest, Workload, objects, workloads

HELP = "rewrite manifests of Keeper's Go injector, vault-k8s or External Secrets"
DESCRIPTION = f"""\
Print manifests with {PREFIX} annotations instead of those of HashiCorp's vault-k8s, with today's names instead of old ones,
and for every ExternalSecret the annotations that its pods need. Everything else stays as it is written, comments too.
What has no counterpart is named on standard error, with its line and what to do. Read the result before you apply it.

exit codes: 0 all has a counterpart, 1 something has none, 2 a file cannot be read or the command is misused
"""
EXAMPLES = """\
examples:
  keeper-injector migrate deployment.yaml > migrated.yaml
  kubectl get externalsecret shop -o yaml | keeper-injector migrate -
"""
VAULT = "vault.hashicorp.com/"
SAME_MEANING = MappingProxyType(
    {
        "agent-inject": "inject",
        "agent-inject-containers": "containers",
        "agent-pre-populate-only": "init-only",
        "agent-init-first": "init-first",
        "agent-limits-cpu": "agent-limits-cpu",
        "agent-limits-mem": "agent-limits-memory",
        "agent-requests-cpu": "agent-requests-cpu",
        "agent-requests-mem": "agent-requests-memory",
        "agent-run-as-user": "run-as-user",
        "agent-run-as-group": "run-as-group",
        "log-level": "log-level",
        "template-static-secret-render-interval": "refresh-interval",
    }
)
"""Annotations of vault-k8s whose values mean the same here."""
ADVICE = MappingProxyType(
    {
        "agent-inject-template-": "write the template in Go's language of ours as template-<name>",
        "agent-inject-command-": "use signal or notify-url to tell the application",
        "agent-inject-perms-": "write file-mode, or mode: in config",
        "role": "not needed: a KSM configuration stands for the application",
        "agent-inject-status": "not needed: remove it",
    }
)
DIRECTORY = "/vault/secrets"
"""Where vault-k8s puts files unless told otherwise; applications read them there."""


@attrs.frozen
class Edit:
    """Lines of the text, from 0, that become others."""

    first: int
    last: int
    lines: tuple[str, ...]


@attrs.frozen
class Left:
    """Something without a counterpart."""

    place: Place
    what: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, directory, or - for standard input"
    )


def run(options: argparse.Namespace) -> int:
    """Print the migrated manifests; returns the exit code."""
    code = console.FINE
    for number, file in enumerate(console.files(options.files)):
        try:
            text, left = migrated(console.read(file))
        except UnreadableManifest as error:
            raise console.Stop(f"{file}:{error.place.line}:{error.place.column}: {error}") from None
        sys.stdout.write(("---\n" if number and not text.startswith("---") else "") + text)
        for item in left:
            code = console.PROBLEMS
            console.note(f"{file}:{item.place.line}: {item.what}")
    return code


def migrated(text: str) -> tuple[str, list[Left]]:
    """Return the text with our annotations, and what has none; raises :class:`UnreadableManifest`."""
    lines = text.splitlines()
    left: list[Left] = []
    edits: list[Edit] = []
    for workload in workloads(text):
        edits += _edits(workload, lines, left)
    for edit in sorted(edits, key=lambda item: item.first, reverse=True):
        lines[edit.first : edit.last + 1] = edit.lines
    found = "\n".join(lines) + ("\n" if lines else "")
    for node, manifest in objects(text):
        if manifest.get("kind") == "ExternalSecret":
            document, lost = counterpart(manifest)
            found += document
            left += [Left(Place.of(node.start_mark), what) for what in lost]
    return found, left


def _edits(workload: Workload, lines: list[str], left: list[Left]) -> Iterator[Edit]:
    entries = {entry.key: entry for entry in workload.entries}
    for entry in workload.entries:
        found: list[tuple[str, str]] | None = None
        if entry.key.startswith(PREFIX):
            found = _renamed(entry)
        elif entry.key.startswith(VAULT):
            found = _of_vault(entry, entries, left)
        if found is None:
            continue
        first, last = entry.place.line - 1, _last_line(entry)
        indent = lines[first][: entry.place.column - 1]
        if indent.strip():
            left.append(Left(entry.place, f"{entry.key}: write annotations in lines of their own, then migrate again"))
            continue
        yield Edit(
            first,
            last,
            tuple(f"{indent}{PREFIX}{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in found),
        )


def _renamed(entry: Entry) -> list[tuple[str, str]] | None:
    annotation = BY_NAME.get(entry.key.removeprefix(PREFIX))
    return [(annotation.replaced_by, str(entry.value))] if annotation and annotation.replaced_by else None


def _of_vault(entry: Entry, entries: Mapping[str, Entry], left: list[Left]) -> list[tuple[str, str]]:
    name, value = entry.key.removeprefix(VAULT), str(entry.value)
    if name in SAME_MEANING:
        return [(SAME_MEANING[name], value)]
    if name.startswith("agent-inject-secret-"):
        secret = name.removeprefix("agent-inject-secret-")
        title = value.strip("/").rpartition("/")[2]
        left.append(
            Left(entry.place, f"{entry.key}: the record must be called {title!r} in Keeper, and be shared; check it")
        )
        return [(f"secret-{secret}", f"{title}:{_path(secret, entries)}")]
    if name.startswith(("agent-inject-file-", "secret-volume-path")):
        return []
    advice = next((text for stem, text in ADVICE.items() if name.startswith(stem)), "no counterpart; remove it")
    left.append(Left(entry.place, f"{entry.key}: {advice}"))
    return []


def _path(secret: str, entries: Mapping[str, Entry]) -> str:
    """Return where vault-k8s puts a secret."""

    def given(key: str) -> str:
        entry = entries.get(VAULT + key)
        return str(entry.value) if entry else ""

    directory = given(f"secret-volume-path-{secret}") or given("secret-volume-path") or DIRECTORY
    return f"{directory.rstrip('/')}/{given(f'agent-inject-file-{secret}') or secret}"


def _last_line(entry: Entry) -> int:
    end = entry.node.end_mark
    if end is None:
        return entry.place.line - 1
    is_block = isinstance(entry.node, yaml.ScalarNode) and entry.node.style in {"|", ">"}
    return int(end.line) - 1 if is_block else int(end.line)
