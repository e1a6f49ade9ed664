"""The answer cache: nearly identical pods get one answer, which is the one that would be computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from admission_reviews import body, pod

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.admission.cache import LARGEST_POD, MOST_ANSWERS, AnswerCache
from keeper_injector_webhook.admission.decide import decide_pod
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.settings import Settings

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_identical_pods_get_one_answer() -> None:
    """Pods that differ only in the name of their token volume share an answer; any other difference is computed."""
    cache = AnswerCache()

    def answer(name: str, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
        token = {"name": name, "projected": {"sources": []}}
        mount = {"name": name, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        containers = [{"name": "app", "volumeMounts": [mount]}]
        review = body(pod(annotations=ASKED, containers=containers, volumes=[token], **spec), namespace=namespace)
        given = answer_review(review, cluster, cache)
        assert given == answer_review(review, cluster), "what is remembered is what would be worked out"
        response: dict[str, Any] = given.review["response"]
        return response

    cluster = Settings(defaults=Defaults({}, {"other": {"refresh-interval": "1m"}}))
    first = answer("kube-api-access-abcde")
    assert answer("kube-api-access-fghij") == first
    assert len(cache) == 1
    assert answer("kube-api-access-fghij", "other") != first
    assert answer("kube-api-access-fghij", securityContext={"runAsUser": 5}) != first
    assert len(cache) == 3


def test_the_number_of_answers_is_limited() -> None:
    """The oldest answer is removed when the cache is full, and the answer for a very large pod is not cached."""
    cache, cluster = AnswerCache(), Settings()
    for number in range(MOST_ANSWERS + 3):
        answer_review(body(pod(annotations={**ASKED, "log-level": "debug"}, hostname=f"h{number}")), cluster, cache)
    assert len(cache) == MOST_ANSWERS
    answer_review(body(pod(annotations=ASKED, hostname="h" * LARGEST_POD)), cluster, cache)
    assert len(cache) == MOST_ANSWERS


@pytest.mark.parametrize("asked", [{"secret": "{}"}, {"env-X": "db[pw]"}], ids=["a title", "an argument"])
def test_a_name_that_is_used_elsewhere_is_not_replaced(asked: dict[str, str]) -> None:
    """Two pods that use the name of their token volume elsewhere, as a record's title or an argument, do not share an answer."""
    cache, cluster = AnswerCache(), Settings()
    for name in ("kube-api-access-abcde", "kube-api-access-fghij"):
        annotations = {"inject": "true", **{key: text.replace("{}", name) for key, text in asked.items()}}
        containers = [{"name": "app", "command": [name]}]
        review = body(pod(annotations=annotations, containers=containers, volumes=[{"name": name}]))
        assert answer_review(review, cluster, cache) == answer_review(review, cluster)
    assert len(cache) == 2


class Recorded(dict[str, Any]):
    """An object that remembers which of its keys were read."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.keys_read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of *key*, as a dict does."""
        self.keys_read.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.keys_read.add(key)
        return super().__getitem__(key)

    def __iter__(self) -> Any:
        raise AssertionError("a decision must not depend on everything that the pod has")


GOLDEN = sorted((Path(__file__).parents[1] / "data/golden").glob("*.yaml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_decision_reads_only_what_the_digest_contains(path: Path) -> None:
    """Rules and warnings read the spec, the annotations and the controller's kind: two pods with one digest get one answer."""
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    raw = pod(annotations=case.get("annotations"), **case["spec"])
    metadata, whole = Recorded({**raw["metadata"], "labels": {"app": "shop"}}), Recorded(raw)
    whole["metadata"] = metadata
    decide_pod(Pod(whole), Settings(), "shop")
    assert whole.keys_read <= {"metadata", "spec"}
    assert metadata.keys_read <= {"annotations", "ownerReferences"}


@pytest.mark.parametrize(
    "foreign", [{"kubernetes.io/config.mirror": "1"}, {"traffic.sidecar.istio.io/excludeOutboundPorts": "443"}]
)
def test_annotations_of_others_that_count_are_in_the_digest(foreign: dict[str, str]) -> None:
    """Pods that differ in an annotation of another program which changes the answer do not share it."""
    cache, cluster = AnswerCache(), Settings()
    for more in ({}, foreign):
        raw = pod(annotations=ASKED, initContainers=[{"name": "istio-validation"}])
        raw["metadata"]["annotations"].update(more)
        assert answer_review(body(raw), cluster, cache) == answer_review(body(raw), cluster)
