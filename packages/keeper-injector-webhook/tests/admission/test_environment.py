"""Environment variables: delivered by keeper-exec or by the kubelet, never with a value in the pod."""

from __future__ import annotations

import pytest
from admission_reviews import denial, injected, plan, pod, respond

from keeper_injector_webhook.settings import Settings

VARIABLE = {"inject": "true", "env-PASSWORD": "db[password]"}


def test_variables_by_exec() -> None:
    """keeper-exec precedes the command. Arguments, other variables and other containers stay, and no value is in the pod."""
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


def test_a_variable_of_the_pod_takes_precedence() -> None:
    """A variable that the pod sets itself is not overridden."""
    app = {"name": "app", "command": ["/app"], "env": [{"name": "PASSWORD", "value": "mine"}]}
    new = injected(pod(annotations=VARIABLE, containers=[app]))
    assert "--override" not in new["spec"]["containers"][0]["command"]


def test_variables_by_file_reference() -> None:
    """On nodes with EnvFiles the kubelet reads variables with known names, and the image's command stays."""
    config = "secrets: [{record: api, injectAsEnvVars: true, fields: [api key]}]"
    new = injected(pod(annotations={**VARIABLE, "config": config}), Settings(env_files=True))
    app = new["spec"]["containers"][0]
    reference = {"volumeName": "keeper-env-0", "path": "variables", "key": "API_KEY"}
    assert app["env"][0] == {"name": "API_KEY", "valueFrom": {"fileKeyRef": reference}}
    assert [item["name"] for item in app["env"]] == ["API_KEY", "PASSWORD"]
    assert "command" not in app
    assert "volumeMounts" not in app
    assert plan(new)["environments"][0]["style"] == "file-ref"


def test_variables_by_file_reference_expand() -> None:
    """Variables that the kubelet reads are before the container's own, because `$(NAME)` expands only what is before it."""
    own = [{"name": "URL", "value": "postgres://app:$(PASSWORD)@db"}, {"name": "MODE", "value": "x"}]
    asked = {**VARIABLE, "env-USER": "db[login]"}
    new = injected(pod(annotations=asked, containers=[{"name": "app", "env": own}]), Settings(env_files=True))
    assert [item["name"] for item in new["spec"]["containers"][0]["env"]] == ["PASSWORD", "USER", "URL", "MODE"]


@pytest.mark.parametrize(
    ("annotations", "cluster", "reason"),
    [
        (VARIABLE, Settings(), "container 'app' leaves its command to the image; add two lines to it: command:"),
        (
            VARIABLE,
            Settings(),
            "and args: [its CMD]; or set the chart value envFiles: always if all nodes run Kubernetes 1.35 or newer",
        ),
        (
            VARIABLE,
            Settings(env_files_possible=False),
            "or use a file (keeper.security/record-<handle>), because the API server is older than Kubernetes 1.35",
        ),
        (
            {"inject": "true", "secret": "db", "inject-env-vars": "true"},
            Settings(env_files=True),
            "or list the fields of the record, so that the kubelet can set the variables",
        ),
        ({**VARIABLE, "env-mode": "exec"}, Settings(env_files=True), "or remove env-mode: exec"),
        (
            {**VARIABLE, "env-mode": "file-ref"},
            Settings(),
            "does not know whether all nodes support fileKeyRef (Kubernetes 1.35); set the chart value envFiles: always, or write",
        ),
        (
            {**VARIABLE, "env-mode": "file-ref"},
            Settings(env_files_possible=False),
            "the API server is older than Kubernetes 1.35, so it would drop fileKeyRef; write env-mode: exec",
        ),
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
    ids=[
        "no command",
        "ways out",
        "ways out of an old cluster",
        "ways out for a record",
        "ways out of exec",
        "old nodes",
        "an old API server",
        "unknown names",
        "the loader's",
    ],
)
def test_variables_that_cannot_be_delivered_are_rejected(
    annotations: dict[str, str], cluster: Settings, reason: str
) -> None:
    """A container for which neither delivery works is rejected, with what to do."""
    assert reason in denial(pod(annotations=annotations), cluster)


def test_the_containers_that_work_are_named() -> None:
    """The message has the annotation as it must be written: with the containers that set their command, and only with these."""
    named = [{"name": "app", "command": ["/app"]}, {"name": "proxy"}, {"name": "job", "command": ["/job"]}]
    message = denial(pod(annotations=VARIABLE, containers=named))
    assert "container 'proxy' leaves its command to the image" in message
    assert "or write keeper.security/containers: app, job, or set the chart value envFiles" in message
    corrected = {**VARIABLE, "containers": "app, job"}
    assert respond(pod(annotations=corrected, containers=named))["allowed"]
    assert "keeper.security/containers" not in denial(pod(annotations=VARIABLE, containers=named[1:2]))


def test_a_file_of_the_kubelet_has_each_variable_once() -> None:
    """``env-<NAME>`` replaces the variable of a listed field, so that the plan never has two entries of one name."""
    config = "secrets: [{record: api, injectAsEnvVars: true, fields: [login, password]}]"
    asked = {"inject": "true", "config": config, "env-PASSWORD": "db[password]"}
    (environment,) = plan(injected(pod(annotations=asked), Settings(env_files=True)))["environments"]
    assert environment["variables"] == [
        {"name": "LOGIN", "source": "api[login]"},
        {"name": "PASSWORD", "source": "db[password]"},
    ]
