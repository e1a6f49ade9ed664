"""What happens to a pod, rule by rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from admission_reviews import PREFIX, body, denial, injected, operations, plan, pod, respond
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_webhook.admission.cache import LARGEST_POD, MOST_ANSWERS, AnswerCache
from keeper_injector_webhook.admission.mutate import answer_review
from keeper_injector_webhook.settings import Agent, Image, Settings

ASKED = {"inject": "true", "secret": "database-credentials"}


def by_name(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the item called *name*."""
    return next(item for item in items if item["name"] == name)


def test_a_pod_that_does_not_ask_is_left_alone() -> None:
    """No annotation, no change."""
    assert respond(pod()) == {"uid": "u-1", "allowed": True}


def test_two_annotations_inject() -> None:
    """Init container first, then the sidecar, a memory volume that the application mounts read-only, a plan."""
    new = injected(pod(annotations=ASKED))
    init, sidecar = new["spec"]["initContainers"]
    assert (init["name"], sidecar["name"]) == ("keeper-injector-init", "keeper-injector-sidecar")
    assert (sidecar["restartPolicy"], "startupProbe" in sidecar) == ("Always", True)
    assert by_name(new["spec"]["volumes"], "keeper-secrets-0")["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
    assert new["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "keeper-secrets-0", "mountPath": "/keeper/secrets", "readOnly": True}
    ]
    assert plan(new)["directories"][0]["files"][0]["sources"] == ["database-credentials"]


def test_injected_pods_are_not_injected_again() -> None:
    """A second review, or a copy of a running pod, changes nothing."""
    assert "patch" not in respond(injected(pod(annotations=ASKED)))


def test_a_copied_marker_alone_does_not_stop_injection() -> None:
    """Annotations copied without the containers are no injection."""
    copied = pod(annotations={**ASKED, "injected": "true", "plan": "{}"})
    assert len(injected(copied)["spec"]["initContainers"]) == 2


def test_updates_are_left_alone() -> None:
    """Most of a pod cannot be changed any more."""
    assert "patch" not in respond(pod(annotations=ASKED), operation="UPDATE")


def test_every_container_receives_its_own_and_no_other() -> None:
    """Containers that receive the same share a volume; others have volumes of their own."""
    config = """
secrets:
  - {record: shared, path: /app/shared.json}
  - {record: private, path: /app/private.json, containers: [one]}
"""
    containers = [{"name": name} for name in ("one", "two", "three")]
    new = injected(pod(annotations={"inject": "true", "config": config}, containers=containers))
    mounts = {item["name"]: item["volumeMounts"][0]["name"] for item in new["spec"]["containers"]}
    assert mounts["two"] == mounts["three"] != mounts["one"]
    names = {
        entry["path"].rsplit("/")[-1]: [file["name"] for file in entry["files"]] for entry in plan(new)["directories"]
    }
    assert names[mounts["one"]] == ["shared.json", "private.json"]
    assert names[mounts["two"]] == ["shared.json"]


def test_directories_inside_one_another_are_one_volume() -> None:
    """Volumes cannot nest when they are read-only."""
    new = injected(pod(annotations={"inject": "true", "secret-a": "/app/a", "secret-b": "/app/sub/b"}))
    (entry,) = plan(new)["directories"]
    assert [file["name"] for file in entry["files"]] == ["a", "sub/b"]


def test_own_init_containers_receive_secrets_and_run_later() -> None:
    """A migration finds its secrets."""
    new = injected(pod(annotations=ASKED, initContainers=[{"name": "migrate"}]))
    names = [item["name"] for item in new["spec"]["initContainers"]]
    assert names == ["keeper-injector-init", "keeper-injector-sidecar", "migrate"]
    assert new["spec"]["initContainers"][2]["volumeMounts"][0]["mountPath"] == "/keeper/secrets"


def test_the_network_comes_first() -> None:
    """A service mesh's init container runs before the agent, which needs the network."""
    new = injected(pod(annotations=ASKED, initContainers=[{"name": "istio-init"}, {"name": "migrate"}]))
    names = [item["name"] for item in new["spec"]["initContainers"]]
    assert names == ["istio-init", "keeper-injector-init", "keeper-injector-sidecar", "migrate"]


def test_init_first_false_puts_the_agent_last() -> None:
    """The pod's own init containers may prepare something that the agent waits for."""
    new = injected(pod(annotations={**ASKED, "init-first": "false"}, initContainers=[{"name": "migrate"}]))
    assert new["spec"]["initContainers"][0]["name"] == "migrate"


def test_init_only_has_no_sidecar() -> None:
    """The secrets of the start stay."""
    new = injected(pod(annotations={**ASKED, "init-only": "true"}))
    assert [item["name"] for item in new["spec"]["initContainers"]] == ["keeper-injector-init"]


@pytest.mark.parametrize("wanted", ["auto", "native"])
def test_auto_is_native(wanted: str) -> None:
    """``auto`` and ``native`` both add the sidecar to the init containers, because every supported cluster has KEP-753."""
    new = injected(pod(annotations={**ASKED, "sidecar": wanted}))
    assert new["spec"]["initContainers"][1]["restartPolicy"] == "Always"
    assert [item["name"] for item in new["spec"]["containers"]] == ["app"]


def test_a_classic_sidecar_is_an_ordinary_container() -> None:
    """``sidecar: classic`` adds the sidecar to the containers, without a restart policy of its own."""
    new = injected(pod(annotations={**ASKED, "sidecar": "classic"}))
    assert [item["name"] for item in new["spec"]["containers"]] == ["app", "keeper-injector-sidecar"]
    assert "restartPolicy" not in new["spec"]["containers"][1]


@pytest.mark.parametrize(
    ("spec", "container", "uid", "mode"),
    [
        ({}, {}, 65532, "0444"),
        ({"securityContext": {"runAsUser": 1000}}, {}, 1000, "0400"),
        ({}, {"securityContext": {"runAsUser": 1000}}, 1000, "0400"),
        ({"securityContext": {"runAsUser": 1}}, {"securityContext": {"runAsUser": 2}}, 2, "0400"),
        ({"securityContext": {"fsGroup": 2000}}, {}, 65532, "0440"),
        ({"securityContext": {"runAsUser": 0}}, {}, 65532, "0444"),
        ({"securityContext": {"runAsUser": 0, "fsGroup": 5}}, {}, 65532, "0440"),
    ],
)
def test_owner_and_mode_are_derived(spec: dict[str, Any], container: dict[str, Any], uid: int, mode: str) -> None:
    """The application can read its files, whoever it runs as, and the agent never runs as root."""
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", **container}], **spec))
    context = new["spec"]["initContainers"][0]["securityContext"]
    assert context["runAsUser"] == uid
    assert plan(new)["directories"][0]["files"][0]["mode"] == mode
    assert context["runAsNonRoot"] is True
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_configuration_is_a_file_of_the_agent_alone() -> None:
    """Only the agent's containers mount the Secret; it is in nobody's environment."""
    new = injected(pod(annotations={**ASKED, "ksm-config": "mine"}))
    assert by_name(new["spec"]["volumes"], "keeper-credentials")["secret"]["secretName"] == "mine"
    assert "keeper-credentials" not in str(new["spec"]["containers"])
    assert all("env" not in item for item in new["spec"]["initContainers"])


def test_a_cloud_needs_no_secret() -> None:
    """The image with the cloud's library is used, and no Secret is mounted."""
    annotations = {**ASKED, "auth-method": "aws-secrets-manager", "aws-secret-id": "keeper"}
    new = injected(pod(annotations=annotations), Settings(agent=Agent(image=Image(repository="agent", tag="1"))))
    assert new["spec"]["initContainers"][0]["image"] == "agent:1-cloud"
    assert "keeper-credentials" not in str(new["spec"]["volumes"])
    assert plan(new)["credentials"] == {"method": "aws-secrets-manager", "secret": "keeper"}


def test_namespace_defaults_go_before_the_charts() -> None:
    """Pod over namespace over chart."""
    chosen = Settings(defaults=Defaults({"refresh-interval": "1h"}, {"shop": {"refresh-interval": "2h"}}))
    assert plan(injected(pod(annotations=ASKED), chosen))["refreshInterval"] == 7200
    own = {**ASKED, "refresh-interval": "30s"}
    assert plan(injected(pod(annotations=own), chosen))["refreshInterval"] == 30


def test_a_signal_shares_the_process_namespace() -> None:
    """Else the sidecar could not see the application."""
    assert injected(pod(annotations={**ASKED, "signal": "HUP"}))["spec"]["shareProcessNamespace"] is True


VARIABLE = {"inject": "true", "env-PASSWORD": "db[password]"}


def test_variables_by_exec() -> None:
    """keeper-exec goes before the command; arguments, environment and other containers stay; no value is anywhere."""
    app = {"name": "app", "command": ["/app", "serve"], "args": ["--fast"], "env": [{"name": "MODE", "value": "x"}]}
    config = "secrets: [{record: api, injectAsEnvVars: true, envPrefix: API_, containers: [app]}]"
    new = injected(
        pod(annotations={**VARIABLE, "config": config, "containers": "app"}, containers=[app, {"name": "other"}])
    )
    changed, other = new["spec"]["containers"]
    assert changed["command"] == [
        *(
            "/keeper/env/keeper-exec",
            "--file",
            "/keeper/env/variables",
            "--override",
            "PASSWORD",
            "--",
            "/app",
            "serve",
        ),
    ]
    assert (changed["args"], changed["env"]) == (app["args"], app["env"])
    assert changed["volumeMounts"] == [{"name": "keeper-env-0", "mountPath": "/keeper/env", "readOnly": True}]
    assert other == {"name": "other"}
    (environment,) = plan(new)["environments"]
    assert environment["variables"] == [{"name": "PASSWORD", "source": "db[password]"}]
    assert environment["records"] == [{"source": "api", "prefix": "API_"}]


def test_a_variable_of_the_pods_own_wins() -> None:
    """What the pod sets is not overridden."""
    app = {"name": "app", "command": ["/app"], "env": [{"name": "PASSWORD", "value": "mine"}]}
    new = injected(pod(annotations=VARIABLE, containers=[app]))
    assert "--override" not in new["spec"]["containers"][0]["command"]


def test_variables_by_file_reference() -> None:
    """Where nodes know EnvFiles, the kubelet reads known names, and the command stays the image's."""
    config = "secrets: [{record: api, injectAsEnvVars: true, fields: [api key]}]"
    new = injected(pod(annotations={**VARIABLE, "config": config}), Settings(env_files=True))
    app = new["spec"]["containers"][0]
    reference = {"volumeName": "keeper-env-0", "path": "variables", "key": "API_KEY"}
    assert app["env"][0] == {"name": "API_KEY", "valueFrom": {"fileKeyRef": reference}}
    assert [item["name"] for item in app["env"]] == ["API_KEY", "PASSWORD"]
    assert "command" not in app
    assert "volumeMounts" not in app
    assert plan(new)["environments"][0]["style"] == "file-ref"


@pytest.mark.parametrize(
    ("annotations", "cluster", "reason"),
    [
        (VARIABLE, Settings(), "container 'app' leaves its command to the image; add two lines to it: command:"),
        ({**VARIABLE, "env-mode": "file-ref"}, Settings(), "do not know fileKeyRef; write env-mode: exec"),
        (
            {"inject": "true", "secret": "db", "inject-env-vars": "true", "env-mode": "file-ref"},
            Settings(env_files=True),
            "db: the names of its variables are not known yet; list fields",
        ),
        (
            {"inject": "true", "env-LD_PRELOAD": "db[x]"},
            Settings(env_files=True),
            "LD_PRELOAD controls the dynamic loader",
        ),
    ],
    ids=["no command", "old nodes", "unknown names", "the loader's"],
)
def test_variables_that_cannot_be(annotations: dict[str, str], cluster: Settings, reason: str) -> None:
    """Neither delivery works: the lines to add are named."""
    assert reason in denial(pod(annotations=annotations), cluster)


def test_templates_are_parsed_at_admission() -> None:
    """A template that cannot work is refused before the pod exists."""
    asked = {"inject": "true", "secret-x": "db:/app/x", "template-x": "{{ .login "}
    assert "keeper.security/template-x: template, parsing line 1" in denial(pod(annotations=asked))


@pytest.mark.parametrize(
    ("annotations", "spec", "reason"),
    [
        ({"secret-a": "/app/x", "secret-b": "/app/x"}, {}, "is the path of keeper.security/secret-a too"),
        ({"secret-a": "/app/x", "secret-b": "/app/x/y"}, {}, "is a directory of another secret"),
        ({"secret-a": "/data/x"}, {}, "/data clashes with the mount of volume 'disk' at /data in container 'app'"),
        ({"secret-a": "/data/sub/x"}, {}, "/data/sub clashes"),
        ({"secret": "a", "containers": "web"}, {}, "the pod has no container 'web'; it has app"),
        ({"secret": "a"}, {"os": {"name": "windows"}}, "the pod is for Windows"),
        ({"secret": "a", "k8s-secret-namespace": "other"}, {}, "'other' is not the pod's namespace"),
        ({"secret": "a"}, {"volumes": [{"name": "keeper-state"}]}, "the pod already has a volume named 'keeper-state'"),
        ({"secret": "a", "refresh-interval": "5x", "file-mode": "9"}, {}, "(2) keeper.security/refresh-interval: '5x'"),
    ],
)
def test_what_cannot_work_is_denied(annotations: dict[str, str], spec: dict[str, Any], reason: str) -> None:
    """Early, with the reason and the way out."""
    containers = [{"name": "app", "volumeMounts": [{"name": "disk", "mountPath": "/data/"}]}]
    assert reason in denial(pod(annotations={"inject": "true", **annotations}, containers=containers, **spec))


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)
UNKNOWN = st.dictionaries(NAMES.map(lambda name: f"x{name}"), JSON, max_size=2)
CONTAINERS = st.lists(NAMES, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(UNKNOWN.map(lambda more, name=name: {**more, "name": name}) for name in names)).map(list)
)
VALUES = st.sampled_from(
    ["true", "db", "db[pw]:/app/pw", "/app/db.json", "5m", "false", "x,y", "secrets: [{record: a}]"]
)
ANNOTATIONS = st.dictionaries(
    st.sampled_from(
        ["secret", "secrets", "secret-a", "secret-b", "config", "refresh-interval", "init-only", "containers"]
    ),
    VALUES,
)


@settings(max_examples=200)
@given(CONTAINERS, CONTAINERS | st.none(), UNKNOWN, ANNOTATIONS)
def test_any_pod_is_denied_or_only_added_to(
    containers: list[dict[str, Any]],
    inits: list[dict[str, Any]] | None,
    unknown: dict[str, Any],
    annotations: dict[str, str],
) -> None:
    """Never an exception; what the patch adds taken away again gives the original, unknown fields included."""
    more = {} if inits is None else {"initContainers": inits}
    original = pod(annotations={"inject": "true", **annotations}, containers=containers, **unknown, **more)
    response = respond(copy.deepcopy(original))
    if not response["allowed"]:
        assert response["status"]["message"].startswith("keeper-injector: (1) ")
        return
    assert all(operation["op"] == "add" for operation in operations(response))
    assert strip(injected(original), original) == original


def strip(new: dict[str, Any], original: dict[str, Any]) -> dict[str, Any]:
    """Take away what an injection adds, knowing names only."""
    result = copy.deepcopy(new)
    for key in ("injected", "plan"):
        del result["metadata"]["annotations"][PREFIX + key]
    spec = result["spec"]
    for kind in ("containers", "initContainers", "volumes"):
        kept = [item for item in spec.get(kind, []) if not item["name"].startswith("keeper-")]
        if kind in original["spec"]:
            spec[kind] = kept
        else:
            spec.pop(kind, None)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        mounts = [mount for mount in container.get("volumeMounts", []) if not mount["name"].startswith("keeper-")]
        if mounts:
            container["volumeMounts"] = mounts
        else:
            container.pop("volumeMounts", None)
    return result


def test_a_kubernetes_secret_needs_a_way_to_the_api_server() -> None:
    """The agent's containers get a token of an hour and who the pod is; other pods' get neither."""
    asked = {"inject": "true", "secret": "db"}
    wanted = {**asked, "inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"}
    spec = injected(pod(annotations=wanted))["spec"]
    (volume,) = [item for item in spec["volumes"] if item["name"] == "keeper-api"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    mounting = [
        item["name"]
        for item in (*spec["initContainers"], *spec["containers"])
        if "keeper-api" in [mount["name"] for mount in item["volumeMounts"]]
    ]
    assert mounting == ["keeper-injector-init", "keeper-injector-sidecar"]
    assert plan(injected(pod(annotations=wanted)))["kubernetesSecrets"][0]["name"] == "app-db"
    assert "keeper-api" not in str(injected(pod(annotations=asked)))


def test_pods_that_are_alike_get_one_answer() -> None:
    """The pods of a workload differ in the name of their token's volume; whatever else differs is worked out anew."""
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


def test_only_so_many_answers_are_kept() -> None:
    """The oldest goes first, and a pod of enormous size is not kept at all."""
    cache, cluster = AnswerCache(), Settings()
    for number in range(MOST_ANSWERS + 3):
        answer_review(body(pod(annotations={**ASKED, "log-level": "debug"}, hostname=f"h{number}")), cluster, cache)
    assert len(cache) == MOST_ANSWERS
    answer_review(body(pod(annotations=ASKED, hostname="h" * LARGEST_POD)), cluster, cache)
    assert len(cache) == MOST_ANSWERS
