"""Through a company's proxy, with and without exceptions from it."""

from __future__ import annotations

import os
import time

import pytest
from agent_pods import AgentPod
from proxies import proxy

from keeper_injector_agent.errors import TransientVaultError
from keeper_injector_agent.keeper.transport import Transport
from local_keeper import LocalKeeper


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
def test_keeper_is_reached_through_the_proxy(
    pod: AgentPod, keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Together with an additional CA, which elsewhere switched the proxy off."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        monkeypatch.setenv(variable, company.url)
        assert pod.run("init").returncode == 0
    assert company.asked == [keeper.hostname]


@pytest.mark.parametrize("exceptions", ["localhost", ".example.com, localhost", "*"])
def test_no_proxy_is_respected(
    pod: AgentPod, keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch, exceptions: str
) -> None:
    """Who is excepted is asked directly."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        monkeypatch.setenv("HTTPS_PROXY", company.url)
        monkeypatch.setenv("NO_PROXY", exceptions)
        assert pod.run("init").returncode == 0
    assert (company.asked, keeper.requests) == ([], {"get_secret": 1})


def test_a_proxy_that_is_down_is_named(pod: AgentPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence leads to the variable, not to Keeper."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        pass
    monkeypatch.setenv("HTTPS_PROXY", company.url)
    assert pod.run("init", "--deadline", "4").returncode == os.EX_TEMPFAIL
    assert "check HTTPS_PROXY" in pod.termination_message()


def test_what_failed_is_said_when_time_is_over() -> None:
    """That a deadline has passed leads nowhere; what failed before does."""
    transport = Transport(ca_file=None, deadline=time.monotonic() + 5)
    with pytest.raises(TransientVaultError) as failure:
        transport.post("https://127.0.0.1:1/api/rest/sm/v1/get_secret", {}, b"")
    transport.deadline = time.monotonic()
    with pytest.raises(TransientVaultError) as late:
        transport.post("https://127.0.0.1:1/api/rest/sm/v1/get_secret", {}, b"")
    assert "no connection to 127.0.0.1" in str(failure.value)
    assert str(late.value) == str(failure.value)
