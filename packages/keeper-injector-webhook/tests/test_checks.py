"""The webhook's rules in ``lint``: a manifest that lint accepts is not rejected, and the other way round."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from admission_reviews import pod, respond
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.cli.inputs import ChartSettings
from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.manifests import workloads
from keeper_injector_webhook.admission import Deny
from keeper_injector_webhook.checks import check
from keeper_injector_webhook.preview import preview_workload
from keeper_injector_webhook.settings import Settings, read_settings

GOLDEN = sorted((Path(__file__).parent / "data/golden").glob("*.yaml"))
EXAMPLES = sorted((Path(__file__).parents[3] / "charts/keeper-injector/examples").glob("*.yaml"))
POD = """\
kind: Pod
metadata: {{name: a, annotations: {{keeper.security/inject: "true", keeper.security/secret: db, {annotations}}}}}
spec: {{containers: [{{name: app, image: app}}]}}
"""


def chart_of(settings: Settings) -> ChartSettings:
    """Return the settings that lint reads from the values of a chart."""
    agent = attrs.asdict(settings.agent, filter=lambda _, value: value != "")
    switches = {name: value for name, value in attrs.asdict(settings, recurse=False).items() if isinstance(value, bool)}
    values = {"agent": _camel(agent), **_camel(switches)}
    return ChartSettings(settings.defaults, settings.policies, values, "values.yaml")


def _camel(content: Any) -> Any:
    """Return *content* with the names that the chart gives to attributes."""
    if not isinstance(content, dict):
        return content
    return {re.sub("_(.)", lambda found: found[1].upper(), key): _camel(value) for key, value in content.items()}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_lint_and_the_webhook_agree(path: Path, tmp_path: Path) -> None:
    """Lint has a problem exactly if the webhook rejects the pod, and a warning exactly if the webhook has one."""
    case: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(case.get("settings", {})), encoding="utf-8")
    settings, namespace = read_settings(file), case.get("namespace", "shop")
    raw = {**pod(annotations=case.get("annotations"), **case["spec"]), "kind": "Pod"}
    response = respond(raw, settings, namespace=namespace)
    chart = chart_of(settings)
    found = lint_text(
        "-",
        yaml.safe_dump(raw),
        lambda _: (chart.defaults.within(namespace), chart.policies.within(namespace)),
        lambda workload: check(workload, chart, namespace),
    ).findings
    assert response["allowed"] == (not [item for item in found if not item.is_warning])
    (workload,) = workloads(yaml.safe_dump(raw))
    previewed = preview_workload("-", workload, settings, namespace).decision
    assert response["allowed"] == (not isinstance(previewed, Deny))
    warned = [item for item in found if item.rule == "webhook-warning"]
    assert bool(response.get("warnings")) == bool(warned)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_pass(path: Path) -> None:
    """The examples pass lint with the webhook's rules."""
    found = lint_text("-", path.read_text(encoding="utf-8"), check=lambda item: check(item, ChartSettings(), "default"))
    assert found.findings == ()


@pytest.mark.parametrize("command", ["lint", "explain"])
@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ('keeper.security/env-A: "db[a]"', "container 'app' leaves its command to the image"),
        ("keeper.security/containers: web", "keeper.security/containers: the pod has no container 'web'; it has app"),
        ("keeper.security/signal: HUP", "keeper.security/signal: the agent can signal its own user's processes only"),
    ],
)
def test_the_commands_apply_the_rules(command: str, annotations: str, message: str) -> None:
    """Lint and explain report what the webhook would report about the pod template."""
    assert message in run(command, "-", text=POD.format(annotations=annotations)).output


@pytest.mark.parametrize("length", [40_000, 60_000])
def test_the_commands_know_the_limit_of_the_plan(length: int) -> None:
    """A plan that does not fit into the annotations is a problem for the commands if it is one for the webhook, with the same sizes."""
    asked = {f"{kind}-{name}": text for name in "abc" for kind, text in (("secret", name), ("template", "t" * length))}
    raw = pod(annotations={"inject": "true", **asked})
    response = respond(raw, namespace="default")
    message = response.get("status", {}).get("message", "").partition("the pod's annotations have")[2]
    assert response["allowed"] == (not message)
    text = yaml.safe_dump({**raw, "kind": "Pod", "metadata": {**raw["metadata"], "name": "web"}})
    for command in ("lint", "explain"):
        done = run(command, "-", text=text)
        assert (done.code == 0) is response["allowed"]
        assert message in done.output


def test_a_patch_without_containers_is_not_judged() -> None:
    """A patch of kustomize has annotations and no containers, so that nothing is known about its pods."""
    patch = POD.format(annotations="keeper.security/containers: web").partition("spec:")[0]
    assert run("lint", "-", text=patch).output == ""
    found = run("preview", "-", text=patch)
    assert (found.code, found.output) == (
        0,
        "Pod/a: not decided: the template has no containers; preview the whole manifest\n",
    )
    assert json.loads(run("preview", "-o", "json", "-", text=patch).output)["workloads"][0]["decision"] == "unknown"
    bad = patch.replace("secret: db", "secret: 'db['")
    assert [run(command, "-", text=bad).code for command in ("lint", "preview")] == [1, 1]


@pytest.mark.parametrize("form", ["github", "sarif"])
def test_preview_reports_for_a_gate(form: str, tmp_path: Path) -> None:
    """The reports of preview have the webhook's findings where lint has them; an unreadable file does not end the others."""
    denied = str(Path(__file__).parent / "data/manifests/denied.yaml")
    (tmp_path / "bad.yaml").write_text("a: [", encoding="utf-8")
    linted, previewed = (run(command, "-o", form, denied) for command in ("lint", "preview"))
    assert (previewed.code, previewed.output) == (1, linted.output)
    found = run("preview", "-o", form, str(tmp_path / "none.yaml"), str(tmp_path / "bad.yaml"), denied)
    assert found.code == 2
    assert "no such file or directory" in found.output
    assert "not valid YAML" in found.output
    assert "'9x' is not a number" in found.output
    allowed = run("preview", "-o", form, "-", text=POD.format(annotations=""))
    assert (allowed.code, "error" in allowed.output and form == "github") == (0, False)


def test_an_unreadable_file_does_not_end_preview(tmp_path: Path) -> None:
    """Every file that can be read is previewed, in each form; the exit code tells of the others."""
    (tmp_path / "a.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("kind: Pod\nmetadata: [1]\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text(POD.format(annotations=""), encoding="utf-8")
    for output in ("text", "json"):
        found = run("preview", "-o", output, str(tmp_path), str(tmp_path / "none"))
        assert (found.code, found.errors.count("\n")) == (2, 3)
        assert "Pod/a" in found.output


ANNOTATIONS = {
    "secret": ["db", "db[", "a, b"],
    "secret-x": ["db[password]:/app/x", "db:relative", "db:/etc/x"],
    "signal": ["HUP", "NOPE"],
    "containers": ["app", "other"],
    "env-PW": ["db[password]", ""],
    "metrics-port": ["9464", "80", 9464],
    "refresh-interval": ["1m", "x", True],
    "unknown": ["x"],
}
"""Valid and invalid values."""


@given(
    st.fixed_dictionaries(
        {"inject": st.sampled_from(["true", "false", "x", True])},
        optional={name: st.sampled_from(values) for name, values in ANNOTATIONS.items()},
    ),
    st.sampled_from([[], [{"name": "app", "image": "a"}], [{"name": "app", "image": "a", "command": ["/a"]}]]),
)
def test_lint_and_preview_agree(annotations: dict[str, Any], containers: list[Any]) -> None:
    """Lint has an error exactly if preview denies the pod."""
    metadata = {"name": "a", "annotations": {f"keeper.security/{name}": value for name, value in annotations.items()}}
    text = json.dumps({"kind": "Pod", "metadata": metadata, "spec": {"containers": containers}})
    found = lint_text("-", text, check=lambda item: check(item, ChartSettings(), "default")).findings
    (workload,) = workloads(text)
    denied = isinstance(preview_workload("-", workload, Settings()).decision, Deny)
    assert denied == bool([item for item in found if not item.is_warning])


def test_env_files_of_the_chart_count(tmp_path: Path) -> None:
    """With `envFiles: always` a container needs no command."""
    values = tmp_path / "values.yaml"
    values.write_text("envFiles: always\n", encoding="utf-8")
    text = POD.format(annotations='keeper.security/env-A: "db[a]"')
    assert run("lint", "--defaults", str(values), "-", text=text).code == 0


def test_restarts_of_all_containers_are_allowed_by_the_chart(tmp_path: Path) -> None:
    """Without the values, `lint` cannot know that nodes support it; with them, `lint` and `preview` accept the pod."""
    values = tmp_path / "values.yaml"
    values.write_text("restartAllContainers: true\n", encoding="utf-8")
    text = POD.format(annotations="keeper.security/on-change: restart-all")
    found = run("lint", "-", text=text)
    assert (found.code, "set the chart value restartAllContainers: true" in found.output) == (1, True)
    assert run("lint", "--defaults", str(values), "-", text=text).code == 0
    shown = run("preview", "--defaults", str(values), "-", text=text)
    assert (shown.code, "RestartAllContainers" in shown.output) == (0, True)


VALUES = {
    "agent: {resources: {limits: {memory: 8Gi}}}": "",
    "agent: {resources: {requests: {memory: 200Mi}}}": "200Mi is more than the limit of 128Mi",
    "agent: {resources: {limits: {memory: 20Mi}}}": "32Mi is more than the limit of 20Mi",
}
"""Values of a chart, and the problem of a pod that is installed with them."""


@pytest.mark.parametrize(("values", "problem"), VALUES.items())
def test_lint_and_preview_read_the_same_values(tmp_path: Path, values: str, problem: str) -> None:
    """Whatever the values say about agents, both commands find the same problems."""
    file = tmp_path / "values.yaml"
    file.write_text(f"replicas: 3\n{values}\n", encoding="utf-8")
    text = POD.format(annotations="")
    for command in ("lint", "preview", "explain"):
        done = run(command, "--defaults", str(file), "-", text=text)
        assert done.code == bool(problem)
        assert problem in done.output


@pytest.mark.parametrize("command", ["lint", "explain", "preview"])
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ("agent: {resources: {limits: {memory: 128mb}}}", "agent.resources.limits.memory: '128mb' is not a"),
        ("agent: {image: {tag: a b}}", "agent.image.tag: 'a b' is not the tag of an image"),
        ("agent: {resource: {}}", "agent.resource: unknown key; did you mean 'resources'?"),
        ("envFiles: maybe", "envFiles: 'maybe' is unknown; write auto, always or never"),
    ],
)
def test_values_that_the_webhook_would_refuse_are_an_error(
    tmp_path: Path, command: str, values: str, problem: str
) -> None:
    """No manifest is checked with settings with which the webhook would not start."""
    file = tmp_path / "values.yaml"
    file.write_text(f"{values}\n", encoding="utf-8")
    done = run(command, "--defaults", str(file), "-", text=POD.format(annotations=""))
    assert (done.code, done.output) == (2, "")
    assert f"{file}: {problem}" in done.errors


def test_env_files_of_the_chart_count_in_a_preview(tmp_path: Path) -> None:
    """Preview and lint agree about `envFiles` too."""
    values = tmp_path / "values.yaml"
    text = POD.format(annotations='keeper.security/env-A: "db[a]"')
    for word, code in (("always", 0), ("auto", 1), ("never", 1), ("true", 0), ("false", 1)):
        values.write_text(f"envFiles: {word}\n", encoding="utf-8")
        for command in ("lint", "preview"):
            assert run(command, "--defaults", str(values), "-", text=text).code == code
