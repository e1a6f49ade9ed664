"""The opt-in Kubernetes Secret, against a server with an API server's rules for Secrets.

The integration tests do the same with a real API server.
"""

from __future__ import annotations

import json
import os

import attrs
import pytest
from agent_pods import AgentPod
from secret_clusters import SecretCluster, foreign_secret, wanted_secret

from keeper_injector_common.plan.paths import ACCOUNT_PATH, STATE_NAME, STATE_PATH
from local_keeper import Fault, LocalKeeper

OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": "uid-of-web-1"}


def test_the_secret_belongs_to_the_pod(pod: AgentPod, cluster: SecretCluster) -> None:
    """The Secret has all fields under their own names, and is owned by the pod."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys"),))
    assert pod.run("init").returncode == 0, pod.termination_message()
    secret = cluster.secrets["app"]
    assert secret["metadata"]["ownerReferences"] == [OWNER]
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "keeper-injector"}
    data = cluster.data("app")
    assert (data["login"], data["webhook_key"], data["region_2"]) == ("billing", "whk-0815", "us")
    assert json.loads(data["url"]) == ["https://api.example.com", "https://api2.example.com"]


def test_keys_name_fields_and_files(pod: AgentPod, cluster: SecretCluster) -> None:
    """A TLS Secret is made from two attachments."""
    keys = {"server.pem": "tls.crt", "server.key": "tls.key"}
    pod.plan(kubernetes_secrets=(wanted_secret("TLS Certs", keys=keys, type="kubernetes.io/tls"),))
    assert pod.run("init").returncode == 0, pod.termination_message()
    assert cluster.secrets["app"]["type"] == "kubernetes.io/tls"
    assert cluster.data("app") == {"tls.crt": "made-up certificate\n", "tls.key": "made-up key\n"}


def test_several_records_share_one_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """The records of one Secret do not overwrite each other; two values for one key are a problem."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[webhook key]", "two-factor[login]"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"webhook_key": "whk-0815", "login": "robot"}
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", "two-factor[login]"),))
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "two values for the key 'login'" in pod.termination_message()


def test_a_misspelt_field_is_reported(pod: AgentPod, cluster: SecretCluster) -> None:
    """A key for a field that does not exist is a problem, and no Secret without it is written."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys", keys={"pasword": "PW"}),))
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "no field or file 'pasword' in api-keys" in pod.termination_message()
    assert cluster.secrets == {}


@pytest.mark.parametrize(("rotation", "value"), [(True, "new"), (False, "billing")], ids=["follows", "stays"])
def test_a_secret_follows_its_record_if_rotated(
    pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper, value: str, *, rotation: bool
) -> None:
    """With rotation the Secret follows the record; without a change no request is sent."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", rotation=rotation),))
    assert pod.run("init").returncode == 0
    before = len(cluster.requests)
    assert pod.run("once").returncode == 0
    assert len(cluster.requests) == before
    keeper.set_field("api-keys", "login", "new")
    assert pod.run("once").returncode == 0
    assert cluster.data("app") == {"login": value}


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("overwrite", "is not managed by Keeper Injector; remove it, or add to it with k8s-secret-mode: merge"),
        ("fail", "exists already; remove it, or choose another k8s-secret-mode"),
    ],
)
def test_a_foreign_secret_is_not_touched(pod: AgentPod, cluster: SecretCluster, mode: str, message: str) -> None:
    """The pod does not start, and the message says why."""
    before = cluster.store(foreign_secret())
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", mode=mode),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert message in pod.termination_message()
    assert cluster.secrets["app"] == before


def test_merge_keeps_the_rest_of_a_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """Labels, other keys and owners of a foreign Secret stay as they are."""
    cluster.store(foreign_secret())
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", mode="merge"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"theirs": "x", "login": "billing"}
    assert cluster.secrets["app"]["metadata"]["labels"] == {"team": "x"}
    assert "ownerReferences" not in cluster.secrets["app"]["metadata"]


def test_skip_if_exists_keeps_the_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """An existing Secret is used unchanged."""
    before = cluster.store(foreign_secret())
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", mode="skip-if-exists"),))
    assert pod.run("init").returncode == 0
    assert cluster.secrets["app"] == before


def test_replicas_share_a_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """Each pod adds itself to the owners, so that the Secret exists until the last pod is gone."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]"),))
    assert pod.run("init").returncode == 0
    pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-2")
    pod.put(f"{ACCOUNT_PATH}/pod-name", "web-2")
    assert pod.run("init").returncode == 0
    owners = cluster.secrets["app"]["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["web-1", "web-2"]


def test_a_pod_knows_its_own_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """In mode ``fail`` an init container that runs again accepts its own Secret, with or without an owner reference."""
    for owner_reference in (True, False):
        cluster.secrets.clear()
        pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", mode="fail", owner_reference=owner_reference),))
        assert pod.run("init").returncode == 0
        assert pod.run("init").returncode == 0, pod.termination_message()
        pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-2")
        pod.at(f"{STATE_PATH}/{STATE_NAME}").unlink()  # another pod
        assert pod.run("init").returncode == os.EX_IOERR
        assert "exists already" in pod.termination_message()
        pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-1")


def test_files_are_downloaded_once(pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper) -> None:
    """The Secret takes one download, and none while nothing changes."""
    pod.plan(kubernetes_secrets=(wanted_secret("keeper://TLS Certs/file/server.pem", rotation=True),))
    assert pod.run("init").returncode == 0
    for _ in range(3):
        assert pod.run("once").returncode == 0
    assert keeper.requests == {"get_secret": 4, "file_download": 1}
    assert cluster.requests == ["GET", "POST"]


def test_two_entries_can_write_one_secret(pod: AgentPod, cluster: SecretCluster) -> None:
    """Each entry adds its keys, and the next refresh knows that both are present."""
    mine = {"mode": "merge", "rotation": True}
    pod.plan(
        kubernetes_secrets=(
            wanted_secret("api-keys[login]", **mine),
            wanted_secret("database-credentials[password]", **mine),
        )
    )
    assert pod.run("init").returncode == 0
    before = len(cluster.requests)
    assert pod.run("once").returncode == 0
    assert sorted(cluster.data("app")) == ["login", "password"]
    assert len(cluster.requests) == before


def test_a_concurrent_change_is_not_lost(pod: AgentPod, cluster: SecretCluster) -> None:
    """After a conflict the Secret is read again, and the other writer's change is kept."""
    cluster.store(foreign_secret())
    cluster.interloper = foreign_secret(data={"theirs": "eQ=="})
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]", mode="merge"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"theirs": "y", "login": "billing"}
    assert cluster.requests == ["GET", "PUT", "GET", "PUT"]


def test_a_pod_restarts_in_an_outage_only_with_its_secret(
    pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper
) -> None:
    """During an outage a pod starts only if its Secret was written before."""
    pod.plan(kubernetes_secrets=(wanted_secret("api-keys[login]"),))
    keeper.fault(Fault.revoked(), "get_secret", None)
    assert pod.run("init").returncode == os.EX_NOPERM
    keeper.clear_faults()
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.revoked(), "get_secret", None)
    assert pod.run("init").returncode == 0
    assert cluster.requests == ["GET", "POST"]


def test_two_entries_never_compete_for_a_key(pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper) -> None:
    """Of entries that merge into one Secret, those that want one key are a problem that names both; others are written."""
    first, second = (wanted_secret(f"{title}[login]", mode="merge") for title in ("api-keys", "two-factor"))
    third = wanted_secret("api-keys[webhook key]", mode="merge")
    pod.plan(kubernetes_secrets=(first, second, third), fail_on_error=False)
    result = pod.run("init")
    assert result.stderr.count("the key 'login' would have several values: field 'login' of record 'api-keys' (") == 2
    assert f"field 'login' of record 'two-factor' ({keeper.uid('two-factor')})" in result.stderr
    assert cluster.data("app") == {"webhook_key": "whk-0815"}
    keys = {"login": "robot"}
    pod.plan(kubernetes_secrets=(first, wanted_secret("two-factor", mode="merge", keys=keys), third))
    assert pod.run("init").returncode == 0, pod.termination_message()
    assert cluster.data("app") == {"webhook_key": "whk-0815", "login": "billing", "robot": "robot"}


def test_entries_of_one_record_are_retried_one_by_one(
    pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper
) -> None:
    """Two entries of one record differ only in their keys. One that failed is written by the next refresh."""
    entries = [
        wanted_secret("api-keys", mode="merge", keys=keys, rotation=True)
        for keys in ({"login": "USER"}, {"password": "PASSWORD"})
    ]
    pod.plan(kubernetes_secrets=tuple(entries))
    assert pod.run("init").returncode == 0, pod.termination_message()
    keeper.set_field("api-keys", "login", "new")
    keeper.set_field("api-keys", "password", "new")
    cluster.failures[:] = [403]
    assert pod.run("once").returncode == os.EX_IOERR
    assert cluster.data("app") == {"USER": "billing", "PASSWORD": "new"}
    assert pod.run("once").returncode == 0
    assert cluster.data("app") == {"USER": "new", "PASSWORD": "new"}


def test_a_name_that_cannot_be_a_key_is_a_problem_of_its_secret(
    pod: AgentPod, cluster: SecretCluster, keeper: LocalKeeper
) -> None:
    """A field called ``..`` is not sent to the API server, and other Secrets are written."""
    keeper.set_field("two-factor", "..", "x")
    keeper.set_field("two-factor", "k" * 254, "x")
    other = wanted_secret("api-keys[login]")
    pod.plan(kubernetes_secrets=(attrs.evolve(wanted_secret("two-factor"), name="bad"), other))
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert message.startswith("Secret bad: field '..' of record 'two-factor' (")
    assert "cannot be a key, because '..' is not a key of a Secret" in message
    assert "cannot be a key, because the key has 254 characters; set a key with k8sSecretKeys" in message, "all at once"
    assert cluster.secrets.keys() == {"app"}
