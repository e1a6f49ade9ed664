"""A local Keeper and the file system of a pod, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import relays
from agent_pods import AgentPod

from local_keeper import LocalKeeper

DIRECT = "direct"


@pytest.fixture(name="keeper")
def _keeper() -> Iterator[LocalKeeper]:
    """A fresh local Keeper with the sample vault."""
    with LocalKeeper.start() as keeper:
        yield keeper


@pytest.fixture(name="pod")
def _pod(tmp_path: Path, keeper: LocalKeeper, request: pytest.FixtureRequest) -> Iterator[AgentPod]:
    """The file system of a pod whose agent has access to *keeper*: directly, or through a relay."""
    if getattr(request, "param", DIRECT) == DIRECT:
        yield AgentPod(tmp_path, keeper)
        return
    with relays.web_server(tmp_path / "published", tmp_path / "web") as web:
        halves = relays.split(keeper, web.url, tmp_path / "halves")
        yield relays.RelayedPod(tmp_path / "pod", keeper, relays.application(halves[0], web.root, keeper), halves[1])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests that are marked with ``both_ways`` with Keeper itself and behind a relay."""
    if "pod" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_ways"):
        metafunc.parametrize("pod", [DIRECT, "behind a relay"], indirect=True)
