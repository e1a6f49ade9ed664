"""``keeper-injector lint``: reports every problem with its position."""

from __future__ import annotations

from pathlib import Path

from command_line import MANIFESTS, lint, run
from sample_inputs import POD as SAMPLE_POD


def test_every_problem_of_every_workload() -> None:
    """A problem is reported with file, line, column, workload and annotation, in the order of the file."""
    assert lint("deployment.yaml") == [
        "26:13: error: CronJob/bad: keeper.security/secret-a: 'db[' at character 4: ']' is missing; add it",
        "27:13: error: CronJob/bad: keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m",
    ]


def test_exit_codes(tmp_path: Path) -> None:
    """The exit code is 1 for problems, and with --strict for warnings; directories are searched."""
    documents = (MANIFESTS / "habits.yaml").read_text(encoding="utf-8").split("---\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below/typo.yaml").write_text(documents[-1], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 0
    assert run("lint", "--strict", str(tmp_path)).code == 1
    (tmp_path / "twice.yml").write_text(documents[2], encoding="utf-8")
    assert run("lint", str(tmp_path)).code == 1


def test_annotation_defaults_are_applied(tmp_path: Path) -> None:
    """A default may need another annotation, which the pod must set."""
    values = tmp_path / "values.yaml"
    values.write_text("defaults: {auth-method: gcp-secret-manager}\n", encoding="utf-8")
    found = run("lint", "--defaults", str(values), "-", text=SAMPLE_POD)
    assert "gcp-secret-manager needs keeper.security/gcp-secret-id; add it" in found.output
