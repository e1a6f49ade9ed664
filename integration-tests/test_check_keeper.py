"""``keeper-injector-agent check`` in a pod of a real cluster, and what ``keeper-injector check`` reports of pods that wait."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
import trustme
from checking import check, check_from
from keeper import Keeper
from pods import Namespace, container, wait_for

DATABASE = {"secret": "database-credentials"}
AS_1000 = {"containers": [container(security={"runAsUser": 1000})]}


def test_a_pod_that_has_its_secrets(space: Namespace) -> None:
    """The way to Keeper, the clock, the records with the names of their fields, and the plan; no value of a field."""
    pod = space.pod("web", DATABASE, **AS_1000).ready()
    found = check_from(pod)
    assert found.failed() == {}
    assert {item["check"] for item in found.findings} >= {
        *("ksm-configuration", "keeper-host", "clock", "keeper-access", "record", "plan-item")
    }
    assert any("'database-credentials'" in item["found"] for item in found.of("record"))
    value = json.loads(pod.read("/keeper/secrets/database-credentials.json"))["password"]
    assert value not in str(found.findings)


@pytest.mark.parametrize(
    ("fault", "name", "said"),
    [
        ("revoked", "keeper-access", "access denied"),
        ("throttled", "keeper-throttle", "throttled"),
    ],
)
def test_what_keeper_answers(space: Namespace, keeper: Keeper, fault: str, name: str, said: str) -> None:
    """A revoked key and a throttle, from the pod's own place in the network."""
    pod = space.pod("web", DATABASE, **AS_1000).ready()
    with keeper.failing(fault):
        found = check_from(pod)
    assert list(found.failed()) == [name]
    assert said in found.failed()[name]
    assert found.all_help()


def test_a_record_that_is_not_shared(space: Namespace) -> None:
    """The plan of a running pod names a record that its application does not have."""
    wanted = {"secrets": "database-credentials, no-such-record", "fail-on-error": "false"}
    pod = space.pod("web", wanted, **AS_1000)
    found = check_from(pod.ready())
    assert list(found.failed()) == ["plan-item"]
    assert "no-such-record" in found.failed()["plan-item"]
    assert found.all_help()


@pytest.mark.parametrize(("fault", "said"), [("revoked", "access denied"), ("another CA", "certificate")])
def test_a_pod_that_waits_for_keeper(space: Namespace, keeper: Keeper, fault: str, said: str) -> None:
    """The namespace's check has the sentence of the init container."""
    if fault == "another CA":
        pem = trustme.CA().cert_pem.bytes().decode()
        metadata = {"name": "local-keeper-ca"}
        space.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": pem}})
    with keeper.failing(fault) if fault == "revoked" else nullcontext():
        pod = space.pod("web", DATABASE, **AS_1000)
        wait_for(pod.last_words, "the init container to end")
        found = check("--namespace", space.name)
    assert said in found.failed()["pod-waiting"]
    assert found.all_help()
