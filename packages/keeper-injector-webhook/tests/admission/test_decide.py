"""Decisions: which pods are skipped, and whose annotations count."""

from __future__ import annotations

from typing import Any

from admission_reviews import PREFIX, denial, injected, plan, pod, respond
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_webhook.admission import Deny, Pod, decide_pod
from keeper_injector_webhook.settings import Settings

ASKED = {"inject": "true", "secret": "database-credentials"}
BROKEN = {
    "refresh-interval": ("5x", "5m"),
    "file-mode": ("999", "0440"),
    "fail-on-error": ("maybe", "true"),
    "signal": ("x", "HUP"),
    "secret-a": ("db[", "db[x]"),
    "config": ("secrets: [{}]", "secrets: [{record: b}]"),
    "agent-limits-memory": ("1 GB", "1Gi"),
    "metrics-port": ("x", "8080"),
}
"""Annotations with an invalid and a valid value."""
PODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "for Windows": {"os": {"name": "windows"}},
    "with a reserved volume": {"volumes": [{"name": "keeper-state"}]},
    "of the node": {"hostPID": True, "containers": [{"name": "app", "ports": [{"containerPort": 8080}]}]},
}


def test_a_pod_that_does_not_ask_is_left_alone() -> None:
    """A pod without the annotation is not changed."""
    assert respond(pod()) == {"uid": "u-1", "allowed": True}


def test_injected_pods_are_not_injected_again() -> None:
    """A second review of an injected pod, or a copy of a running one, changes nothing."""
    assert "patch" not in respond(injected(pod(annotations=ASKED)))


def test_a_copied_marker_alone_does_not_stop_injection() -> None:
    """A pod with copied annotations but without the agent's containers is injected."""
    copied = pod(annotations={**ASKED, "injected": "true", "plan": "{}"})
    assert len(injected(copied)["spec"]["initContainers"]) == 2


def test_defaults_of_a_namespace_override_the_charts() -> None:
    """An annotation of the pod overrides the namespace's default, which overrides the chart's."""
    chosen = Settings(defaults=Defaults({"refresh-interval": "1h"}, {"shop": {"refresh-interval": "2h"}}))
    assert plan(injected(pod(annotations=ASKED), chosen))["refreshInterval"] == 7200
    own = {**ASKED, "refresh-interval": "30s"}
    assert plan(injected(pod(annotations=own), chosen))["refreshInterval"] == 30


def test_templates_are_parsed_at_admission() -> None:
    """A template that cannot be parsed is rejected before the pod exists."""
    asked = {"inject": "true", "secret-x": "db:/app/x", "template-x": "{{ .login "}
    assert "keeper.security/template-x: template, parsing line 1" in denial(pod(annotations=asked))


def test_a_mirror_pod_is_skipped() -> None:
    """A mirror pod shows a static pod, and an API server rejects every change of it."""
    raw = pod(annotations=ASKED)
    raw["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "0123"
    assert respond(raw) == {"uid": "u-1", "allowed": True}


def test_annotations_that_an_api_server_would_reject_are_a_problem() -> None:
    """The plan counts against the 256 KiB of annotations: a pod that exceeds them is denied and not left to fail later."""
    shared = "".join(f"  - {{record: 'a {'very ' * 30}long title, number {number}'}}\n" for number in range(40))
    own = "".join(
        f"  - {{record: own, path: /keeper/secrets/{number}, containers: [c{number}]}}\n" for number in range(20)
    )
    containers = [{"name": f"c{number}"} for number in range(20)]
    asked = {"inject": "true", "config": f"secrets:\n{shared}"}
    assert respond(pod(annotations=asked, containers=containers))["allowed"]
    message = denial(pod(annotations={**asked, "config": f"secrets:\n{shared}{own}"}, containers=containers))
    assert "of 256 KiB together; request fewer secrets in one pod, or give all containers the same ones" in message


@given(broken=st.sets(st.sampled_from(sorted(BROKEN)), min_size=1), seed=st.sampled_from(sorted(PODS)))
def test_one_round_corrects_everything(broken: set[str], seed: str) -> None:
    """Someone who corrects all problems of a denial is not shown another one, except about what could not be read before."""
    annotations = {**ASKED, "containers": "web", "env-PW": "db[p]", **{name: BROKEN[name][0] for name in broken}}
    first = decide_pod(Pod(pod(annotations=annotations, **PODS[seed])), Settings(), "shop")
    assert isinstance(first, Deny)
    corrected = {**annotations, **{name: BROKEN[name][1] for name in broken}}
    second = decide_pod(Pod(pod(annotations=corrected, **PODS[seed])), Settings(), "shop")
    later = {problem.where for problem in second.problems} if isinstance(second, Deny) else set()
    assert later <= {problem.where for problem in first.problems} | {PREFIX + name for name in broken}
