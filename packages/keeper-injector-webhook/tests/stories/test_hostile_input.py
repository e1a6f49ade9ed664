"""Any input gets an answer: an HTTP error, a denial, or a pod that satisfies Kubernetes' schema."""

from __future__ import annotations

import copy
import json
import tracemalloc
from typing import Any

import orjson
import pytest
from admission_reviews import body, injected, pod, respond
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import V1Pod

from keeper_injector_common.annotations.table import ANNOTATIONS as ANNOTATIONS_OF_THE_TABLE
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.admission.cache import AnswerCache
from keeper_injector_webhook.errors import ReviewError
from keeper_injector_webhook.settings import Settings

MEBIBYTE = 1024 * 1024
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,7}", fullmatch=True)
QUANTITIES = st.sampled_from(["1", "500m", "64Mi", "1Gi"])
AMOUNTS = st.fixed_dictionaries({}, optional={"cpu": QUANTITIES, "memory": QUANTITIES})
CONTAINER = st.fixed_dictionaries(
    {"name": NAMES, "image": st.just("app:1")},
    optional={
        "command": st.lists(st.sampled_from(["/bin/app", "sh", "$(X)"]), min_size=1, max_size=2),
        "args": st.lists(st.text(max_size=4), max_size=2),
        "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["DB", "PATH"]), "value": st.text(max_size=3)}), max_size=2
        ),
        "ports": st.lists(st.fixed_dictionaries({"containerPort": st.sampled_from([80, 9464])}), max_size=2),
        "resources": st.fixed_dictionaries({}, optional={"limits": AMOUNTS, "requests": AMOUNTS}),
        "securityContext": st.fixed_dictionaries(
            {}, optional={"runAsUser": st.sampled_from([0, 1000]), "privileged": st.booleans()}
        ),
        "volumeMounts": st.lists(
            st.fixed_dictionaries({"name": NAMES, "mountPath": st.sampled_from(["/data", "/app/", "/"])}), max_size=2
        ),
        "restartPolicy": st.just("Always"),
    },
)
CONTAINERS = st.lists(CONTAINER, min_size=1, max_size=3, unique_by=lambda item: item["name"])
SPEC = st.fixed_dictionaries(
    {"containers": CONTAINERS},
    optional={
        "initContainers": CONTAINERS,
        "hostNetwork": st.booleans(),
        "hostPID": st.booleans(),
        "hostUsers": st.booleans(),
        "restartPolicy": st.sampled_from(["Always", "Never"]),
        "nodeSelector": st.dictionaries(st.just("kubernetes.io/os"), st.sampled_from(["linux", "windows"])),
        "resources": st.fixed_dictionaries({}, optional={"limits": AMOUNTS}),
        "securityContext": st.fixed_dictionaries(
            {}, optional={"runAsUser": st.sampled_from([0, 1000]), "fsGroup": st.just(5)}
        ),
        "volumes": st.lists(
            st.sampled_from(
                [
                    {"name": "data", "emptyDir": {}},
                    {"name": "keeper-plan", "emptyDir": {}},
                    {"name": "s", "secret": {"secretName": "app-db"}},
                    {"name": "p", "projected": {"sources": [{"secret": {"name": "app-db"}}]}},
                ]
            ),
            max_size=2,
            unique_by=lambda item: str(item["name"]),
        ),
    },
)
VALUES: dict[str, st.SearchStrategy[str]] = {
    "secret": st.sampled_from(["db", "a, b", "db[pw]", "db[", ""]),
    "secret-x": st.sampled_from(["/app/x", "db:/data/x", "db[a]:/app/x", "Prod/DB/x/field/y:/etc/x"]),
    "secret-y": st.sampled_from(["/app/x", "/app/x/y", "/app/y.env"]),
    "fields-x": st.sampled_from(["a, b", "path", "a,,b"]),
    "env-prefix-x": st.sampled_from(["A_", "1", ""]),
    "template-x": st.sampled_from(["{{ .a }}", "{{ .a "]),
    "file-z": st.sampled_from(["TLS:cert.pem", "TLS:cert.pem:/app/c", "TLS"]),
    "folder": st.sampled_from(["Prod", "Prod/DB"]),
    "env-DB": st.sampled_from(["db[pw]", "db"]),
    "inject-env-vars": st.sampled_from(["true", "off"]),
    "env-mode": st.sampled_from(["auto", "exec", "file-ref"]),
    "on-change": st.sampled_from(["none", "restart", "restart-all", "start"]),
    "signal": st.sampled_from(["HUP", "9", "KILL"]),
    "notify-url": st.sampled_from(["http://127.0.0.1:1/x", "http://a/"]),
    "metrics-port": st.sampled_from(["9464", "80", "x"]),
    "containers": NAMES,
    "sidecar": st.sampled_from(["auto", "native", "classic"]),
    "init-only": st.sampled_from(["true", "false"]),
    "init-first": st.sampled_from(["true", "false"]),
    "inject-as-k8s-secret": st.just("true"),
    "k8s-secret-name": st.just("app-db"),
    "auth-method": st.sampled_from(["secret", "azure-key-vault"]),
    "volume-size": st.sampled_from(["1Mi", "512Mi", "5"]),
    "agent-limits-memory": st.sampled_from(["none", "16Mi", "256Mi"]),
    "run-as-user": st.sampled_from(["0", "1000", "x"]),
    "folder-path": st.sampled_from(["/app/x", "/app/x/y/z", "/keeper/secrets"]),
    "config": st.sampled_from(
        [
            "secrets: [{record: a, injectAsEnvVars: true, fields: [b]}, {record: c, injectAsEnvVars: true, fields: [b]}]",
            "secrets: [{record: a, path: /c/d}]",
            "secrets: [{}]",
            "- 1",
            "a: &a [*a]",
        ]
    ),
    "sekret": st.text(max_size=5),
}
ANNOTATIONS = st.fixed_dictionaries({"inject": st.just("true")}, optional=VALUES)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(SPEC, ANNOTATIONS, st.booleans())
def test_any_pod_ends_denied_or_valid(spec: Json, annotations: dict[str, str], env_files: bool) -> None:
    """Any pod is denied with its problems, or injected and valid. A second review does not change an injected pod."""
    original = pod(annotations=annotations, **spec)
    V1Pod.model_validate(original)
    cluster = Settings(env_files=env_files, restart_all_containers=True)
    response = respond(copy.deepcopy(original), cluster)
    if not response["allowed"]:
        assert response["status"]["message"].startswith("keeper-injector: (1) ")
        return
    new = injected(original, cluster)
    V1Pod.model_validate(new)
    for key in ("containers", "initContainers", "volumes"):
        names = [item["name"] for item in new["spec"].get(key, [])]
        assert len(names) == len(set(names))
    mounted = {
        mount["name"]
        for item in new["spec"]["initContainers"]
        if item["name"].startswith("keeper-")
        for mount in item["volumeMounts"]
    }
    assert mounted <= {volume["name"] for volume in new["spec"]["volumes"]}
    assert "patch" not in respond(new, cluster)


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{number}: &a{number} [{','.join([f'*a{number - 1}'] * 9)}]\n" for number in range(1, 12)
)
YAML = {
    "an alias bomb": BOMB,
    "an alias of itself": "secrets: &a [*a]",
    "a merge bomb": "a: &a {x: 1}\nb: &b {<<: [*a, *a, *a]}\nsecrets: [{<<: *b}]",
    "a deep nest": "[" * 20_000,
    "a deep mapping": "{a: " * 5_000,
    "a huge number": "secrets: " + "9" * 100_000,
    "a number of another base": "secrets: 0x" + "f" * 50_000,
    "a duplicate key": "secrets: []\nsecrets: []",
    "an object of Python": "!!python/object/apply:os.system ['true']",
    "an unknown tag": "secrets: !x []",
    "several documents": "secrets: []\n---\nsecrets: []",
    "control characters": "secrets: [\x01\x02]",
    "a date": "secrets: 2020-01-01",
    "a long line": "secrets: [" + "{record: a}," * 20_000 + "]",
}


@pytest.mark.parametrize("name", YAML)
def test_hostile_yaml_is_denied(name: str) -> None:
    """A hostile document is rejected before it is expanded, so that a review takes no more memory than usual."""
    tracemalloc.start()
    try:
        response = respond(pod(annotations={"inject": "true", "config": YAML[name]}))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not response["allowed"]
    assert "keeper.security/config" in response["status"]["message"]
    assert len(response["status"]["message"]) < 5_000
    assert peak < 24 * MEBIBYTE


BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "not UTF-8": b'{"kind": "\xff"}',
    "a deep nest": b"[" * 100_000,
    "a number too large": b'{"kind":' + b"9" * 100_000 + b"}",
    "a list": b"[]",
    "another kind": b'{"apiVersion": "v1", "kind": "Pod"}',
    "no request": b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}',
    "no UID": b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": ""}}',
    "no pod": b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "a", "object": 5}}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_a_review_is_an_error(name: str) -> None:
    """The error is one sentence, which the server sends with status 400."""
    with pytest.raises(ReviewError, match=r"^body: "):
        answer_review(BODIES[name], Settings())


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.sampled_from(
    [
        ("metadata",),
        ("metadata", "annotations"),
        ("metadata", "ownerReferences"),
        ("spec",),
        ("spec", "containers"),
        ("spec", "initContainers"),
        ("spec", "volumes"),
        ("spec", "securityContext"),
        ("spec", "nodeSelector"),
        ("spec", "resources"),
        ("spec", "containers", 0),
        ("spec", "containers", 0, "env"),
        ("spec", "containers", 0, "command"),
        ("spec", "containers", 0, "ports"),
        ("spec", "containers", 0, "resources"),
        ("spec", "containers", 0, "volumeMounts"),
        ("spec", "containers", 0, "securityContext"),
        ("spec", "volumes", 0, "secret"),
        ("spec", "volumes", 0, "projected"),
    ]
)


@settings(max_examples=400)
@given(PARTS, ANYTHING)
def test_a_pod_of_wrong_types(part: tuple[str | int, ...], value: Any) -> None:
    """A pod with wrong JSON types, which no API server sends, gets a response or status 400, but no internal error."""
    asked = {"inject": "true", "secret": "db", "env-X": "db[a]", "metrics-port": "9464", "inject-as-k8s-secret": "true"}
    review = json.loads(body(pod(annotations={**asked, "k8s-secret-name": "s"}, volumes=[{"name": "v"}])))
    parent = review["request"]["object"]
    for key in part[:-1]:
        parent = parent[key]
    parent[part[-1]] = value
    try:
        answer = answer_review(orjson.dumps(review), Settings())
    except ReviewError:
        return
    assert answer.review["response"]["uid"] == "u-1"


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Any bytes that are not a review raise ReviewError."""
    with pytest.raises(ReviewError):
        answer_review(content, Settings())


@settings(max_examples=300)
@given(st.text(max_size=200))
def test_any_configuration(text: str) -> None:
    """Any text as the YAML annotation is denied, injected, or ignored if it is empty."""
    response = respond(pod(annotations={"inject": "true", "config": text}))
    assert response["allowed"] or response["status"]["message"].startswith("keeper-injector: (1) ")


LINES = st.lists(
    st.sampled_from(
        [
            "secrets:",
            "- record: 1.10",
            "  mode: 0644",
            "  path: 1:59:59",
            "  path: /a/" + "b" * 300,
            "  fields: [a, 1, ~, yes, 2026-13-45]",
            "  containers: 5",
            "  template: '{{ .a'",
            "  k8sSecretKeys: {password: yes}",
            "  injectAsK8sSecret: yes",
            "  injectAsEnvVars: 1",
            "folders: [{path: a/b}, {uid: 5}, []]",
            "a: 1" + ":59" * 4000,
            "b: " + "9" * 6000,
            "c: 1e9999",
            "d: 0x" + "f" * 6000,
            "e: !!binary x",
            "f: !!python/name:os.system",
            "g: &g [*g]",
            "<<: {secrets: []}",
            "? [a]",
            "[" * 300,
            "{" * 300,
            "h: \x00",
            "i: \ufeff",
            "\u2028",
            "\t",
            "--- |",
            "%YAML 9.9",
            "...",
        ]
    ),
    max_size=8,
)


@settings(max_examples=400, deadline=None)
@given(LINES)
def test_any_document_of_hostile_lines(lines: list[str]) -> None:
    """A document of lines that each are hard to parse is denied with its problems, or injected."""
    response = respond(pod(annotations={"inject": "true", "config": "\n".join(lines)}))
    assert response["allowed"] or response["status"]["message"].startswith("keeper-injector: (1) ")


HARD = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "1" + ":59" * 4000,
            "9" * 5000,
            "-1",
            "1e999999999",
            "\u0661\u0662s",
            "\x00",
            "http://[",
            "http://[::1%25lo]:99999/",
            "http://127.0.0.1:\u0661/",
            "/" * 5000,
            "/a" * 3000,
            "\\" * 3000,
            "[" * 3000,
            ":/" * 3000,
            "keeper://" * 300,
            "{{" * 3000,
            "," * 3000,
            "a" * 70_000,
        ]
    ),
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([annotation.name for annotation in ANNOTATIONS_OF_THE_TABLE]), HARD, st.text(max_size=5))
def test_any_value_of_any_annotation(name: str, value: str, member: str) -> None:
    """Any text as the value of any annotation, with any name in a family, is denied with its problems, skipped or injected."""
    key = f"{name.partition('<')[0]}{member}" if "<" in name else name
    response = respond(pod(annotations={"inject": "true", "secret": "db", key: value}))
    assert response["allowed"] or response["status"]["message"].startswith("keeper-injector: (1) ")


@pytest.mark.parametrize("depth", [100, 300, 900])
@pytest.mark.parametrize("part", ["metadata", "spec", "container", "annotation", "name", "quantity"])
def test_a_deeply_nested_pod(part: str, depth: int) -> None:
    """A pod that is nested as deeply as JSON may be has an answer or is rejected with status 400, with a cache too."""
    nested: Any = "x"
    for _ in range(depth):
        nested = [nested]
    original = pod(annotations={"inject": "true", "secret": "db"})
    container = original["spec"]["containers"][0]
    match part:
        case "metadata" | "spec":
            original[part]["x"] = nested
        case "container":
            container["x"] = nested
        case "annotation":
            original["metadata"]["annotations"]["x"] = nested
        case "name":
            container["name"] = nested
        case _:
            container["resources"] = {"limits": {"cpu": nested}}
    try:
        answer = answer_review(body(original), Settings(), AnswerCache())
    except ReviewError:
        return
    assert answer.review["response"]["uid"] == "u-1"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["namespace", "operation", "kind", "resource", "subResource", "dryRun", "object"]), ANYTHING)
def test_a_request_of_wrong_types(key: str, value: Any) -> None:
    """A request with wrong JSON types gets a response or status 400, but no internal error."""
    review = json.loads(body(pod(annotations={"inject": "true", "secret": "db"})))
    review["request"][key] = value
    try:
        answer = answer_review(orjson.dumps(review), Settings(), AnswerCache())
    except ReviewError:
        return
    assert answer.review["response"]["uid"] == "u-1"
