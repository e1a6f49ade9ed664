"""The integration tests without a cluster: kubectl and helm are replaced by scripts that record their calls and fail."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

ROOT = Path(__file__).parents[3]
TEST = "integration-tests/test_examples.py::test_the_example_of_a_signal"
KUBECTL = """\
#!/bin/sh
echo "$*" >>{notes}
case "$*" in
    *readyz*) exit {answers} ;;
    *"--raw /version"*) echo '{{"gitVersion": "{version}"}}'; exit ;;
esac
echo "no such thing" >&2
exit 1
"""


@attrs.frozen
class Machine:
    """A machine with a kubectl that records its calls."""

    path: Path

    def has_cluster(self, *, answers: bool, version: str = "v1.37.2") -> None:
        """Set whether a cluster answers, and its version; nothing can be created in it."""
        script = KUBECTL.format(notes=self.path / "notes", answers=int(not answers), version=version)
        for program in ("kubectl", "helm"):
            (self.path / program).write_text(script, encoding="utf-8")
            (self.path / program).chmod(0o755)

    @property
    def asked(self) -> list[str]:
        """The recorded calls of kubectl and helm."""
        return (self.path / "notes").read_text(encoding="utf-8").splitlines()

    def test(self, test: str = TEST, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run an integration test."""
        ours = ("KEEPER_INJECTOR_", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self.path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", test],
            cwd=ROOT,
            env={**kept, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_run_without_tests_fails(machine: Machine) -> None:
    """If images were built for a cluster that does not answer, the run fails after one request."""
    machine.has_cluster(answers=False)
    done = machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "no cluster that answers" in done.stdout
    assert len(machine.asked) == 1


def test_without_images_the_tests_are_skipped(machine: Machine) -> None:
    """A contributor without a cluster is not asked for one."""
    machine.has_cluster(answers=False)
    done = machine.test()

    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "1 skipped" in done.stdout


def test_a_failure_shows_the_state_of_the_cluster(machine: Machine) -> None:
    """The requests have a short timeout, because the test has already failed."""
    machine.has_cluster(answers=True)
    done = machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0", KEEPER_INJECTOR_CLUSTER="thrown away")

    assert "not available" in done.stdout
    told = [line for line in machine.asked if "get pods" in line]
    assert told
    assert all("--request-timeout=20s" in line for line in told)


@pytest.mark.parametrize(("thrown_away", "wait"), [({"KEEPER_INJECTOR_CLUSTER": "thrown away"}, None), ({}, "true")])
def test_a_cluster_that_stays_is_left_empty(machine: Machine, thrown_away: dict[str, str], wait: str | None) -> None:
    """The next run uses namespaces of the same names, and would find them terminating."""
    machine.has_cluster(answers=True)
    machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0", **thrown_away)

    found = re.search(r"delete namespace keeper-injector .*--wait=(\w+)", "\n".join(machine.asked))
    assert (found and found[1]) == wait


@pytest.mark.parametrize(("stays", "wait"), [(True, "--wait=true"), (False, "--wait=false")])
def test_a_namespace_is_waited_for_where_the_cluster_stays(
    monkeypatch: pytest.MonkeyPatch, stays: bool, wait: str
) -> None:
    """The names of Keeper's namespace and of a release's are used again."""
    pods: Any = importlib.import_module("pods")
    asked: list[str] = []
    monkeypatch.setattr(pods, "run", lambda *command, **_: asked.extend(command))
    monkeypatch.setattr(pods, "STAYS", stays)
    pods.Namespace("keeper-gw0").remove()

    assert {"keeper-gw0", wait} <= set(asked)


def test_a_story_that_times_out_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception would end the process with all tests that it still has to run."""
    pods: Any = importlib.import_module("pods")

    def told(*command: str, **_: Any) -> subprocess.CompletedProcess[str]:
        if "logs" in command:
            raise subprocess.TimeoutExpired(command, 60)
        return subprocess.CompletedProcess(command, 0, "pod/shop", "")

    monkeypatch.setattr(pods, "run", told)

    assert re.match(r"pod/shop\n----\npod/shop\n----\nnot available: .* timed out", pods.Namespace("shop").story())


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("v1.30.14", "Kubernetes 1.30 does not have EnvFiles, which is enabled from 1.35"),
        ("v1.34.1-gke.100", "Kubernetes 1.34 does not have EnvFiles, which is enabled from 1.35"),
        ("v1.35.5", None),
    ],
)
def test_what_a_version_does_not_have_is_skipped(machine: Machine, version: str, reason: str | None) -> None:
    """The reason names both versions, and nothing is created in the cluster first."""
    machine.has_cluster(answers=True, version=version)
    marked = "integration-tests/test_settings.py::test_variables_of_the_kubelet_expand"
    done = machine.test(marked, KEEPER_INJECTOR_IMAGES="localhost:0.1.0")
    if reason is None:
        assert any(call.startswith("create") for call in machine.asked), done.stdout
        assert "does not have" not in done.stdout
    else:
        assert done.returncode == pytest.ExitCode.OK, done.stdout
        assert reason in done.stdout
        assert not [call for call in machine.asked if call.startswith(("create", "apply", "install", "upgrade"))]
