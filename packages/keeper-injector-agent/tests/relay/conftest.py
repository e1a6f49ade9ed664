"""A pod behind a relay that polls when a test says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import relays
from agent_pods import AgentPod

from keeper_injector_common.plan.paths import CREDENTIALS_PATH
from local_keeper import LocalKeeper


@pytest.fixture(name="relayed")
def _relayed(pod: AgentPod, keeper: LocalKeeper, tmp_path: Path) -> Iterator[relays.Relayed]:
    with relays.web_server(tmp_path / "published", tmp_path / "web") as web:
        halves = relays.split(keeper, web.url, tmp_path / "halves")
        pod.put(CREDENTIALS_PATH, halves[1].read_text(encoding="utf-8"))
        relayed = relays.Relayed(pod, relays.application(halves[0], web.root, keeper), web, keeper, halves)
        relayed.poll()
        keeper.reset_requests()
        yield relayed
