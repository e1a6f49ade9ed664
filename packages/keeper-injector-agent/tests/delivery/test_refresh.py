"""One refresh: how records are fetched, and in which order things happen."""

from __future__ import annotations

from agent_pods import AgentPod

from local_keeper import LocalKeeper


def test_all_secrets_take_one_request(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Ten files of two records take one request; folders take one more."""
    pod.wants({f"file-{number}": f"{title}[login]" for number, title in enumerate(["api-keys", "two-factor"] * 5)})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 1}
    pod.wants({"x": "Production/Databases/mysql/field/login"})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 2, "get_folders": 1}
