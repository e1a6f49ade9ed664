"""What people read of the chart: its README, its notes, and what a package of it contains."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
import yaml
from lookup_server import lookup_server
from rendered_chart import (
    CHART,
    CI,
    NAME,
    NAMESPACE,
    VERSIONS,
    for_each_ci,
    helm,
    needs_helm,
)

from chart_values import read_values as values_of_chart

pytestmark = needs_helm

README = re.findall(r"^```yaml\n(.*?)^```", (CHART / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", [text for text in README if "kind:" not in text], ids=lambda text: text.split()[0])
def test_the_examples_of_the_readme_are_values(example: str, tmp_path: Path) -> None:
    """The schema and the templates accept each example."""
    (tmp_path / "values.yaml").write_text(example)
    done = helm("template", NAME, CHART, "--values", tmp_path / "values.yaml")

    assert done.returncode == 0, done.stderr


def test_the_readme_lists_every_alert() -> None:
    """The README's table has each alert with its severity."""
    groups = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rows = re.findall(r"^\| `(Keeper\w+)` \| (\w+) \|", (CHART / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [(rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"]]


def test_a_packaged_chart_has_no_tests(tmp_path: Path) -> None:
    """The archive contains only files that an installation needs."""
    assert helm("package", CHART, "--destination", tmp_path).returncode == 0
    with tarfile.open(tmp_path / f"keeper-injector-{VERSIONS['version']}.tgz") as archive:
        names = {name.removeprefix("keeper-injector/").split("/")[0] for name in archive.getnames()}

    assert names == {
        "Chart.yaml",
        "LICENSE",
        "README.md",
        "monitoring",
        "templates",
        "values-production.yaml",
        "values.schema.json",
        "values.yaml",
    }


def test_the_names_for_people_from_other_charts_are_values() -> None:
    """Each name in the right column of the README's table is a value or a section of values."""
    table = (CHART / "README.md").read_text(encoding="utf-8").partition("| elsewhere | here |")[2].partition("\n\n")[0]
    names = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", row.split("|")[2])}
    known = {value.name for value in values_of_chart((CHART / "values.yaml").read_text(encoding="utf-8"))}

    assert len(names) >= 8
    assert [name for name in names if not any(f"{value}.".startswith(f"{name}.") for value in known)] == []


@for_each_ci
def test_notes_have_one_next_step(ci: str) -> None:
    """Short, with the Secret and the two annotations, and what stays behind after an uninstall."""
    with lookup_server([]) as url:
        server = ("--kube-apiserver", url, "--disable-openapi-validation", "--dry-run=client")
        done = helm("install", NAME, CHART, "--namespace", NAMESPACE, "--values", CI[ci], *server)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("\nNOTES:\n")[2]

    assert len(notes.splitlines()) <= 18
    assert "kubectl create secret generic keeper-credentials" in notes
    assert 'keeper.security/inject: "true"' in notes
    assert ("helm uninstall does not delete" in notes) is (ci in {"cert-manager", "hardened"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([], "set agent.image.repository and image.repository:"),
        (["image.repository=registry.example/webhook"], "set agent.image.repository:"),
        (["image.repository=registry.example/webhook", "agent.image.repository=registry.example/agent"], ""),
        (["global.imageRegistry=registry.example"], ""),
    ],
)
def test_notes_say_that_images_are_not_published(values: list[str], named: str) -> None:
    """As long as the documentation says so: pods with the default images would wait for them without a reason in sight."""
    page = CHART.parents[1] / "packages/keeper-injector-common/docs/installation.md"
    assert "No images are published yet." in page.read_text(encoding="utf-8")
    with lookup_server([]) as url:
        server = ("--kube-apiserver", url, "--disable-openapi-validation", "--dry-run=client")
        done = helm("install", NAME, CHART, "--namespace", NAMESPACE, *server, *(f"--set={value}" for value in values))

    assert done.returncode == 0, done.stderr
    assert ("No images are published at ghcr.io/keeper-security yet" in done.stdout) is bool(named)
    assert named in done.stdout
