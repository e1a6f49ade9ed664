"""Receivers: what starts before the agent receives nothing, and containers of a mesh only what names them."""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch
import pytest
from admission_reviews import denial, injected, operations, pod, respond
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_webhook.settings import Settings

ASKED = {"inject": "true", "secret": "db"}
MESH = {"istio-proxy", "istio-init", "linkerd-proxy", "kuma-init", "consul-dataplane"}
REDIRECTING = {"istio-init", "kuma-init"}
PROXIES = {"istio-proxy", "linkerd-proxy", "consul-dataplane"}


def mounted(new: dict[str, Any]) -> dict[str, list[str]]:
    """Return the paths of our volumes by container, without those of the agent."""
    found = {}
    for container in [*new["spec"].get("initContainers", []), *new["spec"]["containers"]]:
        if not container["name"].startswith("keeper-injector-"):
            paths = [
                item["mountPath"] for item in container.get("volumeMounts", []) if item["name"].startswith("keeper-")
            ]
            found[container["name"]] = paths
    return found


def test_what_starts_before_the_agent_receives_nothing() -> None:
    """With `init-first: false`, the pod's own init containers receive neither files nor variables."""
    asked = {**ASKED, "init-first": "false", "env-X": "db[a]"}
    inits = [{"name": "prepare"}, {"name": "logs", "restartPolicy": "Always"}]
    app = {"name": "app", "command": ["/app"]}
    new = injected(pod(annotations=asked, initContainers=inits, containers=[app]))
    assert mounted(new) == {"prepare": [], "logs": [], "app": ["/keeper/secrets", "/keeper/env"]}
    assert "command" not in new["spec"]["initContainers"][0]


def test_a_mesh_receives_no_variables_from_files() -> None:
    """The kubelet reads no variables for an init container of a mesh, whose file does not exist yet."""
    inits = [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}]
    new = injected(
        pod(annotations={"inject": "true", "env-X": "db[a]"}, initContainers=inits), Settings(env_files=True)
    )
    assert [item["name"] for item in new["spec"]["initContainers"] if item.get("env")] == []
    assert new["spec"]["containers"][0]["env"][0]["name"] == "X"


@pytest.mark.parametrize(
    ("annotations", "inits", "reason"),
    [
        pytest.param(
            {**ASKED, "containers": "web"}, [], "the pod has no container 'web'; it has app", id="a missing container"
        ),
        pytest.param(
            {**ASKED, "containers": "istio-init"},
            [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}],
            "container 'istio-init' starts before the agent; remove it from the list",
            id="of a mesh",
        ),
        pytest.param(
            {**ASKED, "containers": "migrate,app"},
            [{"name": "migrate"}, {"name": "istio-proxy", "restartPolicy": "Always"}],
            "container 'migrate' starts before the agent; move it behind istio-proxy, which the agent needs",
            id="before a native proxy",
        ),
        pytest.param(
            {"inject": "true", "init-first": "false", "config": "secrets: [{record: a, containers: [migrate]}]"},
            [{"name": "migrate"}],
            "config: secrets[0]: container 'migrate' starts before the agent; remove it from the list, or remove",
            id="in the config",
        ),
    ],
)
def test_a_container_that_cannot_receive_is_not_named(
    annotations: dict[str, str], inits: list[dict[str, str]], reason: str
) -> None:
    """Naming a container that starts before the agent is a problem that says which one, and what to do."""
    assert reason in denial(pod(annotations=annotations, initContainers=inits))


@pytest.mark.parametrize("annotation", ["traffic.sidecar.istio.io/excludeOutboundPorts"])
def test_a_pod_that_bypasses_the_proxy_has_no_warning(annotation: str) -> None:
    """With a CNI plugin, excluding port 443 lets the agent reach Keeper, so that there is nothing to warn about."""
    new = pod(annotations=ASKED, initContainers=[{"name": "istio-validation"}])
    assert "starts after the agent" in respond(new)["warnings"][0]
    new["metadata"]["annotations"][annotation] = "80, 443"
    assert "warnings" not in respond(new)


NAMES = st.lists(st.sampled_from(["app", "web", "migrate", "logs", *sorted(MESH)]), min_size=2, max_size=6, unique=True)
PATHS = ["/data", "/data/sub", "/keeper", "/keeper/secrets", "/keeper/env", "/run", "/app", "/srv/a/b"]
VOLUMES = [
    {"name": "empty", "emptyDir": {}},
    {"name": "config", "configMap": {"name": "c"}},
    {"name": "host", "hostPath": {"path": "/x"}},
]
MOUNTS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["empty", "config", "host"]), "mountPath": st.sampled_from(PATHS)}),
    max_size=2,
    unique_by=lambda mount: mount["mountPath"],
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(["secret", "secret-a", "secret-b", "secret-c", "env-X", "init-first", "containers"]),
    st.sampled_from(
        ["true", "false", "db:/data/sub/x", "db:/data/x", "db:/keeper/x", "db:/keeper/env/x", "db:/run/x/y", "app"]
    ),
    min_size=1,
)


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a pod with containers of meshes, native sidecars, mounts and commands."""
    containers = [
        {"name": name, "volumeMounts": draw(MOUNTS), **({"command": ["/x"]} if draw(st.booleans()) else {})}
        for name in draw(NAMES)
    ]
    cut = draw(st.integers(0, len(containers) - 1))
    inits = [{**item, **({"restartPolicy": "Always"} if draw(st.booleans()) else {})} for item in containers[:cut]]
    return pod(
        annotations={"inject": "true", **draw(ANNOTATIONS)},
        containers=containers[cut:],
        initContainers=inits,
        volumes=copy.deepcopy(VOLUMES),
    )


@settings(max_examples=400)
@given(pods(), st.booleans())
def test_what_is_injected_can_start(original: dict[str, Any], env_files: bool) -> None:
    """Any pod that is injected satisfies what its start needs.

    The agent is after native proxies and otherwise before redirections; nothing before it, and no mesh that is not named,
    receives anything; and no mount is inside one of our volumes.
    """
    response = respond(original, Settings(env_files=env_files))
    if not response["allowed"]:
        return
    new = jsonpatch.apply_patch(copy.deepcopy(original), operations(response))
    order = [item["name"] for item in new["spec"]["initContainers"]]
    agent = order.index("keeper-injector-init")
    before = new["spec"]["initContainers"][:agent]
    natives = [
        index
        for index, item in enumerate(new["spec"]["initContainers"])
        if item["name"] in PROXIES and item.get("restartPolicy") == "Always"
    ]
    assert all(index < agent for index in natives)
    if not natives:
        assert not REDIRECTING & {item["name"] for item in before}
    named = original["metadata"]["annotations"].get("keeper.security/containers", "")
    for name, paths in mounted(new).items():
        if name in {item["name"] for item in before} or (name in MESH and not named):
            assert paths == []
    for container in [*before, *(item for item in new["spec"]["containers"] if item["name"] in MESH and not named)]:
        assert "fileKeyRef" not in str(container.get("env"))
    for container in [*new["spec"]["initContainers"], *new["spec"]["containers"]]:
        if container["name"].startswith("keeper-injector-"):
            continue
        mounts = container.get("volumeMounts", [])
        assert len({item["mountPath"] for item in mounts}) == len(mounts)
        ours = [item["mountPath"] for item in mounts if item["name"].startswith("keeper-")]
        assert not [(a, b) for a in ours for b in mounts if b["mountPath"].startswith(f"{a}/")]
