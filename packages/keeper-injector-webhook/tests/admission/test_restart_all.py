"""`on-change: restart-all`: which pods get the rule for the kubelet, and which are rejected."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import injected, plan, pod, respond
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_webhook.settings import Settings

ON = Settings(restart_all_containers=True)
WANTED = {"inject": "true", "secret": "database-credentials", "on-change": "restart-all"}
ENDS = st.sampled_from([None, "Always", "Never", "OnFailure"])


def without_nothing(values: dict[str, Any]) -> dict[str, Any]:
    """Return *values* without those that are None."""
    return {key: value for key, value in values.items() if value is not None}


@given(
    ends=ENDS,
    containers=st.lists(ENDS, min_size=1, max_size=3),
    more=st.fixed_dictionaries(
        {},
        optional={
            "init-only": st.sampled_from(["true", "false"]),
            "sidecar": st.sampled_from(["auto", "native", "classic"]),
        },
    ),
    allowed=st.booleans(),
    possible=st.booleans(),
)
def test_only_a_pod_that_stays_gets_the_rule(
    ends: str | None, containers: list[str | None], more: dict[str, str], allowed: bool, possible: bool
) -> None:
    """The rule is on the sidecar and nowhere else; any pod that is to end, or that could not restart, is rejected."""
    items = [
        without_nothing({"name": f"app{number}", "image": "app", "restartPolicy": policy})
        for number, policy in enumerate(containers)
    ]
    original = pod(annotations={**WANTED, **more}, **without_nothing({"restartPolicy": ends}), containers=items)
    settings = Settings(restart_all_containers=allowed, restart_all_containers_possible=possible)
    stays = not {"Never", "OnFailure"} & {ends, *containers}
    can = more.get("init-only") != "true" and more.get("sidecar") != "classic"
    if not (stays and can and allowed and possible):
        response = respond(original, settings)
        assert not response["allowed"]
        assert "keeper.security/on-change: " in response["status"]["message"]
        return
    new = injected(original, settings)["spec"]
    with_rules = [item for item in [*new["initContainers"], *new["containers"]] if "restartPolicyRules" in item]
    assert [item["name"] for item in with_rules] == ["keeper-injector-sidecar"]
    assert new["containers"][0].keys() & {"livenessProbe"} == set()


@pytest.mark.parametrize("word", ["none", "restart"])
def test_without_it_there_is_no_rule(word: str) -> None:
    """Older API servers reject pods with the rule, so no other pod may have it."""
    original = pod(annotations={**WANTED, "on-change": word}, containers=[{"name": "app", "image": "app"}])
    new = injected(original, ON)
    assert "restartPolicyRules" not in str(new["spec"])
    assert "restartAll" not in plan(new)


def test_the_defaults_of_the_spread_and_of_the_interval_apply() -> None:
    original = pod(annotations=WANTED, containers=[{"name": "app", "image": "app"}])
    assert plan(injected(original, ON))["restartAll"] == {"spread": 300, "minInterval": 300}


def test_a_pod_without_a_receiver_is_rejected() -> None:
    """Only a Kubernetes Secret would be written, and no container would notice."""
    config = "secrets: [{record: a, injectAsK8sSecret: true, k8sSecretName: app-db}]"
    wanted = {"inject": "true", "on-change": "restart-all", "config": config}
    response = respond(pod(annotations=wanted, containers=[{"name": "app", "image": "app"}]), ON)
    assert "no container receives a secret" in response["status"]["message"]
