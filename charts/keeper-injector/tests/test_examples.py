"""The chart's examples are listed, pass lint, and are injected by the webhook's code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from rendered_chart import needs_helm, one, pod_of, render

from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.manifests import workloads
from keeper_injector_webhook.admission.decide import Inject
from keeper_injector_webhook.preview import preview_workload
from keeper_injector_webhook.settings import Settings

EXAMPLES = Path(__file__).parents[3] / "charts/keeper-injector/examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def test_all_are_listed() -> None:
    """The README's table lists every example and nothing else."""
    listed = re.findall(r"\]\(([\w.-]+)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert listed == [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example(path: Path) -> None:
    """An example starts with a description, passes lint, and its workloads are injected without a warning."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert lint_text(str(path), text).findings == ()
    for workload in workloads(text):
        decision = preview_workload(str(path), workload, Settings()).decision
        assert isinstance(decision, Inject)
        assert decision.warnings == ()


@needs_helm
def test_argo_cd_names_both_images() -> None:
    """The example sets both images, because the chart's default images are not published yet."""
    application = yaml.safe_load((EXAMPLES / "23-argo-cd.yaml").read_text(encoding="utf-8"))
    objects = render("default", **application["spec"]["source"].get("helm", {}).get("valuesObject", {}))
    (container,) = pod_of(objects)["spec"]["containers"]
    (settings,) = one(objects, "ConfigMap")["data"].values()
    for image in (container["image"], yaml.safe_load(settings)["agent"]["image"]["repository"]):
        assert image.startswith("registry.example/keeper-injector-"), image
