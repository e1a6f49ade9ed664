"""``keeper-injector preview``: shows what the webhook would do to the workloads in manifests, without a cluster.

The command decides and patches with the same functions as the server. Its pods are made from the pod templates of the
workloads. They lack what the API server adds before it calls a webhook: defaults, and the token of a service account.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import jsonpatch
import yaml

from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.policy import Policy
from keeper_injector_common.annotations.table import PLAN
from keeper_injector_common.cli import console, inputs, lint, reports
from keeper_injector_common.cli.checks import OF_FILES, OF_THE_WEBHOOK, non_string_annotations
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import Decision, Deny, Inject, Pod, Skip, build_patch
from keeper_injector_webhook.checks import decide_workload, pod_of, settings_of, verdict
from keeper_injector_webhook.errors import ReviewError, SettingsError
from keeper_injector_webhook.settings import Settings, read_settings

DESCRIPTION = """\
Show what the webhook would do to each workload in manifests: skip it and why,
reject it with every problem, or inject it, with the changes to its pods. The
code is the webhook's, and no cluster is needed.

exit codes: 0 all pods would be admitted, 1 a pod would be rejected, 2 a file
cannot be read or the arguments are invalid
"""
EXAMPLES = """\
examples:
  # Show the changes as a diff.
  keeper-injector preview deployment.yaml
  helm template ./chart | keeper-injector preview -

  # Use the values of the injector's chart, or the settings file of the webhook.
  keeper-injector preview --defaults values.yaml deployment.yaml
  keeper-injector preview --settings settings.yaml --namespace shop deployment.yaml

  # Show the agent's plan, or everything as JSON.
  keeper-injector preview --plan deployment.yaml
  keeper-injector preview -o json deployment.yaml

  # Annotate the lines of a pull request on GitHub, or write a report for code scanning.
  keeper-injector preview -o github manifests/
  keeper-injector preview -o sarif manifests/ > keeper.sarif
"""
_REPORTS = ("github", "sarif")
"""Output formats that have only problems and warnings; those of ``lint``."""


@attrs.frozen
class Partial:
    """The template has no containers, as in a patch of kustomize. Its annotations are valid, and its pods are unknown."""

    warnings: tuple[Problem, ...] = ()


@attrs.frozen
class Preview:
    """A workload, and what the webhook would do to its pods."""

    file: str
    workload: Workload
    pod: Json = attrs.field(repr=False)
    decision: Decision | Partial
    operations: tuple[Json, ...] = ()
    """The JSON Patch; empty unless the pod is injected."""

    @property
    def result(self) -> Json:
        """The pod after the patch, which jsonpatch applies, so that our own code does not check itself."""
        patched: Json = jsonpatch.apply_patch(copy.deepcopy(self.pod), list(self.operations))
        if self.workload.kind != "Pod":
            # Added by pod_of for the rules about Jobs. The controller's own reference has a UID, unknown here.
            del patched["metadata"]["ownerReferences"]
        return patched


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    inputs.add_files(parser)
    parser.add_argument("--settings", type=Path, metavar="FILE", help="webhook settings file")
    inputs.add_defaults(parser)
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--diff", dest="show", action="store_const", const="diff", help="show a diff (the default)")
    shown.add_argument("--patch", dest="show", action="store_const", const="patch", help="show the JSON Patch")
    shown.add_argument("--plan", dest="show", action="store_const", const="plan", help="show the agent's plan")
    shown.add_argument(
        "-o",
        "--output",
        choices=["text", "json", *_REPORTS],
        default="text",
        help="output format (default: %(default)s)",
    )
    parser.set_defaults(show="diff")


def run(options: argparse.Namespace) -> int:
    """Print the previews; return the exit code."""
    try:
        settings = read_settings(options.settings) if options.settings else Settings()
    except SettingsError as error:
        raise console.CommandError(str(error)) from None
    if options.defaults:
        settings = settings_of(inputs.read_chart(options), settings)
    if options.output in _REPORTS:
        return _report(options, settings)
    previews, failures = [], inputs.Failures()
    for file, workload in inputs.read_workloads(options.files, failures):
        try:
            previews.append(_preview(file, workload, settings, options.namespace))
        except console.CommandError as error:
            failures.report(error)
    if options.output == "json":
        content = {"version": 1, "workloads": [_as_json(item, settings) for item in previews]}
        sys.stdout.write(console.json_text(content))
    else:
        for item in previews:
            _print(item, options.show, settings)
    if failures.count:
        return console.EXIT_ERROR
    if not previews:
        console.report_no_workloads()
    return console.EXIT_PROBLEMS if any(isinstance(item.decision, Deny) for item in previews) else console.EXIT_OK


def _report(options: argparse.Namespace, settings: Settings) -> int:
    """Print what the webhook would report, at its lines, as ``lint`` does; return the exit code."""

    def rules_for(workload: Workload) -> tuple[Mapping[str, str], Policy]:
        chart = inputs.ChartSettings(settings.defaults, settings.policies)
        return inputs.rules_for(workload, chart, options.namespace)

    failures = inputs.Failures()
    results = lint.lint_files(
        options.files, failures, rules_for, lambda item: verdict(item, settings, options.namespace)
    )
    all_findings = [finding for result in results for finding in result.findings]
    findings = [item for item in all_findings if item.rule in OF_THE_WEBHOOK | OF_FILES]
    sys.stdout.write(reports.FORMATS[options.output](findings))
    if any(item.rule in OF_FILES for item in findings):
        return console.EXIT_ERROR
    return console.EXIT_OK if all(item.is_warning for item in findings) else console.EXIT_PROBLEMS


def preview_workload(file: str, workload: Workload, settings: Settings, namespace: str = "default") -> Preview:
    """Decide about the pods of one workload; *namespace* applies if the workload does not set one.

    Raises ReviewError or AnnotationsError for a workload that an API server would not accept.
    """
    raw = pod_of(workload)
    decision: Decision | Partial = decide_workload(workload, settings, namespace)
    if isinstance(decision, Deny) and not workload.containers():
        decision = _partial(workload, decision, settings, namespace)
    operations = build_patch(Pod(raw), decision, settings) if isinstance(decision, Inject) else ()
    return Preview(file, workload, raw, decision, tuple(operations))


def _partial(workload: Workload, decision: Deny, settings: Settings, namespace: str) -> Deny | Partial:
    """Return the verdict about the annotations alone, as ``lint`` does."""
    problems = non_string_annotations(workload)
    if not problems:
        chart = inputs.ChartSettings(settings.defaults, settings.policies)
        try:
            _, problems = read_request(workload.annotations, *inputs.rules_for(workload, chart, namespace))
        except AnnotationsError as error:
            problems = error.problems
    return Deny(problems, decision.warnings) if problems else Partial(decision.warnings)


def _preview(file: Path, workload: Workload, settings: Settings, namespace: str) -> Preview:
    try:
        return preview_workload(str(file), workload, settings, namespace)
    except (ReviewError, AnnotationsError) as error:
        position = console.visible(f"{file}:{workload.position.line}:{workload.position.column}: {workload.label}")
        message = str(error).removeprefix("request.object: ")
        advice = "" if "; " in message else "; an API server would not accept it, correct the manifest"
        raise console.CommandError(f"{position}: {message}{advice}") from None


def _summary(item: Preview) -> str:
    match item.decision:
        case Skip(reason):
            return f"{item.workload.label}: skipped: {reason.value}"
        case Deny(problems):
            return f"{item.workload.label}: rejected, {len(problems)} problem{'s' if len(problems) > 1 else ''}"
        case Partial():
            return f"{item.workload.label}: not decided: the template has no containers; preview the whole manifest"
        case Inject():
            return f"{item.workload.label}: injected, {len(item.operations)} operations"


def _print(item: Preview, show: str, settings: Settings) -> None:
    lines = [("", "bold", _summary(item))]
    if isinstance(item.decision, Deny):
        lines += [("  problem: ", "red", str(problem)) for problem in item.decision.problems]
    if isinstance(item.decision, Deny | Inject | Partial):
        lines += [("  warning: ", "yellow", str(warning)) for warning in item.decision.warnings]
    if show == "diff":
        for mark, color, text in lines:
            shown = console.visible(text)
            sys.stdout.write(f"{console.colored(mark or shown, color)}{shown if mark else ''}\n")
        if item.operations:
            sys.stdout.writelines(f"{line}\n" for line in _diff(item))
        return
    # The patch or the plan on standard output is for programs, so the summary goes to standard error.
    for mark, _, text in lines:
        console.print_error(f"{mark}{console.visible(text)}")
    if isinstance(item.decision, Inject):
        sys.stdout.write(console.json_text(_as_json(item, settings)[show]))


def _diff(item: Preview) -> Iterator[str]:
    """Iterate over the lines of a unified diff between the pod as written and as created, both as YAML."""
    old, new = (_as_yaml(pod) for pod in (item.pod, item.result))
    colors = {"+": "green", "-": "red", "@": "dim"}
    for line in difflib.unified_diff(old, new, "as written", "as created", lineterm="", n=2):
        color, shown = colors.get(line[:1]), console.visible(line)
        yield console.colored(shown, color) if color else shown


def _as_json(item: Preview, settings: Settings) -> Json:
    decision = item.decision
    found: Json = {"file": item.file, "line": item.workload.position.line, "workload": item.workload.name}
    match decision:
        case Skip(reason):
            return {**found, "decision": "skip", "reason": reason.code}
        case Partial(warnings):
            return {**found, "decision": "unknown", "warnings": [str(warning) for warning in warnings]}
        case Deny(problems, warnings):
            listed = [{"where": problem.where, "message": problem.message} for problem in problems]
            return {**found, "decision": "deny", "problems": listed, "warnings": [str(warning) for warning in warnings]}
        case Inject(written=written, warnings=warnings):
            return {
                **found,
                "decision": "inject",
                "warnings": [str(warning) for warning in warnings],
                "image": decision.request.agent_image or settings.image_for(decision.request.credentials),
                "plan": json.loads(written.text),
                "patch": list(item.operations),
                "pod": item.result,
            }


class _Dumper(yaml.SafeDumper):
    """Writes strings of several lines as blocks, and writes values out instead of using aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def _as_yaml(pod: Json) -> list[str]:
    """Return the lines of a pod as YAML, with the plan in several lines."""
    hidden = {"generateName", "ownerReferences"}
    metadata = {key: value for key, value in pod["metadata"].items() if key not in hidden}
    annotations = dict(metadata.get("annotations") or {})
    if PLAN in annotations:
        annotations[PLAN] = json.dumps(json.loads(annotations[PLAN]), ensure_ascii=False, indent=2)
    shown = {**pod, "metadata": {**metadata, "annotations": annotations}}
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16).rstrip("\n").split("\n")
