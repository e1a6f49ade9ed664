"""The cluster of the current kubectl context, and the chart rendered for it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from pods import FIGURES, IMAGES, SYSTEM, Keeper, Namespace, install, run, start_keeper

CHART = Path(__file__).parents[1] / "charts/keeper-injector"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
"""Which of several processes this is."""
MEASURED = "measured"
LONGEST = (
    *(
        "test_outages.py",
        "test_starts.py",
        "test_tutorial.py",
        "test_examples.py",
        "test_clouds.py",
        "test_delivery.py",
    ),
    *("test_applications.py", "test_chart_lifecycle.py", "test_lifecycles.py", "test_pytest_kind.py"),
)


@attrs.frozen
class Cluster:
    """A cluster with a namespace of our own."""

    namespace: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl in the namespace; its failure is the test's."""
        return run("kubectl", "--namespace", self.namespace, *arguments, text=text).stdout

    def chart(self, *values: str, file: str = "default") -> list[dict[str, Any]]:
        """Render the chart with a file of ci/ and *values* (``key=value``); returns its objects as the API server would store them.

        Objects of kinds that only an operator brings, such as cert-manager, are left out where the cluster does not have it.
        """
        settings = [argument for value in values for argument in ("--set", value)]
        settings += ["--values", str(CHART / f"ci/{file}-values.yaml")]
        command = ["helm", "template", "keeper-injector", str(CHART), "--namespace", self.namespace, *settings]
        rendered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        served = self.kubectl("api-versions").split()
        objects = [item for item in yaml.safe_load_all(rendered) if item and item["apiVersion"] in served]
        text = yaml.safe_dump_all(objects)
        stored = self.kubectl("apply", "--dry-run=server", "--output", "json", "--filename", "-", text=text)
        items: list[dict[str, Any]] = json.loads(stored)["items"]
        return items


@pytest.fixture(name="cluster", scope="session")
def _cluster() -> Iterator[Cluster]:
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on PATH")
    if subprocess.run(["kubectl", "get", "--raw", "/readyz"], capture_output=True, check=False, timeout=30).returncode:
        pytest.skip("kubectl's current context has no cluster that answers")
    cluster = Cluster(f"keeper-injector-test-{WORKER}")
    run("kubectl", "create", "namespace", cluster.namespace)
    yield cluster
    run("kubectl", "delete", "namespace", cluster.namespace)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what a person would look at first: the test's namespace and the injector's."""
    report = yield
    if report.failed:
        space = getattr(item, "funcargs", {}).get("space")
        spaces = [space] if isinstance(space, Namespace) else []
        for namespace in [*spaces, Namespace(SYSTEM)]:
            report.sections.append((f"namespace {namespace.name}", namespace.story()))
    # What was measured goes with the report, which is all that comes back from another process.
    report.user_properties += [(MEASURED, figure) for figure in FIGURES]
    FIGURES.clear()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those files begin that take longest, so that several processes end together."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what was measured."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        for name, figure in getattr(report, "user_properties", ()):
            if name == MEASURED:
                terminalreporter.write_line(figure)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Uninstall, from a cluster that stays, what the tests of all processes had in common."""
    is_worker = hasattr(session.config, "workerinput")
    if (
        not is_worker
        and not os.environ.get("KEEPER_INJECTOR_CLUSTER")
        and IMAGES
        and not session.config.option.collectonly
    ):
        run("helm", "uninstall", "keeper-injector", "--namespace", SYSTEM, "--wait", "--ignore-not-found", check=False)
        run("kubectl", "delete", "namespace", SYSTEM, "--ignore-not-found", check=False)


@pytest.fixture(name="injector", scope="session")
def _injector(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keeper]:
    """The injector as a chart installs it, and a Keeper of this process's own; yields the Keeper."""
    assert cluster.namespace
    if not IMAGES:
        pytest.skip("KEEPER_INJECTOR_IMAGES is not set; ./tools/run integration builds and loads images, and sets it")
    # The first of several processes installs; the others find it done.
    with (tmp_path_factory.getbasetemp().parent / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install()
    namespace = Namespace(f"keeper-{WORKER}")
    run("kubectl", "create", "namespace", namespace.name)
    try:
        yield start_keeper(namespace)
    finally:
        run("kubectl", "delete", "namespace", namespace.name, "--wait=false")


@pytest.fixture(name="space")
def _space(injector: Keeper, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own that enforces Pod Security `restricted`, with the Secret that its owners make once."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = Namespace(f"{name}-{os.urandom(2).hex()}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name, "labels": labels}})
    injector.share_with(namespace)
    yield namespace
    run("kubectl", "delete", "namespace", namespace.name, "--wait=false")
