"""The answer cache: nearly identical pods get one answer, which is the one that would be computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from admission_reviews import body, pod
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.json_values import Json
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.admission.cache import (
    ENTRY,
    LARGEST_ANSWER,
    LARGEST_CACHE,
    LARGEST_POD,
    AnswerCache,
    CachedPatch,
    digest,
)
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


def test_the_size_of_all_answers_is_limited() -> None:
    """The oldest answers leave when the cache is full, so that it never exceeds its size, whatever the answers are."""
    cache = AnswerCache()
    patch = CachedPatch("x" * 60_000, (), 1)
    for number in range(1000):
        cache.keep(f"{number}".encode(), patch)
        assert cache.size <= LARGEST_CACHE
    assert len(cache) == LARGEST_CACHE // (60_000 + ENTRY)
    assert cache.find(b"0") is None
    assert cache.find(b"999") is patch


def test_large_pods_and_answers_are_not_cached() -> None:
    """A large pod is decided about each time, and so is a pod with a large answer."""
    cache, cluster = AnswerCache(), Settings()
    answer_review(body(pod(annotations=ASKED, hostname="h" * LARGEST_POD)), cluster, cache)
    many = {"inject": "true", **{f"secret-{number}": f"/d{number}/file" for number in range(MOST_SECRETS)}}
    containers = [{"name": f"c{number}"} for number in range(10)]
    large = answer_review(body(pod(annotations=many, containers=containers)), cluster, cache)
    assert (large.decision, len(cache)) == ("inject", 0)
    cache.keep(b"d", CachedPatch("x" * (LARGEST_ANSWER + 1), (), 1))
    assert len(cache) == 0


def test_annotations_of_other_programs_are_not_part_of_the_digest() -> None:
    """A pod shares the answer of one with other foreign annotations, because no answer depends on them."""
    cache, cluster = AnswerCache(), Settings()
    for number in range(3):
        original = pod(annotations=ASKED)
        original["metadata"]["annotations"]["example.com/checksum"] = str(number)
        assert answer_review(body(original), cluster, cache) == answer_review(body(original), cluster)
    assert len(cache) == 1


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


TOKENS = st.sampled_from(
    [
        "kube-api-access-abcde",
        "kube-api-access-fghij",
        "kube-api-access-",
        "kube-api-access-ABCDE",
        "kube-api-access-abcdef",
        "data",
    ]
)
NAMED = st.fixed_dictionaries({"name": TOKENS})
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": TOKENS},
        optional={
            "command": st.lists(TOKENS, min_size=1, max_size=2),
            "volumeMounts": st.lists(st.fixed_dictionaries({"name": TOKENS, "mountPath": st.just("/t")}), max_size=2),
        },
    ),
    min_size=1,
    max_size=2,
)
PODS = st.builds(
    lambda title, **spec: pod(annotations={"inject": "true", "secret": title}, **spec),
    TOKENS,
    containers=CONTAINERS,
    volumes=st.lists(NAMED, max_size=2),
    serviceAccountName=TOKENS,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(PODS, TOKENS), min_size=2, max_size=8))
def test_pods_with_one_digest_have_one_answer(found: list[tuple[Json, str]]) -> None:
    """Pods that have the same digest have the same answer when it is computed for each of them, wherever the names are used."""
    cluster = Settings()
    answers: dict[bytes, Any] = {}
    for original, namespace in found:
        answer = answer_review(body(original, namespace=namespace), cluster).review["response"]
        if answer["allowed"]:
            assert answers.setdefault(digest(Pod(original), namespace), answer) == answer


def test_the_key_of_a_digest_is_unambiguous() -> None:
    """A pod whose volume already has the name that the digest puts in its place has another digest."""
    digests = {
        digest(Pod(pod(annotations=ASKED, volumes=[{"name": name}])), "shop")
        for name in ("kube-api-access-abcde", "kube-api-access-fghij", "kube-api-access-", None)
    }
    assert len(digests) == 3
