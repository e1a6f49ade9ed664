"""The JSON Patch: only additions, in the right position among the pod's own containers."""

from __future__ import annotations

import copy
from typing import Any

from admission_reviews import PREFIX, injected, operations, pod, respond
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.admission import Inject, Pod, build_patch, decide_pod
from keeper_injector_webhook.settings import Settings

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_own_init_containers_receive_secrets_and_run_later() -> None:
    """The pod's own init containers run after the agent's and receive secrets, so that a migration finds them."""
    new = injected(pod(annotations=ASKED, initContainers=[{"name": "migrate"}]))
    names = [item["name"] for item in new["spec"]["initContainers"]]
    assert names == ["keeper-injector-init", "keeper-injector-sidecar", "migrate"]
    assert new["spec"]["initContainers"][2]["volumeMounts"][0]["mountPath"] == "/keeper/secrets"


def test_init_first_false_puts_the_agent_last() -> None:
    """With `init-first: false` the agent starts after the pod's own init containers."""
    new = injected(pod(annotations={**ASKED, "init-first": "false"}, initContainers=[{"name": "migrate"}]))
    assert new["spec"]["initContainers"][0]["name"] == "migrate"


def test_a_signal_shares_the_process_namespace() -> None:
    """A pod with `signal` shares its process namespace, so that the sidecar can signal the application."""
    assert injected(pod(annotations={**ASKED, "signal": "HUP"}))["spec"]["shareProcessNamespace"] is True


def test_warnings_are_an_annotation_of_the_pod() -> None:
    """The owner of a Deployment finds the warnings in the pod, and a copied pod does not keep those of another one."""
    key = f"{PREFIX}warnings"
    new = injected(pod(annotations={**ASKED, "secert": "x"}))
    assert new["metadata"]["annotations"][key].startswith(f"{PREFIX}secert: unknown annotation, ignored")
    assert injected(pod(annotations={**ASKED, "warnings": "old"}))["metadata"]["annotations"][key] == ""
    assert key not in injected(pod(annotations=ASKED))["metadata"]["annotations"]
    many = injected(pod(annotations={**ASKED, **{f"x{number}{'y' * 400}": "" for number in range(50)}}))
    assert len(many["metadata"]["annotations"][key]) < 3000


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


UNKNOWN = st.dictionaries(NAMES.map(lambda name: f"x{name}"), JSON, max_size=2)


CONTAINERS = st.lists(NAMES, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(UNKNOWN.map(lambda more, name=name: {**more, "name": name}) for name in names)).map(list)
)


VALUES = st.sampled_from(
    ["true", "db", "db[pw]:/app/pw", "/app/db.json", "5m", "false", "x,y", "secrets: [{record: a}]"]
)


ANNOTATIONS = st.dictionaries(
    st.sampled_from(
        ["secret", "secrets", "secret-a", "secret-b", "config", "refresh-interval", "init-only", "containers"]
    ),
    VALUES,
)


@settings(max_examples=200)
@given(CONTAINERS, CONTAINERS | st.none(), UNKNOWN, ANNOTATIONS)
def test_any_pod_is_denied_or_only_added_to(
    containers: list[dict[str, Any]],
    inits: list[dict[str, Any]] | None,
    unknown: dict[str, Any],
    annotations: dict[str, str],
) -> None:
    """Any pod is denied or patched. Removing what the patch added gives the original pod, including its unknown fields."""
    more = {} if inits is None else {"initContainers": inits}
    original = pod(annotations={"inject": "true", **annotations}, containers=containers, **unknown, **more)
    response = respond(copy.deepcopy(original))
    if not response["allowed"]:
        assert response["status"]["message"].startswith("keeper-injector: (1) ")
        return
    assert all(operation["op"] == "add" for operation in operations(response))
    assert strip(injected(original), original) == original


def strip(new: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """Remove what an injection adds, which is recognised by its names only."""
    result = copy.deepcopy(new)
    for key in ("injected", "plan"):
        del result["metadata"]["annotations"][PREFIX + key]
    spec = result["spec"]
    for kind in ("containers", "initContainers", "volumes"):
        kept = [item for item in spec.get(kind, []) if not item["name"].startswith("keeper-")]
        if kind in original["spec"]:
            spec[kind] = kept
        else:
            spec.pop(kind, None)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        mounts = [mount for mount in container.get("volumeMounts", []) if not mount["name"].startswith("keeper-")]
        if mounts:
            container["volumeMounts"] = mounts
        else:
            container.pop("volumeMounts", None)
    return result


def test_a_decision_is_a_patch_of_any_view_of_the_pod() -> None:
    """A preview decides about one view of a pod and patches another one, and no mount is lost."""
    raw = pod(annotations={"inject": "true", "secret": "db"}, initContainers=[{"name": "migrate"}])
    decision = decide_pod(Pod(raw), Settings(), "shop")
    assert isinstance(decision, Inject)
    assert build_patch(Pod(raw), decision, Settings()) == build_patch(Pod(copy.deepcopy(raw)), decision, Settings())
    mounted = [item["path"] for item in build_patch(Pod(raw), decision, Settings()) if "volumeMounts" in item["path"]]
    assert mounted == ["/spec/initContainers/0/volumeMounts", "/spec/containers/0/volumeMounts"]
