"""The golden files on a real API server: it reports the webhook's denials and accepts its patches."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from features import version_of_cluster
from keeper import Keeper
from pods import PREFIX, Namespace, pod

from keeper_injector_webhook.cluster_check.before import minor

Json = dict[str, Any]
GOLDEN = Path(__file__).parents[1] / "packages/keeper-injector-webhook/tests/data/golden"
SETTINGS_OF_ITS_OWN = ("settings", "namespace")
"""Keys of cases that need a webhook with other settings."""
SINCE = "kubernetes"
"""Key with the first version of API servers that know all fields of the pod."""


def test_the_api_server_agrees(space: Namespace, keeper: Keeper) -> None:
    """In a server-side dry run, each pod is denied with the same message, or valid after injection."""
    del keeper
    # The pods in golden files do not satisfy Pod Security `restricted`; this test is not about that.
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    cases = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(GOLDEN.glob("*.yaml"))}
    cases = {
        name: case
        for name, case in cases.items()
        if not set(case) & set(SETTINGS_OF_ITS_OWN) and minor(case.get(SINCE, "1.0")) <= version_of_cluster()
    }
    with ThreadPoolExecutor(4) as pool:
        disagreements = [said for said in pool.map(lambda item: disagreement(space, *item), cases.items()) if said]
    assert len(cases) > 60
    assert disagreements == []


def disagreement(space: Namespace, name: str, case: Json) -> str:
    """Return the difference from the expected answer; empty if the API server agrees."""
    metadata = {
        "name": f"g{name}"[:60].rstrip("-"),
        "annotations": {PREFIX + key: value for key, value in case["annotations"].items()},
    }
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": case["spec"]}
    text = yaml.safe_dump(manifest)
    said = space.kubectl("create", "--dry-run=server", "--output=name", "--filename=-", text=text, check=False)
    expect = case["expect"]
    if expect["decision"] != "deny":
        return "" if f"pod/{metadata['name']}" in said else f"{name}: {said}"
    missing = [part for part in expect["messages"] if part not in said]
    return f"{name}: {missing} not in {said}" if missing else ""


def test_the_agent_has_no_way_to_the_api_server(space: Namespace, keeper: Keeper) -> None:
    """API servers mount a token into every container; the agent gets one only if it writes a Kubernetes Secret."""
    del keeper
    for wanted, count in (({}, 0), ({"inject-as-k8s-secret": "true", "k8s-secret-name": "s"}, 1)):
        manifest = pod("web", {"secret": "db", **wanted}, automountServiceAccountToken=True)
        text = yaml.safe_dump(manifest)
        created = json.loads(space.kubectl("create", "--dry-run=server", "--output=json", "--filename=-", text=text))
        volumes = {item["name"]: item for item in created["spec"]["volumes"]}
        for container in created["spec"]["initContainers"]:
            sources = [
                source
                for mount in container["volumeMounts"]
                for source in volumes[mount["name"]].get("projected", {}).get("sources", [])
                if "serviceAccountToken" in source
            ]
            assert len(sources) == count, container["name"]
        (app,) = created["spec"]["containers"]
        assert any(
            mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount" for mount in app["volumeMounts"]
        )
