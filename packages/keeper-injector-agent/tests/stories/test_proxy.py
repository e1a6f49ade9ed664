"""A forward proxy between the agent and Keeper, with and without exceptions."""

from __future__ import annotations

import os
import signal
from urllib.parse import quote

import pytest
from agent_pods import AgentPod, shown, wait_for
from proxies import proxy

from keeper_injector_common.plan.paths import PROXY_PATH, STATE_PATH
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
    """The message names the proxy, and says that it did not connect."""
    pod.wants({"x": "api-keys[login]"})
    with proxy() as company:
        pass
    monkeypatch.setenv("HTTPS_PROXY", company.url)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert f"the proxy {company.url.removeprefix('http://')} did not connect to" in pod.termination_message()


USER = "lena:p@ss/w\u00f6rd \u0142"
"""A name and a password with characters that must be quoted in a URL, and one that is not in Latin-1."""


def with_user(url: str, user: str = USER) -> str:
    """Return the URL of a proxy with this name and password."""
    name, _, password = user.partition(":")
    return url.replace("://", f"://{name}:{quote(password, safe='')}@")


def wants_proxy(pod: AgentPod, url: str) -> None:
    """Give the agent a plan with a proxy whose URL is in a file, as the kubelet writes it from a Secret."""
    pod.wants({"x": "api-keys[login]"}, proxy_file=PROXY_PATH)
    pod.put(PROXY_PATH, f"{url}\n")


@pytest.mark.parametrize("form", ["http://", ""], ids=["URL", "without a scheme"])
def test_a_proxy_with_a_password_comes_from_a_file(pod: AgentPod, keeper: LocalKeeper, form: str) -> None:
    """The agent authenticates to the proxy with what is in the file, and logs nothing of it."""
    with proxy(user=USER) as company:
        wants_proxy(pod, with_user(company.url).replace("http://", form))
        result = pod.run("init", "--log-level", "debug")
    assert (result.returncode, company.targets) == (0, [keeper.hostname])
    assert "lena" not in result.stdout + result.stderr


def test_the_file_overrides_the_environment(
    pod: AgentPod, keeper: LocalKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a file, the variables of the container are not used, in capital or small letters."""
    with proxy() as old, proxy(user=USER) as company:
        wants_proxy(pod, with_user(company.url))
        monkeypatch.setenv("HTTPS_PROXY", old.url)
        monkeypatch.setenv("https_proxy", old.url)
        assert pod.run("init").returncode == 0
    assert (old.targets, company.targets) == ([], [keeper.hostname])


@pytest.mark.parametrize(
    ("user", "found"), [("", "requires a user and a password"), ("lena:wrong", "rejects the user or the password")]
)
def test_a_proxy_that_wants_a_password_is_reported_at_once(pod: AgentPod, user: str, found: str) -> None:
    """HTTP 407 is not retried: the message says where the user and the password belong."""
    with proxy(user=USER) as company:
        wants_proxy(pod, with_user(company.url, user) if user else company.url)
        assert pod.run("init").returncode == os.EX_NOPERM
    message = pod.termination_message()
    assert f"{found} (HTTP 407); store its URL with both in a Secret" in message
    assert "keeper.security/proxy-secret" in message
    assert (company.attempts, "wrong" in message) == (1, False)


def test_a_refusal_of_the_proxy_is_reported_at_once(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A proxy that does not allow Keeper's host needs another rule, not another attempt."""
    with proxy(status="403 Forbidden") as company:
        wants_proxy(pod, company.url)
        assert pod.run("init").returncode == os.EX_NOPERM
    assert f"refuses connections to {keeper.hostname} (HTTP 403); allow this host" in pod.termination_message()
    assert company.attempts == 1


def test_an_overloaded_proxy_is_retried(pod: AgentPod) -> None:
    """A status of a server's failure may pass."""
    with proxy(status="503 Service Unavailable") as company:
        wants_proxy(pod, company.url)
        assert pod.run("once", "--deadline", "20").returncode == os.EX_TEMPFAIL
    assert company.attempts > 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socks5://proxy.example:1080", "a SOCKS proxy is not supported; use an HTTP proxy that allows CONNECT"),
        ("SOCKS5H://user:hunter2@proxy.example", "a SOCKS proxy is not supported"),
        ("ftp://user:hunter2@proxy.example", "not the URL of a proxy; write http://PROXY:PORT"),
        ("http://user:hunter2@proxy.example:port", "not the URL of a proxy"),
        ("http://user:hunter2/x@proxy.example:3128", "not the URL of a proxy"),
        ("http://user:hunter2#@proxy.example:3128", "not the URL of a proxy"),
        ("http://user:hunter2@", "not the URL of a proxy"),
        ("http://user:hunter2@[::1", "not the URL of a proxy"),
        ("http://proxy.example:3128\nhttp://second.example", "not the URL of a proxy"),
        (" ", "store the URL of the proxy in the Secret"),
        ("x" * 5000, "store the URL of the proxy in the Secret"),
    ],
    ids=range(11),
)
def test_an_invalid_proxy_is_explained_at_once(pod: AgentPod, keeper: LocalKeeper, url: str, message: str) -> None:
    """Nothing is sent, the message says what to write, and it does not repeat the URL."""
    wants_proxy(pod, url)
    assert pod.run("init").returncode == os.EX_NOPERM
    found = pod.termination_message()
    assert f"{PROXY_PATH}: " in found
    assert message in found
    assert "hunter2" not in found
    assert keeper.requests == {}


def test_an_invalid_proxy_of_the_environment_is_explained(pod: AgentPod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable."""
    pod.wants({"x": "api-keys[login]"})
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example:1080")
    assert pod.run("init").returncode == os.EX_NOPERM
    assert "HTTPS_PROXY: a SOCKS proxy is not supported" in pod.termination_message()


def test_a_missing_file_is_explained(pod: AgentPod) -> None:
    """The message names the annotation."""
    pod.wants({"x": "api-keys[login]"}, proxy_file=PROXY_PATH)
    assert pod.run("init").returncode == os.EX_NOPERM
    assert f"{PROXY_PATH}: No such file or directory; check keeper.security/proxy-secret" in pod.termination_message()


def test_the_supervisor_does_not_have_the_password(pod: AgentPod) -> None:
    """Only the worker, which has ended, read the file: no process that stays has it in its environment or command line."""
    with proxy(user=USER) as company:
        wants_proxy(pod, with_user(company.url))
        assert pod.run("init").returncode == 0
        process = pod.start("sidecar")
        try:
            wait_for(pod.at(f"{STATE_PATH}/ready").exists)
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: len(company.targets) > 1)
            assert b"lena" not in shown(process.pid)
        finally:
            process.terminate()
            process.communicate(timeout=20)
