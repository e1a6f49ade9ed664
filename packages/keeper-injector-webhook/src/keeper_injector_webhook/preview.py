"""``keeper-injector-webhook preview``: what the webhook would do to the workloads in manifests, without a cluster.

The same functions decide and patch as in the server; what differs is where pods come from. A pod here is its workload's
template: what API servers add before a webhook is asked (defaults, a service account's token) is not in it.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import yaml

from keeper_injector_common.annotations.table import PLAN
from keeper_injector_common.cli import chart, console
from keeper_injector_common.cli.checks import unquoted
from keeper_injector_common.cli.manifests import UnreadableManifest, Workload, workloads
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.writer import dumps
from keeper_injector_webhook.admission.decide import Decision, Deny, Inject, Skip, decide_pod
from keeper_injector_webhook.admission.patch import build_patch
from keeper_injector_webhook.admission.pod import Pod, object_at
from keeper_injector_webhook.errors import ReviewError, SettingsError
from keeper_injector_webhook.settings import Settings, read_settings

HELP = "show what would happen to the workloads in manifests; needs no cluster"
EXAMPLES = """\
examples:
  keeper-injector-webhook preview deployment.yaml                     the changes as a diff
  helm template ./chart | keeper-injector-webhook preview -           of what comes by a pipe
  keeper-injector-webhook preview --defaults values.yaml deployment.yaml    with the defaults of the injector's chart
  keeper-injector-webhook preview --settings settings.yaml --namespace shop deployment.yaml
  keeper-injector-webhook preview --plan deployment.yaml              what the agent will be told
  keeper-injector-webhook preview -o json deployment.yaml             everything, for programs

exit codes: 0 all may be created, 1 something is denied, 2 a file cannot be read or the command is misused
"""
OWNERS = {"Deployment": "ReplicaSet", "CronJob": "Job"}
"""What stands between a workload and its pods."""
MOST_VALUES = 100_000
"""Of a pod; API servers take 3 MB at most, and aliases of aliases can stand for more than memory holds."""


@attrs.frozen
class Preview:
    """One workload and what becomes of its pods."""

    file: str
    workload: Workload
    pod: Json = attrs.field(repr=False)
    decision: Decision
    operations: tuple[Json, ...] = ()

    @property
    def result(self) -> Json:
        """The pod after the patch, applied by code that is not ours."""
        # Not for the server, which imports this module for its command line.
        import jsonpatch

        found: Json = jsonpatch.apply_patch(copy.deepcopy(self.pod), list(self.operations))
        if self.workload.kind != "Pod":
            # Named by preview for the rules about Jobs; the controller's own has a UID.
            del found["metadata"]["ownerReferences"]
        return found


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, directory, or - for standard input"
    )
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the webhook's settings file: all of it holds")
    chart.arguments(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--diff", dest="show", action="store_const", const="diff", help="show changes (the default)")
    shown.add_argument("--patch", dest="show", action="store_const", const="patch", help="show the JSON Patch")
    shown.add_argument("--plan", dest="show", action="store_const", const="plan", help="show the agent's plan")
    shown.add_argument("-o", "--output", choices=["text", "json"], default="text", help="json: all of it (%(default)s)")
    parser.set_defaults(show="diff")


def run(options: argparse.Namespace) -> int:
    """Print the previews; returns the exit code."""
    try:
        settings = read_settings(options.settings) if options.settings else Settings()
        if options.defaults:
            settings = attrs.evolve(settings, defaults=chart.read(options))
        found = list(previews(console.files(options.files), settings, options.namespace))
    except (SettingsError, console.Stop) as error:
        console.note(str(error))
        return console.UNUSABLE
    try:
        _show(found, options, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        return console.pipe_closed()
    if not found:
        console.nothing_found()
    return console.PROBLEMS if any(isinstance(item.decision, Deny) for item in found) else console.FINE


def _show(found: Iterable[Preview], options: argparse.Namespace, settings: Settings) -> None:
    if options.output == "json":
        content = {"version": 1, "workloads": [_json(item, settings) for item in found]}
        sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    else:
        for item in found:
            _print(item, options.show, settings)


def previews(files: Iterable[Path], settings: Settings, namespace: str) -> Iterator[Preview]:
    """Iterate over what becomes of every workload; raises :class:`~keeper_injector_common.cli.console.Stop`."""
    for file in files:
        try:
            for workload in workloads(console.read(file)):
                try:
                    yield preview(str(file), workload, settings, namespace)
                except (ReviewError, AnnotationsError) as error:
                    where = f"{file}:{workload.place.line}:{workload.place.column}: {workload.label}"
                    said = str(error).removeprefix("request.object: ")
                    advice = "" if "; " in said else "; an API server would not take it, correct the manifest"
                    raise console.Stop(f"{where}: {said}{advice}") from None
        except UnreadableManifest as error:
            raise console.Stop(f"{file}:{error.place.line}:{error.place.column}: {error}") from None


def preview(file: str, workload: Workload, settings: Settings, namespace: str = "default") -> Preview:
    """Decide about one workload's pods."""
    raw = pod_of(workload)
    pod = Pod(raw)
    own = object_at(workload.manifest, "metadata").get("namespace")
    # API servers refuse what is no text before they ask a webhook.
    no_text = unquoted(workload)
    decision = Deny(no_text) if no_text else decide_pod(pod, settings, str(own or namespace))
    operations = build_patch(pod, decision, settings) if isinstance(decision, Inject) else ()
    return Preview(file, workload, raw, decision, tuple(operations))


def pod_of(workload: Workload) -> Json:
    """Return a pod as the workload's controller makes it; raises ReviewError for what is no JSON."""
    template = workload.template
    _weigh(template, "", {})
    metadata = dict(object_at(template, "metadata"))
    if workload.kind != "Pod":
        kind, _, name = workload.name.partition("/")
        metadata["generateName"] = f"{name}-"
        metadata["ownerReferences"] = [{"kind": OWNERS.get(kind, kind), "name": name, "controller": True}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": object_at(template, "spec")}


def _weigh(value: object, path: str, weights: dict[int, int]) -> int:
    """Return how many values *value* holds, those behind aliases each time; raises ReviewError for what no JSON can hold."""
    if value is None or isinstance(value, str | bool | int | float):
        return 1
    if not isinstance(value, dict | list):
        raise ReviewError(f"{path} is no text, number, list or mapping; write it in quotes")
    if id(value) not in weights:
        weights[id(value)] = 0
        items = value.items() if isinstance(value, dict) else enumerate(value)
        weights[id(value)] = 1 + sum(_weigh(item, f"{path}.{key}".lstrip("."), weights) for key, item in items)
    weight = weights[id(value)]
    if not weight:
        raise ReviewError(f"{path} holds itself by an alias; write the value out")
    if weight > MOST_VALUES:
        raise ReviewError(f"{path or 'the pod'} has more than {MOST_VALUES} values by its aliases; write fewer")
    return weight


def diff(item: Preview) -> str:
    """Return the changes as a unified diff of YAML; the plan stands in lines of its own."""
    old, new = (_readable(pod) for pod in (item.pod, item.result))
    return "\n".join(difflib.unified_diff(old, new, "as written", "as created", lineterm="", n=2)) + "\n"


def sentence(item: Preview) -> str:
    """Say in one line what happens."""
    match item.decision:
        case Skip(reason):
            return f"{item.workload.label}: left alone: {reason.value}"
        case Deny(problems):
            return f"{item.workload.label}: denied, {len(problems)} problem{'s' if len(problems) > 1 else ''}"
        case Inject():
            return f"{item.workload.label}: injected, {len(item.operations)} operations"


def _print(item: Preview, show: str, settings: Settings) -> None:
    lines = [console.paint(sentence(item), "bold")]
    if isinstance(item.decision, Deny):
        lines += [f"{console.paint('  problem:', 'red')} {problem}" for problem in item.decision.problems]
    if isinstance(item.decision, Deny | Inject):
        lines += [f"{console.paint('  warning:', 'yellow')} {warning}" for warning in item.decision.warnings]
    if show == "diff":
        sys.stdout.write("\n".join(lines) + "\n")
        if item.operations:
            sys.stdout.writelines(f"{line}\n" for line in _coloured(diff(item).splitlines()))
        return
    # Standard output is for the programs that read it.
    for line in lines:
        console.note(line)
    if isinstance(item.decision, Inject):
        content = _json(item, settings)[show]
        sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def _coloured(lines: Iterable[str]) -> Iterator[str]:
    colours = {"+": "green", "-": "red", "@": "dim"}
    for line in lines:
        colour = colours.get(line[:1])
        yield console.paint(line, colour) if colour else line


def _json(item: Preview, settings: Settings) -> Json:
    decision = item.decision
    found: Json = {"file": item.file, "line": item.workload.place.line, "workload": item.workload.name}
    match decision:
        case Skip(reason):
            return {**found, "decision": "skip", "reason": reason.code}
        case Deny(problems, warnings):
            said = [{"where": problem.where, "message": problem.message} for problem in problems]
            return {**found, "decision": "deny", "problems": said, "warnings": list(warnings)}
        case Inject(plan=plan, warnings=warnings):
            return {
                **found,
                "decision": "inject",
                "warnings": list(warnings),
                "image": decision.request.agent_image or settings.image_for(decision.request.credentials),
                "plan": json.loads(dumps(plan)),
                "patch": list(item.operations),
                "pod": item.result,
            }


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block, and everything where it stands: no aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _readable(pod: Json) -> list[str]:
    hidden = {"generateName", "ownerReferences"}
    metadata = {key: value for key, value in pod["metadata"].items() if key not in hidden}
    annotations = dict(metadata.get("annotations") or {})
    if PLAN in annotations:
        annotations[PLAN] = json.dumps(json.loads(annotations[PLAN]), ensure_ascii=False, indent=2)
    shown = {**pod, "metadata": {**metadata, "annotations": annotations}}
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16).splitlines()
