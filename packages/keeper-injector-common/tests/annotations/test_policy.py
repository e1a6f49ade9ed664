"""Policies: what they reject, by which spelling ever, and how those of a namespace combine with those for all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from annotation_requests import keys
from hypothesis import assume, given
from hypothesis import strategies as st

from keeper_injector_common.annotations.config_keys import FolderKeys, SecretKeys, _keys_of
from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.policy import (
    _ANNOTATIONS_OF,
    DELIVERIES,
    LOCKABLE,
    Policies,
    Policy,
    Rules,
    read,
)
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.errors import AnnotationsError
from keeper_injector_common.references import FileContent
from keeper_injector_common.yaml_document import Section, load_yaml


def policy_of(text: str, namespace: str = "shop") -> Policy:
    """Return the policy of a namespace that a values file contains."""
    content: Any = load_yaml(f"policy: {text}")
    problems: list[Any] = []
    found = read(Section(content, "", problems))
    assert problems == []
    return found.within(namespace)


def problems_under(policy: Policy, **annotations: str) -> list[str]:
    """Return the problems of annotations under a policy, without the prefix."""
    try:
        parse_request(keys(inject="true", **annotations), policy=policy)
    except AnnotationsError as error:
        return [str(problem).removeprefix(PREFIX) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("policy", "annotations", "problem"),
    [
        (
            "{locked: [ksm-config]}",
            {"auth-secret": "x"},
            "auth-secret: policy.locked does not allow pods to set ksm-config",
        ),
        (
            "{locked: [agent-image]}",
            {"agent-image": "x"},
            "agent-image: policy.locked does not allow pods to set agent-image",
        ),
        ("{locked: [env-<NAME>]}", {"env-A": "db[x]"}, "env-A: policy.locked does not allow pods to set env-<NAME>"),
        (
            "{locked: [file-<name>]}",
            {"secret-x": "keeper://UID/file/a"},
            "secret-x: policy.locked does not allow pods to",
        ),
        (
            "{locked: [keeper.security/file-mode]}",
            {"config": "secrets: [{record: a, mode: '0400'}]"},
            "config: secrets[0].mode: ",
        ),
        (
            "{locked: [folder-uid]}",
            {"config": "folders: [{folderUid: a}]"},
            "config: folders[0].folderUid: policy.locked",
        ),
        (
            "{forbidden: [env]}",
            {"env-A": "db[x]"},
            "env-A: policy.forbidden does not allow environment variables; remove it",
        ),
        (
            "{forbidden: [env]}",
            {"inject-env-vars": "true"},
            "secret: policy.forbidden does not allow environment variables",
        ),
        (
            "{forbidden: [env]}",
            {"config": "secrets: [{record: a, injectAsEnvVars: yes}]"},
            "config: secrets[0]: policy.forb",
        ),
        (
            "{locked: [file-<name>]}",
            {"config": "secrets: [{notation: keeper://a/file/b, injectAsK8sSecret: true, k8sSecretName: c}]"},
            "config: secrets[0]: policy.locked does not allow pods to set file-<name>",
        ),
        ("{forbidden: [signal]}", {"signal": "1"}, "signal: policy.forbidden does not allow signals; remove it"),
        (
            "{forbidden: [kubernetes-secret]}",
            {"config": "secrets: [{record: a, injectAsK8sSecret: true, k8sSecretName: b}]"},
            "config: secrets[0]: policy.forbidden does not allow Kubernetes Secrets; remove it",
        ),
        (
            "{minRefreshInterval: 2m}",
            {"refresh-interval": "119s"},
            "refresh-interval: policy.minRefreshInterval does not allow",
        ),
        (
            "{maxVolumeSize: 16Mi}",
            {"volume-size": "17Mi"},
            "volume-size: policy.maxVolumeSize does not allow more than 16Mi",
        ),
        (
            "{maxSecrets: 2}",
            {"secrets": "a, b"},
            "inject: 3 records and folders, but policy.maxSecrets does not allow more th",
        ),
        (
            "{namespaces: {shop: {maxSecrets: 1}}}",
            {"env-A": "x[y]"},
            "inject: 2 records and folders, but policy.namespaces.sh",
        ),
        (
            "{locked: [signal], contact: Ask Ann.}",
            {"signal": "HUP"},
            "signal: policy.locked does not allow pods to set signal; remove it (Ask Ann.)",
        ),
    ],
)
def test_a_policy_rejects(policy: str, annotations: dict[str, str], problem: str) -> None:
    """The message says where, which policy, and whom to ask."""
    found = problems_under(policy_of(policy), secret="db", **annotations)
    assert [text[: len(problem)] for text in found] == [problem]


@pytest.mark.parametrize(
    ("policy", "annotations"),
    [
        ("{minRefreshInterval: 2m}", {"refresh-interval": "10s", "init-only": "true"}),
        ("{maxSecrets: 1}", {"env-A": "db[x]", "secret-y": "db[z]"}),
        ("{locked: [env-prefix]}", {"inject-env-vars": "true"}),
        ("{namespaces: {other: {forbidden: [signal]}}}", {"signal": "HUP"}),
        ("{forbidden: [signal], namespacesMayWiden: true, namespaces: {shop: {forbidden: []}}}", {"signal": "HUP"}),
        ("{maxSecrets: 1, namespacesMayWiden: true, namespaces: {shop: {maxSecrets: 0}}}", {"secrets": "a, b"}),
    ],
)
def test_a_policy_allows(policy: str, annotations: dict[str, str]) -> None:
    """What no rule mentions, and what a namespace may widen, is allowed."""
    assert problems_under(policy_of(policy), secret="db", **annotations) == []


def test_policy_and_syntax_are_reported_together() -> None:
    """Someone corrects what the policy does not allow and what is invalid in one round."""
    found = problems_under(
        policy_of("{locked: [signal, agent-image]}"), signal="x", agent_image="a", refresh_interval="5x"
    )
    assert [text.partition(":")[0] for text in found] == ["refresh-interval", "signal", "agent-image", "signal"]


def test_every_key_of_the_document_belongs_to_an_annotation() -> None:
    """A key of ``config`` that no lock covers must be one that no annotation has."""
    names = {("secrets", name) for key in _keys_of(SecretKeys) for name, _ in key.properties()}
    names |= {("folders", name) for key in _keys_of(FolderKeys) for name, _ in key.properties()}
    only_there = {"path", "k8sSecretKeys"}
    assert names - _ANNOTATIONS_OF.keys() == {("secrets", name) for name in only_there}


_TEXTS = {
    "secrets": "a, b",
    "secret-x": "keeper://UID/file/a.txt",
    "file-y": "TLS:server.pem",
    "config": "",
}
_SECRET_ENTRY = {
    "mode": "0440",
    "fileName": "a.pem",
    "file": "a.pem",
    "path": "/app/x",
    "format": "json",
    "template": "{{ .x }}",
    "containers": ["app"],
    "injectAsEnvVars": True,
    "envPrefix": "A_",
    "injectAsK8sSecret": "yes",
    "k8sSecretName": "s",
    "k8sSecretMode": "merge",
    "k8sSecretOwnerRef": False,
    "k8sSecretRotation": True,
}
_FOLDER_ENTRY = {"recursive": True, "format": "env", "outputPath": "/app/f", "containers": ["app"]}


@st.composite
def pods(draw: st.DrawFn) -> dict[str, str]:
    """Draw the annotations of a pod, by annotations and by keys of ``config``, most of them valid."""
    names = draw(
        st.sets(
            st.sampled_from([*(name for name in BY_NAME if BY_NAME[name].example), *_TEXTS, "env-A", "format-x"]),
            max_size=6,
        )
    )
    found = {}
    for name in names:
        item = BY_NAME.get(name)
        found[name] = _TEXTS.get(name) or (item.example if item else {"env-A": "db[x]", "format-x": "raw"}[name])
    entries = [
        {draw(st.sampled_from(["record", "notation"])): "db", **{key: _SECRET_ENTRY[key] for key in chosen}}
        for chosen in draw(st.lists(st.sets(st.sampled_from(sorted(_SECRET_ENTRY)), max_size=3), max_size=2))
    ]
    folders = [
        {
            draw(st.sampled_from(["path", "folderPath", "uid", "folderUid"])): "F",
            **{key: _FOLDER_ENTRY[key] for key in chosen},
        }
        for chosen in draw(st.lists(st.sets(st.sampled_from(sorted(_FOLDER_ENTRY)), max_size=2), max_size=1))
    ]
    found["config"] = json.dumps({"secrets": entries, "folders": folders})
    return {f"{PREFIX}inject": "true", f"{PREFIX}secret": "db", **{PREFIX + name: text for name, text in found.items()}}


def _rules() -> st.SearchStrategy[Rules]:
    some = st.one_of(st.none(), st.frozensets(st.sampled_from(LOCKABLE), max_size=3))
    return st.builds(
        Rules,
        locked=some,
        forbidden=st.one_of(st.none(), st.frozensets(st.sampled_from(DELIVERIES))),
        min_refresh_interval=st.one_of(st.none(), st.sampled_from([10.0, 60.0, 6000.0])),
        max_volume_size=st.one_of(st.none(), st.sampled_from([2**20, 2**24])),
        max_secrets=st.one_of(st.none(), st.integers(0, 4)),
        contact=st.sampled_from(["", "Ask Ann."]),
    )


def accepted(pod: dict[str, str], policy: Policy) -> InjectionRequest | None:
    """Return the request of a pod, or None if it is rejected."""
    try:
        return parse_request(pod, policy=policy)
    except AnnotationsError:
        return None


@given(pod=pods(), rules=_rules())
def test_what_a_policy_accepts_keeps_it(pod: dict[str, str], rules: Rules) -> None:
    """A request that is accepted differs in nothing that is locked from one that does not set it, and delivers nothing forbidden."""
    policy = Policies(rules).within("")
    request = accepted(pod, policy)
    assume(request is not None)
    assert request is not None
    assert not [name for name in policy.locked if PREFIX + name in pod]
    document = json.loads(pod[f"{PREFIX}config"])
    entries = [*document["secrets"], *document["folders"]]
    signal = request.notify.signal if request.notify else None
    what_locks_prevent = {
        "ksm-config": f"{PREFIX}auth-secret" in pod,
        "file-mode": request.file_mode or any(file.mode is not None for file in request.files),
        "containers": request.containers or any(item.containers for item in (*request.files, *request.folders)),
        "file-<name>": any(isinstance(source, FileContent) for file in request.files for source in file.sources),
        "format-<name>": any("format" in entry for entry in entries),
        "env-prefix": any(getattr(item, "prefix", "") for item in request.variables),
        "k8s-secret-name": request.kubernetes_secrets,
        "folder": any(entry.keys() & {"path", "folderPath"} for entry in document["folders"]),
    }
    assert not [name for name in policy.locked if what_locks_prevent.get(name)]
    what_is_delivered = {"env": request.variables, "kubernetes-secret": request.kubernetes_secrets, "signal": signal}
    assert not [name for name in policy.forbidden if what_is_delivered[name]]


@given(pod=pods(), everywhere=_rules(), own=_rules())
def test_a_namespace_only_narrows(pod: dict[str, str], everywhere: Rules, own: Rules) -> None:
    """Without permission to widen, a pod that a namespace accepts is one that all namespaces accept."""
    policies = Policies(everywhere, {"shop": own})
    if accepted(pod, policies.within("shop")):
        assert accepted(pod, policies.within("other"))


@given(pod=pods(), everywhere=_rules(), own=_rules())
def test_a_namespace_that_may_widen_has_its_own_rules(pod: dict[str, str], everywhere: Rules, own: Rules) -> None:
    """With permission to widen, a rule of the namespace replaces the rule for all, and the other rules stay."""
    policies = Policies(everywhere, {"shop": own}, may_widen=True)
    if accepted(pod, policies.within("shop")):
        assert accepted(pod, Policies(own).within(""))
