"""``keeper-injector migrate``: whatever the input is, the output is YAML that the webhook's parser accepts."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.cli.manifest_yaml import ManifestError
from keeper_injector_common.cli.migrate.pods import Pod, pods
from keeper_injector_common.cli.migrate.rewriting import Migrated, migrate_files
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.tools import TOOLS

OURS = "keeper.security/"
NAMES = st.sampled_from(["app", "db", "other", "DB_PASSWORD", "OP_CONNECT_TOKEN", "a b", ""])
TEXTS = st.one_of(
    NAMES,
    st.sampled_from(
        [
            *("true", "false", "app,other", "op://v/i/f", "op://", "vault:kv/a#b", "${vault:a#b}", ">>vault:a#b#c"),
            *(
                "- a: b/c",
                "- b/c",
                '"*"',
                "x/y",
                "/",
                "init",
                "sidecar",
                "k8s_secrets",
                "file",
                "10s",
                "1h",
                "0",
                "json",
            ),
            *("vaults/v/items/i", "template", '{{ secret "a" }}', '{{ with secret "a/b" }}{{ .Data.x }}{{ end }}'),
            *(
                "/keeper/secrets",
                "/conjur/secrets",
                "/conjur/podinfo",
                "-rw-r--r--",
                "secrets-provider-for-k8s",
                "{",
                "é\n",
            ),
        ]
    ),
    st.text(max_size=8),
)
KEYS = st.sampled_from(
    [
        *(f"operator.1password.io/{name}" for name in ("inject", "item-path", "item-name", "auto-restart", "x")),
        *(f"org.infisical.com/{name}" for name in ("inject", "inject-mode", "agent-config-map", "agent-limits-cpu")),
        *(f"conjur.org/{name}" for name in ("container-mode", "secrets-destination", "k8s-secrets", "authn-identity")),
        *(f"conjur.org/{name}.a" for name in ("conjur-secrets", "secret-file-path", "secret-file-format")),
        *(f"conjur.org/{name}.a" for name in ("secret-file-template", "secret-file-permissions")),
        *(f"vault.security.banzaicloud.io/{name}" for name in ("vault-addr", "vault-env-from-path", "mutate")),
        *(f"vault.hashicorp.com/{name}" for name in ("agent-inject", "agent-inject-secret-a", "log-level")),
        *(f"{OURS}{name}" for name in ("inject", "secret-a", "auth-secret", "config", "env-A")),
        "other",
    ]
)


def objects_of(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with some of these members."""
    return st.fixed_dictionaries({}, optional=members)


ANNOTATIONS = st.dictionaries(KEYS, TEXTS, max_size=6)
REFERENCE = objects_of(name=NAMES, key=NAMES, optional=st.booleans())
VARIABLE = objects_of(
    name=NAMES,
    value=TEXTS,
    valueFrom=st.one_of(objects_of(secretKeyRef=REFERENCE), objects_of(configMapKeyRef=REFERENCE)),
)
MOUNT = objects_of(name=NAMES, mountPath=TEXTS, subPath=NAMES)
CONTAINER = objects_of(
    name=NAMES,
    image=TEXTS,
    command=st.just(["x"]),
    env=st.lists(VARIABLE, max_size=3),
    envFrom=st.lists(objects_of(prefix=NAMES, secretRef=REFERENCE, configMapRef=REFERENCE), max_size=2),
    volumeMounts=st.lists(MOUNT, max_size=2),
)
ITEMS = st.lists(objects_of(key=NAMES, path=TEXTS), max_size=2)
VOLUME = objects_of(
    name=NAMES,
    emptyDir=st.just({}),
    secret=objects_of(secretName=NAMES, items=ITEMS, defaultMode=st.integers(0, 600)),
    projected=objects_of(sources=st.lists(objects_of(secret=REFERENCE), max_size=2)),
)
POD = objects_of(
    metadata=st.none() | objects_of(annotations=st.none() | ANNOTATIONS, labels=ANNOTATIONS, name=NAMES),
    spec=objects_of(
        containers=st.lists(CONTAINER, max_size=2),
        initContainers=st.lists(CONTAINER, max_size=1),
        volumes=st.lists(VOLUME, max_size=2),
    ),
)
METADATA = objects_of(name=NAMES, namespace=NAMES, annotations=ANNOTATIONS)
WORKLOAD = st.fixed_dictionaries(
    {"kind": st.just("Deployment"), "metadata": METADATA, "spec": objects_of(template=POD)}
)
REMOTE = objects_of(key=TEXTS, property=TEXTS, version=TEXTS)
EXTERNAL = objects_of(
    data=st.lists(objects_of(secretKey=NAMES, remoteRef=REMOTE), max_size=3),
    dataFrom=st.lists(objects_of(extract=REMOTE, find=st.just({})), max_size=2),
    refreshInterval=TEXTS,
    target=objects_of(
        name=NAMES,
        creationPolicy=st.sampled_from(["Owner", "Merge", "Orphan", "None", "x"]),
        template=objects_of(type=TEXTS, data=st.dictionaries(NAMES, TEXTS, max_size=2)),
    ),
)
SOURCE = st.one_of(
    st.fixed_dictionaries({"kind": st.just("ExternalSecret"), "metadata": METADATA, "spec": EXTERNAL}),
    st.fixed_dictionaries(
        {
            "kind": st.just("ClusterExternalSecret"),
            "metadata": METADATA,
            "spec": objects_of(externalSecretSpec=EXTERNAL),
        }
    ),
    st.fixed_dictionaries(
        {"kind": st.just("OnePasswordItem"), "metadata": METADATA, "spec": objects_of(itemPath=TEXTS)}
    ),
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["Secret", "ConfigMap"]),
            "metadata": METADATA,
            "data": st.dictionaries(st.sampled_from(["config.yaml", "a"]), TEXTS, max_size=2),
            "stringData": st.dictionaries(st.just("conjur-map"), TEXTS, max_size=1),
        }
    ),
)
# Anything in the place of anything else.
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.one_of(KEYS, NAMES), inner, max_size=2),
    max_leaves=6,
)


def spoiled(manifest: dict[str, Any], junk: object, path: list[int]) -> dict[str, Any]:
    """Replace one value of a manifest."""
    found: Any = manifest
    for number in path:
        keys = list(found) if isinstance(found, dict) else list(range(len(found))) if isinstance(found, list) else []
        if not keys:
            break
        key = keys[number % len(keys)]
        if not isinstance(found[key], dict | list) or number % 5 == 0:
            found[key] = junk
            break
        found = found[key]
    return manifest


MANIFEST = st.one_of(WORKLOAD, SOURCE) | st.builds(
    spoiled, st.one_of(WORKLOAD, SOURCE), JUNK, st.lists(st.integers(0, 99), min_size=1, max_size=6)
)
STYLES = st.sampled_from(["block", "flow", "json"])


def written(manifests: list[dict[str, Any]], style: str) -> str:
    """Return the manifests as text."""
    if style == "json":
        return "\n---\n".join(json.dumps(item, indent=1) for item in manifests)
    return yaml.safe_dump_all(manifests, default_flow_style=style == "flow", sort_keys=False, allow_unicode=True)


def problems_of(found: Migrated) -> list[str]:
    """Return what the webhook's parser says about the pods in the output, except what a message of ``migrate`` mentions."""
    problems = []
    for pod in pods(found.text, (OURS,)):
        if isinstance(pod, Pod) and pod.inherited:
            texts = {key: text for key, text in pod.texts.items() if key.startswith(OURS)}
            said = [item for item in read_request(texts)[1] if item.where != f"{OURS}inject"]
            problems += [str(item) for item in said if not _is_known(str(item), found)]
    return problems


def _is_known(problem: str, found: Migrated) -> bool:
    return any(problem in item.message for item in found.unmigrated)


@settings(deadline=None, max_examples=60)
@given(st.lists(MANIFEST, min_size=1, max_size=3), STYLES)
def test_any_manifest_is_migrated(manifests: list[dict[str, Any]], style: str) -> None:
    """No input is an error, no document is lost, and what is written is accepted or named."""
    text = written(manifests, style)
    try:
        before = [item for item in yaml.safe_load_all(text) if item is not None]
        (found,) = migrate_files([text], Run(), TOOLS)
    except (ManifestError, yaml.YAMLError):
        return  # such as a key that is a list
    after = [item for item in yaml.safe_load_all(found.text) if item is not None]
    assert [*map(kind_of, after[: len(before)])] == [*map(kind_of, before)]
    ours = any(key.startswith(OURS) for item in manifests for key in _keys(item))
    if not ours:
        assert problems_of(found) == []


def kind_of(manifest: dict[str, Any]) -> str:
    """Return the kind of an object; empty if it is not a text."""
    kind = manifest.get("kind")
    return kind if isinstance(kind, str) else ""


def _keys(value: object) -> list[str]:
    if isinstance(value, dict):
        return [*map(str, value), *(key for item in value.values() for key in _keys(item))]
    return [key for item in value for key in _keys(item)] if isinstance(value, list) else []


@settings(deadline=None, max_examples=60)
@given(st.lists(MANIFEST, min_size=1, max_size=2), STYLES)
def test_nothing_is_lost_silently(manifests: list[dict[str, Any]], style: str) -> None:
    """A variable that is gone from a container is an annotation, or it is named."""
    text = written(manifests, style)
    try:
        (found,) = migrate_files([text], Run(), TOOLS)
    except ManifestError:
        return
    for before, after in zip(pods(text, ()), pods(found.text, ()), strict=False):
        assert isinstance(before, Pod)
        assert isinstance(after, Pod)
        kept = {
            item.name for box in after.containers() for key in ("env", "volumeMounts") for item in box.items(key)
        } | {item.name for item in after.volumes()}
        for container in before.containers():
            for item in container.items("env"):
                is_credential = item.name.startswith("OP_")
                assert item.name in kept or is_credential or f"{OURS}env-{item.name}" in after.texts


LETTERS = st.sampled_from([*"ab:-#'\"{}[]&*!|> \n\t", "kind: Pod\n", "  ", "annotations:", "conjur.org/a: b", "é"])


@settings(deadline=None, max_examples=200)
@given(st.lists(LETTERS, max_size=20).map("".join))
def test_any_text_is_migrated(text: str) -> None:
    """Text that is not YAML is an error with a position, and no other exception."""
    try:
        (found,) = migrate_files([text], Run(), TOOLS)
    except ManifestError:
        return
    list(pods(found.text, (OURS,)) if found.text.strip() else ())
