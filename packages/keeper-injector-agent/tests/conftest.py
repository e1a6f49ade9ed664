"""A local Keeper and the file system of a pod, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_pods import AgentPod

from local_keeper import LocalKeeper


@pytest.fixture(name="keeper")
def _keeper() -> Iterator[LocalKeeper]:
    """A fresh local Keeper with the sample vault."""
    with LocalKeeper.start() as keeper:
        yield keeper


@pytest.fixture(name="pod")
def _pod(tmp_path: Path, keeper: LocalKeeper) -> AgentPod:
    """The file system of a pod whose agent has access to *keeper*."""
    return AgentPod(tmp_path, keeper)
