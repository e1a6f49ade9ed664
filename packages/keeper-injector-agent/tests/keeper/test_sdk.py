"""The vault port on Keeper's SDK: damaged records, and rotated server keys."""

from __future__ import annotations

import os
import time

import pytest
from agent_pods import AgentPod, events

from keeper_injector_agent.errors import PermanentVaultError
from keeper_injector_agent.keeper.client import connect
from keeper_injector_agent.keeper.sdk import KeeperVault
from keeper_injector_agent.keeper.transport import Transport
from local_keeper import Fault, LocalKeeper


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


def vault_of(keeper: LocalKeeper, **changed: str) -> KeeperVault:
    """Return a vault with a configuration of *keeper*, in which some values are *changed*; an empty one is removed."""
    configuration = {key: value for key, value in {**keeper.config_dict(), **changed}.items() if value}
    return KeeperVault(connect(configuration, Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)))


def test_server_keys_may_rotate_several_times(keeper: LocalKeeper) -> None:
    """Two rotations within one refresh are followed, such as when Keeper's servers do not agree yet."""
    vault = vault_of(keeper)
    for _ in range(2):
        keeper.rotate_server_key()
        assert vault.fetch(folders=True).records
    assert vault.server_key_id == str(keeper.server_key_id)


def test_a_server_key_that_the_configuration_does_not_have_is_permanent(keeper: LocalKeeper) -> None:
    """The SDK would send requests without a pause. The error says what to do."""
    vault = vault_of(keeper)
    keeper.rotate_server_key(new_key=True)
    with pytest.raises(
        PermanentVaultError, match="asks repeatedly for server key '100'; create a new KSM configuration"
    ):
        vault.fetch()
    assert keeper.requests == {"get_secret": 2}


def test_a_server_key_that_the_sdk_does_not_have_is_permanent(keeper: LocalKeeper) -> None:
    """Without a key in the configuration, the SDK knows only the keys of its version."""
    vault = vault_of(keeper, serverPublicKey="", serverPublicKeyId="10")
    with pytest.raises(
        PermanentVaultError, match="server key '99', which this version of the agent does not have; update"
    ):
        vault.fetch()
    assert keeper.requests == {"get_secret": 1}


def test_a_request_for_a_key_without_its_id_is_permanent(keeper: LocalKeeper) -> None:
    """A damaged request for another key is not followed."""
    keeper.fault(Fault("answer", 401, {"error": "key", "message": "invalid key id"}), "get_secret", None)
    with pytest.raises(PermanentVaultError, match="asks for another server key without its ID"):
        vault_of(keeper).fetch()
