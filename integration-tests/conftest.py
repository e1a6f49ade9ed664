"""The cluster of the current kubectl context, and the chart rendered for it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import attrs
import pytest
import yaml
from features import missing, version_for_helm, version_of_cluster
from fleets import Fleet, install_fleet
from keeper import Keeper, start_keeper
from pods import FIGURES, IMAGES, STAYS, Namespace, run
from releases import SHARED, Release
from xdist.scheduler import LoadScopeScheduling

CHART = Path(__file__).parents[1] / "charts/keeper-injector"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "alone")
"""The name of this process of pytest-xdist."""
ABSENT = pytest.StashKey[bool]()
"""The key in the session's stash for a missing cluster, about which nothing can be reported."""
MEASURED = "measured"
LONGEST = (
    *("test_webhook.py", "no_fault_reaches", "keeper_is_down", "test_the_tutorial", "every_example"),
    *(
        "test_check.py",
        "test_clouds.py",
        "test_settings.py",
        "throttled_pods",
        "postgresql_is_reached",
        "test_pytest_kind.py",
    ),
)
"""Parts of the names of tests that take a minute or longer."""
TOGETHER = ("test_webhook.py", "test_settings.py", "test_check.py", "test_pytest_kind.py")
"""Files whose tests share something that exists only once, so they run in one process; other tests run in any process."""
FLEETS = "test_fleet"
"""The beginning of the names of files whose tests all run in one process, because they share the release with a relay."""


@attrs.frozen
class Cluster:
    """A cluster with a namespace for these tests."""

    namespace: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        """Run kubectl in the namespace; if it fails, the test fails."""
        return run("kubectl", "--namespace", self.namespace, *arguments, text=text).stdout

    def chart(self, *values: str, file: str = "default") -> list[dict[str, Any]]:
        """Render the chart with a file of ci/ and *values* (``key=value``); returns its objects as the API server would store them.

        Objects of kinds that only an operator brings, such as cert-manager, are left out where the cluster does not have it.
        """
        settings = [argument for value in values for argument in ("--set", value)]
        settings += ["--values", str(CHART / f"ci/{file}-values.yaml")]
        # Without hooks: the pod of `helm test` is not part of the release.
        command = [
            "helm",
            "template",
            "keeper-injector",
            str(CHART),
            "--no-hooks",
            "--namespace",
            self.namespace,
            *version_for_helm(),
            *settings,
        ]
        rendered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        served = self.kubectl("api-versions").split()
        objects = [item for item in yaml.safe_load_all(rendered) if item and item["apiVersion"] in served]
        text = yaml.safe_dump_all(objects)
        stored = self.kubectl("apply", "--dry-run=server", "--output", "json", "--filename", "-", text=text)
        items: list[dict[str, Any]] = json.loads(stored)["items"]
        return items


def _nothing_to_test_on(session: pytest.Session, reason: str) -> NoReturn:
    """Skip the test; but if images were built for a cluster, fail, because a run that tests nothing must not pass."""
    session.stash[ABSENT] = True
    if IMAGES:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(name="cluster", scope="session")
def _cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    for program in ("kubectl", "helm"):
        if shutil.which(program) is None:
            _nothing_to_test_on(request.session, f"no {program} on PATH")
    if run("kubectl", "get", "--raw", "/readyz", "--request-timeout=20s", check=False).returncode:
        _nothing_to_test_on(request.session, "kubectl's current context has no cluster that answers")
    cluster = Cluster(f"keeper-injector-test-{WORKER}")
    run("kubectl", "create", "namespace", cluster.namespace)
    yield cluster
    run("kubectl", "delete", "namespace", cluster.namespace)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what the cluster's version does not have, before its fixtures install anything."""
    for marker in item.iter_markers("needs"):
        for feature in marker.args:
            reason = missing(feature, version_of_cluster() if shutil.which("kubectl") else None)
            if reason:
                pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failure what a person would inspect first: the namespaces of the test and of the injector."""
    report = yield
    if report.failed and ABSENT not in item.session.stash:
        had = getattr(item, "funcargs", {})
        spaces = [had["space"]] if "space" in had else []
        for namespace in [*spaces, had.get("webhook", SHARED).system]:
            report.sections.append((f"namespace {namespace.name}", namespace.story()))
    # Measurements travel with the report, because other processes return nothing else.
    report.user_properties += [(MEASURED, figure) for figure in FIGURES]
    FIGURES.clear()
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first, so that all processes end at about the same time."""
    ranks = {
        item: next((rank for rank, part in enumerate(LONGEST) if part in item.nodeid), len(LONGEST)) for item in items
    }
    items.sort(key=lambda item: ranks[item])


class OneByOne(LoadScopeScheduling):
    """Distributes single tests to the processes; tests of some files go to the same process."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.rpartition("/")[2].startswith(FLEETS):
            return FLEETS
        return file if file.endswith(TOGETHER) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneByOne:
    """Select the scheduler (`--dist=loadgroup` would do, but xdist 3.8 loses the groups under pytest 9.2)."""
    return OneByOne(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the measurements."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    for report in reports:
        for name, figure in getattr(report, "user_properties", ()):
            if name == MEASURED:
                terminalreporter.write_line(figure)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Uninstall what the tests of all processes share, if the cluster is kept."""
    is_worker = hasattr(session.config, "workerinput")
    if IMAGES and STAYS and not (is_worker or session.config.option.collectonly or ABSENT in session.stash):
        SHARED.uninstall()


@pytest.fixture(name="images", scope="session")
def _images(cluster: Cluster) -> Cluster:
    """The cluster, if it has our images."""
    if not IMAGES:
        pytest.skip("KEEPER_INJECTOR_IMAGES is not set; ./tools/run integration builds and loads images, and sets it")
    return cluster


@pytest.fixture(name="webhook", scope="session")
def _webhook(images: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The injector that tests share unless they install their own."""
    assert images.namespace
    # The first process installs; the others wait for it.
    with (tmp_path_factory.getbasetemp().parent / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        SHARED.install()
    return SHARED


@pytest.fixture(name="keeper", scope="session")
def _keeper(images: Cluster) -> Iterator[Keeper]:
    """The local Keeper of this process."""
    assert images.namespace
    yield from _keeper_in(Namespace(f"keeper-{WORKER}"))


@pytest.fixture(name="other", scope="session")
def _other(images: Cluster) -> Iterator[Keeper]:
    """The local Keeper of a second application, with its own records."""
    assert images.namespace
    yield from _keeper_in(Namespace("keeper-of-another-application"))


def _keeper_in(namespace: Namespace) -> Iterator[Keeper]:
    """Yield a local Keeper in a new namespace, which is removed afterwards."""
    run("kubectl", "create", "namespace", namespace.name)
    try:
        yield start_keeper(namespace)
    finally:
        namespace.remove()


@pytest.fixture(name="fleet", scope="session")
def _fleet(keeper: Keeper, other: Keeper) -> Iterator[Fleet]:
    """A release with a relay for two applications."""
    with install_fleet({"shop": keeper, "billing": other}) as fleet:
        yield fleet


@pytest.fixture(name="space")
def _space(webhook: Release, keeper: Keeper, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace for one test that enforces Pod Security `restricted`, with the configuration Secret."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:50].strip("-")
    labels = {"pod-security.kubernetes.io/enforce": "restricted", **webhook.labels}
    namespace = Namespace(f"{name}-{os.urandom(2).hex()}")
    namespace.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace.name, "labels": labels}})
    keeper.share_with(namespace)
    yield namespace
    run("kubectl", "delete", "namespace", namespace.name, "--wait=false")
