"""The opt-in Kubernetes Secret, against a server with an API server's rules for Secrets.

A real API server sees the same in the integration tests.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trustme
from agent_pods import AgentPod
from servers import Answer, serving

from keeper_injector_agent.delivery.api_server import ACCOUNT_PATH
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.delivery import KubernetesSecret
from keeper_injector_common.references import parse_reference
from local_keeper import Fault, LocalKeeper

SECRETS = "/api/v1/namespaces/shop/secrets"
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "web-1", "uid": "uid-of-web-1"}


@attrs.define
class Cluster:
    """Secrets of one namespace, as an API server keeps them."""

    secrets: dict[str, Json] = attrs.field(factory=dict)
    version: int = 0
    asked: list[str] = attrs.field(factory=list)
    failures: list[int] = attrs.field(factory=list)
    """Statuses to answer with first."""
    interloper: Json | None = None
    """What somebody else writes between the next look and the next write."""

    def respond(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Answer one request."""
        self.asked.append(method)
        if self.failures:
            return failed(self.failures.pop(0), "Failed")
        if headers.get("authorization") != "Bearer of-the-pod" or not path.startswith(SECRETS):
            return failed(403, "Forbidden")
        name = path.removeprefix(SECRETS).lstrip("/")
        if method == "GET":
            found = self.secrets.get(name)
            answer: Answer = (200, {}, found) if found else failed(404, "NotFound")
            if self.interloper is not None:
                self.store(self.interloper)
                self.interloper = None
            return answer
        given = json.loads(body)
        present = self.secrets.get(given["metadata"]["name"])
        if (method == "POST") == (present is not None):
            return failed(409, "AlreadyExists") if present else failed(404, "NotFound")
        if present and given["metadata"].get("resourceVersion") != present["metadata"]["resourceVersion"]:
            return failed(409, "Conflict")
        return 200, {}, self.store(given)

    def store(self, secret: Json) -> Json:
        """Keep a Secret under a new version."""
        self.version += 1
        metadata = {**secret["metadata"], "resourceVersion": str(self.version)}
        self.secrets[metadata["name"]] = {**secret, "metadata": metadata}
        return self.secrets[metadata["name"]]

    def data(self, name: str) -> dict[str, str]:
        """Return a Secret's data as text."""
        return {key: base64.b64decode(value).decode() for key, value in self.secrets[name]["data"].items()}


def failed(status: int, reason: str) -> Answer:
    """Return what an API server answers to what it refuses."""
    return (
        status,
        {},
        {
            "kind": "Status",
            "status": "Failure",
            "reason": reason,
            "code": status,
            "message": f"no, because of {status}",
        },
    )


@pytest.fixture(name="cluster")
def _cluster(pod: AgentPod, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster, and in the pod what the webhook mounts to reach it."""
    ca, cluster = trustme.CA(), Cluster()
    account = {"token": "of-the-pod", "namespace": "shop", "pod-name": "web-1", "pod-uid": "uid-of-web-1"}
    for name, content in {**account, "ca.crt": ca.cert_pem.bytes().decode()}.items():
        pod.put(f"{ACCOUNT_PATH}/{name}", content)
    with serving(cluster.respond, ca, "127.0.0.1") as port:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        yield cluster


def wanted(*references: str, **more: Any) -> KubernetesSecret:
    """Return a wish for a Secret."""
    return KubernetesSecret("test", "app", tuple(map(parse_reference, references)), **more)


def foreign(**more: Any) -> Json:
    """Return somebody else's Secret."""
    secret = {"metadata": {"name": "app", "labels": {"team": "x"}}, "type": "Opaque", "data": {"theirs": "eA=="}}
    return {**secret, **more}


def test_the_secret_belongs_to_the_pod(pod: AgentPod, cluster: Cluster) -> None:
    """All fields under their own names; it goes with its pods."""
    pod.plan(kubernetes_secrets=(wanted("api-keys"),))
    assert pod.run("init").returncode == 0, pod.termination_message()
    secret = cluster.secrets["app"]
    assert secret["metadata"]["ownerReferences"] == [OWNER]
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "keeper-injector"}
    data = cluster.data("app")
    assert (data["login"], data["webhook_key"], data["region_2"]) == ("billing", "whk-0815", "us")
    assert json.loads(data["url"]) == ["https://api.example.com", "https://api2.example.com"]


def test_keys_name_fields_and_files(pod: AgentPod, cluster: Cluster) -> None:
    """A TLS Secret is made of two attachments."""
    keys = {"server.pem": "tls.crt", "server.key": "tls.key"}
    pod.plan(kubernetes_secrets=(wanted("TLS Certs", keys=keys, type="kubernetes.io/tls"),))
    assert pod.run("init").returncode == 0, pod.termination_message()
    assert cluster.secrets["app"]["type"] == "kubernetes.io/tls"
    assert cluster.data("app") == {"tls.crt": "made-up certificate\n", "tls.key": "made-up key\n"}


def test_several_records_are_one_secret(pod: AgentPod, cluster: Cluster) -> None:
    """None overwrites another; two values for one key are a problem."""
    pod.plan(kubernetes_secrets=(wanted("api-keys[webhook key]", "two-factor[login]"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"webhook_key": "whk-0815", "login": "robot"}
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", "two-factor[login]"),))
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "two values for the key 'login'" in pod.termination_message()


def test_a_key_of_nothing(pod: AgentPod, cluster: Cluster) -> None:
    """A misspelt field is a problem, not a Secret that lacks it."""
    pod.plan(kubernetes_secrets=(wanted("api-keys", keys={"pasword": "PW"}),))
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "no field or file 'pasword' in api-keys" in pod.termination_message()
    assert cluster.secrets == {}


@pytest.mark.parametrize(("rotation", "value"), [(True, "new"), (False, "billing")], ids=["follows", "stays"])
def test_rotation(pod: AgentPod, cluster: Cluster, keeper: LocalKeeper, value: str, *, rotation: bool) -> None:
    """The Secret follows the record if it shall; nothing is asked while nothing changes."""
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", rotation=rotation),))
    assert pod.run("init").returncode == 0
    asked = len(cluster.asked)
    assert pod.run("once").returncode == 0
    assert len(cluster.asked) == asked
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
def test_a_foreign_secret_is_not_touched(pod: AgentPod, cluster: Cluster, mode: str, message: str) -> None:
    """The pod does not start, and says why."""
    before = cluster.store(foreign())
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", mode=mode),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert message in pod.termination_message()
    assert cluster.secrets["app"] == before


def test_merge_keeps_what_is_there(pod: AgentPod, cluster: Cluster) -> None:
    """Labels, other keys and owners stay theirs."""
    cluster.store(foreign())
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", mode="merge"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"theirs": "x", "login": "billing"}
    assert cluster.secrets["app"]["metadata"]["labels"] == {"team": "x"}
    assert "ownerReferences" not in cluster.secrets["app"]["metadata"]


def test_skip_if_exists(pod: AgentPod, cluster: Cluster) -> None:
    """What is there is taken as it is."""
    before = cluster.store(foreign())
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", mode="skip-if-exists"),))
    assert pod.run("init").returncode == 0
    assert cluster.secrets["app"] == before


def test_replicas_share_a_secret(pod: AgentPod, cluster: Cluster) -> None:
    """Each pod adds itself to the owners: the Secret stays until the last is gone."""
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]"),))
    assert pod.run("init").returncode == 0
    pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-2")
    pod.put(f"{ACCOUNT_PATH}/pod-name", "web-2")
    assert pod.run("init").returncode == 0
    owners = cluster.secrets["app"]["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["web-1", "web-2"]


def test_a_pod_knows_its_own_secret(pod: AgentPod, cluster: Cluster) -> None:
    """In mode `fail`, with or without an owner reference: an init container that runs again finds what it has made."""
    for owner_reference in (True, False):
        cluster.secrets.clear()
        pod.plan(kubernetes_secrets=(wanted("api-keys[login]", mode="fail", owner_reference=owner_reference),))
        assert pod.run("init").returncode == 0
        assert pod.run("init").returncode == 0, pod.termination_message()
        pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-2")
        assert pod.run("init").returncode == os.EX_IOERR
        assert "exists already" in pod.termination_message()
        pod.put(f"{ACCOUNT_PATH}/pod-uid", "uid-of-web-1")


def test_files_are_not_fetched_for_nothing(pod: AgentPod, cluster: Cluster, keeper: LocalKeeper) -> None:
    """One download for the Secret, and none while nothing changes."""
    pod.plan(kubernetes_secrets=(wanted("keeper://TLS Certs/file/server.pem", rotation=True),))
    assert pod.run("init").returncode == 0
    for _ in range(3):
        assert pod.run("once").returncode == 0
    assert keeper.requests == {"get_secret": 4, "file_download": 1}
    assert cluster.asked == ["GET", "POST"]


def test_two_entries_of_one_secret(pod: AgentPod, cluster: Cluster) -> None:
    """Each adds its own, and each is known to be there at the next look."""
    mine = {"mode": "merge", "rotation": True}
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", **mine), wanted("database-credentials[password]", **mine)))
    assert pod.run("init").returncode == 0
    asked = len(cluster.asked)
    assert pod.run("once").returncode == 0
    assert sorted(cluster.data("app")) == ["login", "password"]
    assert len(cluster.asked) == asked


def test_somebody_writes_meanwhile(pod: AgentPod, cluster: Cluster) -> None:
    """A conflict is read again, and nothing of the other's is lost."""
    cluster.store(foreign())
    cluster.interloper = foreign(data={"theirs": "eQ=="})
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]", mode="merge"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"theirs": "y", "login": "billing"}
    assert cluster.asked == ["GET", "PUT", "GET", "PUT"]


def test_a_failure_of_the_api_server_passes(pod: AgentPod, cluster: Cluster) -> None:
    """Tried again with growing waits."""
    cluster.failures = [503, 429]
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]"),))
    assert pod.run("init").returncode == 0
    assert cluster.data("app") == {"login": "billing"}


def test_no_right(pod: AgentPod, cluster: Cluster) -> None:
    """The sentence says which right, and who can give it, and what the API server said: a quota refuses likewise."""
    cluster.failures = [403]
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]"),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert "needs a Role with get, create and update on secrets" in pod.termination_message()
    assert "the API server says: no, because of 403" in pod.termination_message()


def test_an_outage_of_keeper_does_not_pass_for_done(pod: AgentPod, cluster: Cluster, keeper: LocalKeeper) -> None:
    """A pod whose Secret was never written does not start; one whose Secret was does start again."""
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]"),))
    keeper.fault(Fault.revoked(), "get_secret", None)
    assert pod.run("init").returncode == os.EX_NOPERM
    keeper.clear_faults()
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.revoked(), "get_secret", None)
    assert pod.run("init").returncode == 0
    assert cluster.asked == ["GET", "POST"]


def test_outside_of_a_cluster(pod: AgentPod) -> None:
    """It says what is missing."""
    pod.plan(kubernetes_secrets=(wanted("api-keys[login]"),))
    assert pod.run("init").returncode == os.EX_IOERR
    assert "the API server cannot be reached from here" in pod.termination_message()
