"""What is kept of annotations: pods that share them, and differ otherwise, get the patches that would be computed for each alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from admission_reviews import pod
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import asked
from keeper_injector_webhook.admission.cache import BoundedCache
from keeper_injector_webhook.admission.decide import decide_pod
from keeper_injector_webhook.admission.decision import Inject
from keeper_injector_webhook.admission.patch import build_patch
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.settings import Settings

EQUAL = {"limits": {"cpu": "1", "memory": "1Gi"}}
SETTINGS = (Settings(), Settings(env_files=True))
ANNOTATIONS = st.sampled_from(
    [
        {"inject": "true", "secret": "db"},
        {"inject": "true", "secret": "db", "secret-a": "db[password]:/app/password", "on-change": "restart"},
        {"inject": "true", "env-PASSWORD": "db[password]", "init-only": "true"},
        {"inject": "true", "secret": "db", "sidecar": "classic", "agent-limits-memory": "none"},
    ]
)
CONTAINER = st.fixed_dictionaries(
    {"command": st.just(["/app"])},
    optional={
        "resources": st.sampled_from([EQUAL, {}]),
        "securityContext": st.sampled_from([{"runAsUser": 5}, {"runAsUser": 6, "runAsGroup": 7}]),
    },
)
SPEC = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINER, min_size=1, max_size=2)},
    optional={
        "restartPolicy": st.just("Never"),
        "resources": st.just(EQUAL),
        "initContainers": st.just([{"name": "first", "image": "app:1"}]),
        "securityContext": st.just({"fsGroup": 9}),
    },
)


@contextmanager
def _keeping(most: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asked, "_kept", BoundedCache[Any, Any](most))
        yield


def patched(raw: Json, settings: Settings) -> object:
    """Return the patch for a pod, or the decision not to inject."""
    decision = decide_pod(Pod(raw), settings, "shop")
    return build_patch(Pod(raw), decision, settings) if isinstance(decision, Inject) else decision


@given(ANNOTATIONS, st.lists(st.tuples(SPEC, st.sampled_from(SETTINGS)), min_size=2, max_size=6))
def test_pods_with_the_same_annotations_get_their_own_patches(
    annotations: dict[str, str], found: list[tuple[dict[str, Any], Settings]]
) -> None:
    """The order in which pods arrive makes no difference, whatever was kept for the pod before."""
    pods = []
    for spec, settings in found:
        named = [{"name": f"c{number}", "image": "app:1", **one} for number, one in enumerate(spec["containers"])]
        pods.append((pod(annotations=annotations, **{**spec, "containers": named}), settings))
    with _keeping(0):
        alone = [patched(raw, settings) for raw, settings in pods]
    with _keeping(1 << 20):
        assert [patched(raw, settings) for raw, settings in pods] == alone


def test_the_parts_of_a_patch_are_kept() -> None:
    """Two pods with the same annotations share the agent's containers, which takes less time than to build them again."""
    raw = pod(annotations={"inject": "true", "secret": "db"})
    with _keeping(1 << 20):
        first, second = (patched(raw, SETTINGS[0]) for _ in range(2))
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first[-1]["value"][0] is second[-1]["value"][0]
