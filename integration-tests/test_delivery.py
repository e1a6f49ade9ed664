"""All ways of delivery in real pods: paths, formats, templates, variables and signals."""

from __future__ import annotations

import json

from keeper import Keeper
from pods import FIGURES, Namespace, container, wait_for

AS_1000 = {"security": {"runAsUser": 1000}}
MEMORY = "print((process / 'status').read_text())"
CONFIG = """\
secrets:
  - record: database-credentials
    path: /app/config/db.env
    fields: [login, password]
  - record: database-credentials
    path: /app/config/dsn
    template: "postgres://{{ .login }}:{{ .password | urlquery }}@{{ .host.hostName }}/app"
    mode: "0440"
  - record: TLS Certs
    file: server.pem
    path: /app/tls/server.pem
folders:
  - path: Production/Databases
    outputPath: /app/databases
"""


def test_paths_formats_templates_files_and_folders(space: Namespace) -> None:
    """Each secret is written to the requested path, with one request for all."""
    app = space.pod("web", {"config": CONFIG}, containers=[container(**AS_1000)]).ready()
    assert app.read("/app/config/db.env").splitlines() == ["LOGIN=app", "PASSWORD=correct-horse-battery"]
    assert app.read("/app/config/dsn") == "postgres://app:correct-horse-battery@db.example.com/app"
    assert app.read("/app/tls/server.pem") == "made-up certificate\n"
    assert app.run("ls", "/app/databases").split() == ["mysql.json", "redis.json"]
    assert app.run("touch", "/app/config/x", check=False).count("Read-only file system") == 1


def test_variables_without_values_in_the_pod(space: Namespace) -> None:
    """The command is kept, and the process has the variables, but the pod object does not contain them."""
    script = 'echo "$DB_PASSWORD $OWN $HOME"; exec sleep 3600'
    app = container(script=script, env=[{"name": "OWN", "value": "mine"}], **AS_1000)
    secrets = {"env-DB_PASSWORD": "database-credentials[password]", "env-OWN": "database-credentials[login]"}
    made = space.pod("web", secrets, containers=[app]).ready()
    first = wait_for(made.log, "a line of the application")
    assert first.split()[:2] == ["correct-horse-battery", "mine"]
    assert "correct-horse-battery" not in json.dumps(made.object)


def test_a_signal_after_a_rotation(space: Namespace, keeper: Keeper) -> None:
    """The application's handler reads the new value."""
    path = "/keeper/secrets/two-factor.json"
    script = f"trap 'cat {path}' HUP; while :; do sleep 0.2; done"
    secrets = {"secret": "two-factor", "signal": "SIGHUP", "refresh-interval": "10s"}
    app = space.pod("web", secrets, containers=[container(script=script, **AS_1000)]).ready()
    assert app.log() == ""
    keeper.set("two-factor", "login", "told")
    wait_for(lambda: '"login":"told"' in app.log().replace(" ", ""), "the signal")


def test_what_the_containers_cost(space: Namespace) -> None:
    """The sidecar's memory in a real pod, as counted by the kernel, is within its budget."""
    app = space.pod(
        "web", {"secret": "api-keys"}, containers=[container(**AS_1000)], shareProcessNamespace=True
    ).ready()
    lines = app.of_supervisor(MEMORY).splitlines()
    (resident,) = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    FIGURES.append(f"sidecar in a pod: {resident / 1024:.1f} MiB resident")
    assert resident < 16 * 1024
