"""Identity: the agent's user and the mode of the files follow from the pod's security contexts."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import injected, plan, pod, sidecar_of

ASKED = {"inject": "true", "secret": "db"}


@pytest.mark.parametrize(
    ("spec", "container", "uid", "mode"),
    [
        ({}, {}, 65532, "0444"),
        ({"securityContext": {"runAsUser": 1000}}, {}, 1000, "0400"),
        ({}, {"securityContext": {"runAsUser": 1000}}, 1000, "0400"),
        ({"securityContext": {"runAsUser": 1}}, {"securityContext": {"runAsUser": 2}}, 2, "0400"),
        ({"securityContext": {"fsGroup": 2000}}, {}, 65532, "0440"),
        ({"securityContext": {"runAsUser": 0}}, {}, 65532, "0444"),
        ({"securityContext": {"runAsUser": 0, "fsGroup": 5}}, {}, 65532, "0440"),
    ],
)
def test_owner_and_mode_are_derived(spec: dict[str, Any], container: dict[str, Any], uid: int, mode: str) -> None:
    """The application can read its files whichever user it runs as, and the agent never runs as root."""
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", **container}], **spec))
    context = new["spec"]["initContainers"][0]["securityContext"]
    assert context["runAsUser"] == uid
    assert plan(new)["directories"][0]["files"][0]["mode"] == mode
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_agent_takes_the_user_that_openshift_chose() -> None:
    """OpenShift sets the containers' user before the webhook is called; the agent runs as the same user."""
    context = {"runAsUser": 1000650000, "runAsNonRoot": True}
    whole = {"securityContext": {"fsGroup": 1000650000, "seLinuxOptions": {"level": "s0:c26,c0"}}}
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", "securityContext": context}], **whole))
    assert sidecar_of(new)["securityContext"]["runAsUser"] == 1000650000


def test_user_namespaces_change_nothing() -> None:
    """In a user namespace (`hostUsers: false`) user IDs are the container's own, and the agent runs as the application's user."""
    new = injected(pod(annotations=ASKED, hostUsers=False, securityContext={"runAsUser": 1000}))
    assert (new["spec"]["hostUsers"], sidecar_of(new)["securityContext"]["runAsUser"]) == (False, 1000)
