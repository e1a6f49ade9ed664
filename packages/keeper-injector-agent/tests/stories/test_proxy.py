"""A forward proxy between the agent and Keeper, with and without exceptions."""

from __future__ import annotations

import os

import pytest
from agent_pods import AgentPod
from proxies import proxy

from local_keeper import LocalKeeper


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_keeper_is_reached_through_the_proxy(
    pod: AgentPod, keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The agent reaches Keeper through the proxy, also with an additional CA."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        monkeypatch.setenv(variable, company.url)
        assert pod.run("init").returncode == 0
    assert company.targets == [keeper.hostname]


@pytest.mark.parametrize("exceptions", ["localhost", ".example.com, localhost", "*"])
def test_no_proxy_is_respected(
    pod: AgentPod, keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, exceptions: str
) -> None:
    """Hosts in NO_PROXY are contacted directly."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        monkeypatch.setenv("HTTPS_PROXY", company.url)
        monkeypatch.setenv("NO_PROXY", exceptions)
        assert pod.run("init").returncode == 0
    assert (company.targets, keeper.requests) == ([], {"get_secret": 1})


def test_an_unavailable_proxy_is_reported_as_such(pod: AgentPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message points to HTTPS_PROXY and not to Keeper."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        pass
    monkeypatch.setenv("HTTPS_PROXY", company.url)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert "check HTTPS_PROXY" in pod.termination_message()
