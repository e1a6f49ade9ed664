"""Several entries that write one Kubernetes Secret."""

from __future__ import annotations

import json
from typing import Any

import pytest
from annotation_requests import problems_of, request_of

MERGE = {"injectAsK8sSecret": True, "k8sSecretName": "app", "k8sSecretMode": "merge"}


def config(*entries: dict[str, Any]) -> str:
    """Return a document with these secrets."""
    return json.dumps({"secrets": [{**MERGE, **entry} for entry in entries]})


CLASHES = {
    "chosen keys": (
        {"record": "a", "k8sSecretKeys": {"login": "USER"}},
        {"record": "b", "k8sSecretKeys": {"user": "USER"}},
    ),
    "keys of fields": ({"record": "a[login]"}, {"record": "b[login]"}),
    "a key and a field": ({"record": "a", "k8sSecretKeys": {"x": "login"}}, {"record": "b[login]"}),
    "values of one field": ({"record": "a[hosts][0]"}, {"record": "a[hosts][1]"}),
    "files": ({"record": "a", "file": "ca.pem"}, {"record": "b", "file": "ca.pem"}),
}


@pytest.mark.parametrize("entries", CLASHES.values(), ids=CLASHES.keys())
def test_two_values_for_one_key_are_a_problem(entries: tuple[dict[str, Any], ...]) -> None:
    """The webhook names the key and both origins, if both keys are known."""
    (problem,) = problems_of(config=config(*entries))
    assert problem.startswith("config: secrets[1]: the key ")
    assert "of Secret 'app' has several values: " in problem
    assert " and " in problem


def test_one_entry_with_two_parts_for_one_key_is_a_problem() -> None:
    """Two fields cannot have the same key; the TLS example of the Go injector, the wrong way round, cannot lose one either."""
    (problem,) = problems_of(config=config({"record": "a", "k8sSecretKeys": {"login": "X", "user": "X"}}))
    assert "the key 'X' of Secret 'app' has several values: 'login' of a and 'user' of a" in problem
    turned = {
        "record": "a",
        "k8sSecretType": "kubernetes.io/tls",
        "k8sSecretKeys": {"tls.crt": "both.pem", "tls.key": "both.pem"},
    }
    assert any("a field or file has several keys" in text for text in problems_of(config=config(turned)))


FREE = {
    "different keys": (
        {"record": "a", "k8sSecretKeys": {"login": "A"}},
        {"record": "b", "k8sSecretKeys": {"login": "B"}},
    ),
    "the same field twice": ({"record": "a[login]"}, {"record": "a", "k8sSecretKeys": {"login": "login"}}),
    "unknown keys": ({"record": "a"}, {"record": "b"}),
}


@pytest.mark.parametrize("entries", FREE.values(), ids=FREE.keys())
def test_entries_that_may_be_merged_are_accepted(entries: tuple[dict[str, Any], ...]) -> None:
    """Keys that differ or are unknown now are left to the agent."""
    assert len(request_of(config=config(*entries)).kubernetes_secrets) == 2


@pytest.mark.parametrize("key", ["..", "..data", ".", "k" * 254, "a/b"])
def test_a_key_that_kubernetes_refuses_is_a_problem(key: str) -> None:
    """The API server would reject the Secret."""
    (problem,) = problems_of(config=config({"record": "a", "k8sSecretKeys": {"login": key}}))
    assert "secrets[0].k8sSecretKeys.login: " in problem
