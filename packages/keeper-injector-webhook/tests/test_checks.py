"""The webhook's rules in ``lint``: a manifest that lint accepts is not rejected, and the other way round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from admission_reviews import pod, respond
from command_line import run

from keeper_injector_common.cli.inputs import ChartSettings
from keeper_injector_common.cli.lint import lint_text
from keeper_injector_webhook.checks import check
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
    return ChartSettings(settings.defaults, settings.policies, settings.env_files)


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


def test_env_files_of_the_chart_count(tmp_path: Path) -> None:
    """With `envFiles: always` a container needs no command."""
    values = tmp_path / "values.yaml"
    values.write_text("envFiles: always\n", encoding="utf-8")
    text = POD.format(annotations='keeper.security/env-A: "db[a]"')
    assert run("lint", "--defaults", str(values), "-", text=text).code == 0
