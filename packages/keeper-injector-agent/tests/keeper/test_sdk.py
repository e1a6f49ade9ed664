"""The vault port on Keeper's SDK: damaged records, and rotated server keys."""

from __future__ import annotations

import os

from agent_pods import AgentPod, events

from local_keeper import LocalKeeper


def test_an_undecryptable_record_does_not_affect_others(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The SDK drops the whole folder; the agent delivers the other records and names the undecryptable one."""
    uid = keeper.uid("redis")
    keeper.corrupt_record("redis")
    pod.wants({"good": "shared-token[password]", "bad": f"{uid}[password]"})
    result = pod.run("init")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["good"]
    assert f"record '{uid}': Keeper sent it, but it cannot be decrypted" in pod.termination_message()


def test_a_rotated_server_key_is_followed_and_remembered(pod: AgentPod, keeper: LocalKeeper) -> None:
    """When Keeper's servers ask for another key, the agent switches to it, remembers it, and does not loop."""
    pod.wants({"x": "api-keys[login]"})
    keeper.rotate_server_key()
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 2}
    assert pod.run("once").returncode == 0
    assert keeper.requests == {"get_secret": 3}


def test_a_malformed_record_does_not_affect_others(pod: AgentPod, keeper: LocalKeeper) -> None:
    """One malformed record, whichever client wrote it, is logged and does not block the others."""
    pod.wants({"x": "api-keys[login]"})
    keeper.set_field("database-credentials", "login", "half a pair \ud800")
    keeper.vault.find("two-factor").data["fields"].append(None)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (0, "billing")
    malformed = [line["uid"] for line in events(result.stderr) if line["event"] == "record.malformed"]
    assert keeper.uid("database-credentials") in malformed
