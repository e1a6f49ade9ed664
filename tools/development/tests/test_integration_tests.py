"""What the tests on a cluster do where the cluster does not: programs that take notes and fail stand in for kubectl and helm."""

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
case "$*" in *readyz*) exit {answers} ;; esac
echo "no such thing" >&2
exit 1
"""


@attrs.frozen
class Machine:
    """A machine with a kubectl that takes notes."""

    path: Path

    def has_cluster(self, *, answers: bool) -> None:
        """Say whether there is a cluster; nothing can be made in it."""
        script = KUBECTL.format(notes=self.path / "notes", answers=int(not answers))
        for program in ("kubectl", "helm"):
            (self.path / program).write_text(script, encoding="utf-8")
            (self.path / program).chmod(0o755)

    @property
    def asked(self) -> list[str]:
        """What kubectl and helm were asked."""
        return (self.path / "notes").read_text(encoding="utf-8").splitlines()

    def test(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a test that needs a cluster."""
        ours = ("KEEPER_INJECTOR_", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = f"{self.path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", TEST],
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


def test_a_run_that_tested_nothing_is_not_green(machine: Machine) -> None:
    """Images were built for a cluster, and it does not answer: that fails, and it is asked once."""
    machine.has_cluster(answers=False)
    done = machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0")

    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
    assert "no cluster that answers" in done.stdout
    assert len(machine.asked) == 1


def test_who_has_no_cluster_is_not_asked_for_one(machine: Machine) -> None:
    """Without images there is nothing to test."""
    machine.has_cluster(answers=False)
    done = machine.test()

    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "1 skipped" in done.stdout


def test_a_failure_shows_what_can_be_told(machine: Machine) -> None:
    """Nobody waits long for it: the test has failed already."""
    machine.has_cluster(answers=True)
    done = machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0", KEEPER_INJECTOR_CLUSTER="thrown away")

    assert "it cannot be told" in done.stdout
    told = [line for line in machine.asked if "get pods" in line]
    assert told
    assert all("--request-timeout=20s" in line for line in told)


@pytest.mark.parametrize(("thrown_away", "wait"), [({"KEEPER_INJECTOR_CLUSTER": "thrown away"}, None), ({}, "true")])
def test_a_cluster_that_stays_is_left_empty(machine: Machine, thrown_away: dict[str, str], wait: str | None) -> None:
    """The next run installs into namespaces of the same names: it would find them terminating."""
    machine.has_cluster(answers=True)
    machine.test(KEEPER_INJECTOR_IMAGES="localhost:0.1.0", **thrown_away)

    found = re.search(r"delete namespace keeper-injector .*--wait=(\w+)", "\n".join(machine.asked))
    assert (found and found[1]) == wait


@pytest.mark.parametrize(("stays", "wait"), [(True, "--wait=true"), (False, "--wait=false")])
def test_a_namespace_is_waited_for_where_the_cluster_stays(
    monkeypatch: pytest.MonkeyPatch, stays: bool, wait: str
) -> None:
    """Keeper's and a release's: their names come again."""
    pods: Any = importlib.import_module("pods")
    asked: list[str] = []
    monkeypatch.setattr(pods, "run", lambda *command, **_: asked.extend(command))
    monkeypatch.setattr(pods, "STAYS", stays)
    pods.Namespace("keeper-gw0").remove()

    assert {"keeper-gw0", wait} <= set(asked)


def test_a_story_that_takes_too_long_is_no_second_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception there would end the process with all tests that it still has to run."""
    pods: Any = importlib.import_module("pods")

    def told(*command: str, **_: Any) -> subprocess.CompletedProcess[str]:
        if "logs" in command:
            raise subprocess.TimeoutExpired(command, 60)
        return subprocess.CompletedProcess(command, 0, "pod/shop", "")

    monkeypatch.setattr(pods, "run", told)

    assert re.match(r"pod/shop\n----\npod/shop\n----\nit cannot be told: .* timed out", pods.Namespace("shop").story())
