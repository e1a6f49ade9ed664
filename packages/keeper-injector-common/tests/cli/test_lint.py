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


TEMPLATES = """\
kind: Pod
metadata:
  name: web
  annotations:
    keeper.security/inject: "true"
    keeper.security/secret-db: "db:/app/db.properties"
    keeper.security/template-db: |
      # the database
      user={{ .login }}
      password={{ .password | toProperties }}
    keeper.security/secret-motd: "db:/app/motd.txt"
    keeper.security/template-motd: "{{ .login }}"
    keeper.security/config: |
      secrets:
        - record: db
          path: /app/b.yml
          template: |
            url: {{ printf "%s@%s"
              .login .host }}
spec: { containers: [{ name: a, image: b }] }
"""


def test_a_field_that_a_template_writes_without_quotes_is_a_warning() -> None:
    """The warning has the line of the template and the function to use. A file without a rule of quoting has no warning."""
    found = run("lint", "-", text=TEMPLATES)
    assert found.code == 0
    assert found.output.splitlines() == [
        (
            "-:9:7: warning: Pod/web: keeper.security/template-db: line 2 of the template writes {{ .login }} into "
            "/app/db.properties as it is, so its value may change; write {{ .login | toProperties }} without quotes around it"
        ),
        (
            '-:17:11: warning: Pod/web: keeper.security/config: secrets[0].template: line 1 of the template writes {{ printf "%s@%s" '
            ".login .host }} into /app/b.yml as it is, so its value may change; "
            'write {{ printf "%s@%s" .login .host | toYaml }} without quotes around it'
        ),
    ]
    assert run("lint", "--strict", "-", text=TEMPLATES).code == 1


def test_an_invalid_template_is_reported_at_its_line() -> None:
    """A problem of a template in a block has the position of the line that it is about."""
    found = run("lint", "-", text=TEMPLATES.replace("toProperties", "toJava"))
    assert (
        "-:10:7: error: Pod/web: keeper.security/template-db: template, parsing line 3: function toJava" in found.output
    )
