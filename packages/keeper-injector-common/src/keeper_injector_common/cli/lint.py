"""``keeper-injector lint``: the annotations of all workloads in manifests, judged as the webhook will judge them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
import yaml

from keeper_injector_common import templates
from keeper_injector_common.annotation_parser import parse_request, wants_injection
from keeper_injector_common.delivery import Templated
from keeper_injector_common.errors import AnnotationsError, Problem, TemplateError

Json = dict[str, Any]
SUFFIXES = (".yaml", ".yml", ".json")
STDIN = Path("-")


@attrs.frozen
class Finding:
    """Something to say about one workload."""

    place: str
    """``file: Kind/name``."""
    text: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {'warning: ' if self.is_warning else ''}{self.text}"


def run(files: Iterable[Path], *, strict: bool) -> int:
    """Print what is wrong in *files*; returns the exit code."""
    findings: list[Finding] = []
    workloads = 0
    try:
        for file, text in _texts(files):
            for manifest in _manifests(file, text):
                workloads += 1
                findings += check(file, manifest)
    except OSError as error:
        print(f"keeper-injector: {error.filename}: {error.strerror}", file=sys.stderr)
        return os.EX_NOINPUT
    except yaml.YAMLError as error:
        print(f"keeper-injector: {error}", file=sys.stderr)
        return os.EX_DATAERR
    for finding in findings:
        print(finding)
    wrong = [finding for finding in findings if strict or not finding.is_warning]
    print(f"{workloads} workloads, {len(wrong)} problems", file=sys.stderr)
    return int(bool(wrong))


def check(file: Path, manifest: Json) -> Iterator[Finding]:
    """Iterate over what is wrong or odd in one workload."""
    metadata = manifest.get("metadata") or {}
    place = f"{file}: {manifest.get('kind')}/{metadata.get('name') or metadata.get('generateName')}"
    annotations = {str(key): str(value) for key, value in (_pod_metadata(manifest).get("annotations") or {}).items()}
    try:
        if not wants_injection(annotations):
            return
        request = parse_request(annotations)
    except AnnotationsError as error:
        yield from (Finding(place, str(problem)) for problem in error.problems)
        return
    yield from (Finding(place, warning, is_warning=True) for warning in request.warnings)
    for item in request.files:
        if isinstance(item.content, Templated):
            try:
                templates.parse(item.content.source)
            except TemplateError as error:
                yield Finding(place, str(Problem(item.where, str(error))))


def _texts(files: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    for file in files:
        if file == STDIN:
            yield file, sys.stdin.read()
        elif file.is_dir():
            yield from _texts(path for path in sorted(file.rglob("*")) if path.suffix in SUFFIXES)
        else:
            yield file, file.read_text(encoding="utf-8")


def _manifests(file: Path, text: str) -> Iterator[Json]:
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else str(file)
        raise yaml.YAMLError(f"{where}: not valid YAML: {error.problem}") from None
    for document in documents:
        if not isinstance(document, dict):
            continue
        items = document.get("items") if document.get("kind") == "List" else [document]
        for item in items or ():
            if isinstance(item, dict) and isinstance(item.get("spec"), dict):
                yield item


def _pod_metadata(manifest: Json) -> Json:
    """Return the metadata of the pods that a workload makes."""
    spec = manifest["spec"]
    if manifest.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = spec.get("template")
    holder = template if isinstance(template, dict) else manifest if manifest.get("kind") == "Pod" else {}
    found: Json = holder.get("metadata") or {}
    return found
