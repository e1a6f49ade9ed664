"""Decisions: which pods are skipped, and whose annotations count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from admission_reviews import PREFIX, denial, injected, plan, pod, respond
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.json_values import Json
from keeper_injector_common.limits import LARGEST_ANNOTATIONS
from keeper_injector_common.plan.wire import loads, to_json
from keeper_injector_webhook.admission import Deny, Inject, Pod, decide_pod
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


def of_many_containers(count: int, template: str = "") -> Json:
    """Return a pod whose containers all receive five templates, and each of them a file that no other receives."""
    common = [
        {"record": "all", "path": f"/keeper/secrets/common-{number}", "template": template} for number in range(5)
    ]
    own = [
        {"record": "own", "path": f"/keeper/secrets/own-{number}", "containers": [f"c{number}"]}
        for number in range(count)
    ]
    containers = [{"name": f"c{number}"} for number in range(count)]
    asked = {"inject": "true", "config": json.dumps({"secrets": [*common, *own]})}
    return pod(annotations=asked, containers=containers)


def test_the_plan_lists_what_containers_have_in_common_once() -> None:
    """Of 64 containers, each with its own file, the plan has the common templates once and the agent reads all of them."""
    raw = of_many_containers(64, "{{ .login }}" + "t" * 2000)
    inject = decide_pod(Pod(raw), Settings(), "shop")
    assert isinstance(inject, Inject)
    written_out = len(json.dumps(to_json(inject.plan)))
    assert written_out > 2 * LARGEST_ANNOTATIONS
    assert len(inject.plan_text) < 32 * 1024
    assert loads(inject.plan_text) == inject.plan
    assert respond(raw)["allowed"]


@pytest.mark.parametrize("length", [100, 9000, 11_000, 12_000])
def test_only_a_pod_that_is_large_itself_has_a_plan_that_is_too_large(length: int) -> None:
    """Annotations and plan together have about twice the size of the annotations, however many containers the pod has."""
    raw = of_many_containers(64, "t" * length)
    written = sum(map(len, raw["metadata"]["annotations"].values()))
    inject = decide_pod(Pod(raw), Settings(), "shop")
    assert isinstance(inject, Inject)
    assert len(inject.plan_text) < 1.2 * written + 20 * 1024


def test_annotations_that_an_api_server_would_reject_are_a_problem() -> None:
    """The plan counts against the 256 KiB of annotations: a pod that exceeds them is denied and not left to fail later."""
    asked = {"inject": "true", **{f"template-{name}": "t" * 60_000 for name in "ab"}, "secret-a": "x", "secret-b": "y"}
    assert respond(pod(annotations=asked))["allowed"]
    message = denial(pod(annotations={**asked, "template-c": "t" * 60_000, "secret-c": "z"}))
    assert (
        "the pod's annotations have 175 KiB and the agent's plan 176 KiB, of 256 KiB together; request fewer" in message
    )


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
