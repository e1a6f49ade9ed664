"""A secret is visible only to the containers that need it: not in objects and logs, not in other containers."""

from __future__ import annotations

import base64
import json
import os

from keeper import Keeper
from pods import Namespace, Pod, container, image, run, wait_for
from releases import Release

AS_1000 = {"security": {"runAsUser": 1000}}


def test_our_containers_have_nothing_to_run(space: Namespace, keeper: Keeper, webhook: Release) -> None:
    """`kubectl exec` into the sidecar or the webhook starts no shell and no other program, because the images have none."""
    app = space.pod("web", {"secret": "api-keys"}, containers=[container(**AS_1000)]).ready()
    server = Pod(webhook.system, webhook.webhooks()[0]["metadata"]["name"])
    started = [
        (pod.name, program)
        for pod, name in ((app, "keeper-injector-sidecar"), (server, "webhook"))
        for program in ("sh", "/bin/sh", "bash", "busybox", "perl", "apt-get", "dpkg", "pip", "cat", "env")
        if "no such file or directory" not in (said := pod.run(program, container=name, check=False))
        and "executable file not found" not in said
    ]
    assert started == []
    # The same command starts what the image has, so the errors are not those of another problem.
    assert "keeper-injector-agent" in app.run("keeper-injector-agent", "--version", container="keeper-injector-sidecar")


def test_no_value_is_anywhere_in_the_cluster(space: Namespace, keeper: Keeper, webhook: Release) -> None:
    """No object in the API server, no event and no log contains a secret that is delivered by file, variable or template."""
    sentinel = f"sentinel-{os.urandom(12).hex()}"
    keeper.set("api-keys", "login", sentinel)
    secrets = {
        "secret": "api-keys",
        "env-LOGIN": "api-keys[login]",
        "secret-t": "api-keys:/app/t",
        "template-t": "{{ .login }}",
        "log-level": "debug",
    }
    app = space.pod("web", secrets, containers=[container(**AS_1000)]).ready()
    assert sentinel in app.read("/keeper/secrets/api-keys.json")
    assert app.read("/app/t") == sentinel
    assert sentinel in app.run("python3", "-c", "print(open('/proc/1/environ').read())")
    control = f"control-{os.urandom(12).hex()}"
    hidden = base64.b64encode(json.dumps({"login": control}).encode()).decode()
    kind = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "control"}}
    space.apply({**kind, "data": {"content": hidden}})
    kinds = run("kubectl", "api-resources", "--verbs=list", "--output=name").stdout.split()
    stored = run("kubectl", "get", ",".join(kinds), "--all-namespaces", "--output=json").stdout
    assert len(json.loads(stored)["items"]) > 50
    logs = "".join(app.log(name) for name in ("keeper-injector-init", "keeper-injector-sidecar", "app"))
    listing = ("logs", "--selector=app.kubernetes.io/component=webhook", "--tail=-1")
    logs += webhook.system.kubectl(*listing)
    assert "secrets.refreshed" in logs
    assert is_in(control, stored), "a search that finds what is there"
    assert not is_in(sentinel, stored)
    assert not is_in(sentinel, logs)


def is_in(value: str, text: str) -> bool:
    """Return whether a text contains a value, directly or inside base64."""
    shifted = (base64.b64encode(b"x" * offset + value.encode()).decode() for offset in range(3))
    # The first and the last characters of base64 depend on the neighbouring bytes.
    return value in text or any(encoded[4:-4] in text for encoded in shifted)


def test_an_image_without_a_shell(space: Namespace) -> None:
    """An image with one static program gets a file and a variable; the command of its container is kept."""
    app = {
        "name": "app",
        "image": image("distroless"),
        "imagePullPolicy": "Never",
        "command": ["/program", "DB_PASSWORD", "/app/login"],
        "securityContext": container(**AS_1000)["securityContext"],
    }
    secrets = {
        "env-DB_PASSWORD": "database-credentials[password]",
        "secret-x": "database-credentials[login]:/app/login",
    }
    secrets["containers"] = "app"
    made = space.pod("web", secrets, containers=[app, container("other", **AS_1000)]).ready()
    assert wait_for(made.log, "what the program says").strip() == "correct-horse-battery|app|1000"
    assert made.run("ls", "/app/login", container="other", check=False).startswith("ls: cannot access")


def test_root_reads_its_files(space: Namespace) -> None:
    """In a pod that runs as root, the agent does not, and root without capabilities can read the agent's files."""
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    root = container(security={"runAsUser": 0, "runAsNonRoot": False})
    secrets = {"secret": "api-keys", "containers": "app"}
    both = [root, {**root, "name": "other"}]
    app = space.pod("web", secrets, containers=both, securityContext={"runAsUser": 0}).ready()
    assert app.run("id", "--user").strip() == "0"
    assert app.run("ls", "/keeper", container="other", check=False).startswith("ls: cannot access")
    assert json.loads(app.read("/keeper/secrets/api-keys.json"))["password"] == "sk-test-4711"
    assert app.run("stat", "--format=%u", "--dereference", "/keeper/secrets/api-keys.json").strip() == "65532"


def test_containers_have_what_is_theirs(space: Namespace) -> None:
    """Of two containers with one secret each, neither sees the other's secret or the KSM configuration."""
    config = """
secrets:
  - {record: "database-credentials", path: /app/secret.json, containers: [one]}
  - {record: "two-factor", path: /app/secret.json, containers: [two]}
"""
    containers = [container("one", **AS_1000), container("two", **AS_1000)]
    app = space.pod("web", {"config": config}, containers=containers).ready()
    assert json.loads(app.read("/app/secret.json", "one"))["login"] == "app"
    assert "correct-horse" not in app.read("/app/secret.json", "two")
    for name in ("one", "two"):
        mounted = app.run("cat", "/proc/mounts", container=name)
        assert "/keeper/credentials" not in mounted
        assert "/keeper/state" not in mounted
    assert_no_agent_mount_of_others(app)


LOOK = """
try:
    print(os.listdir(process / "root/keeper/credentials"))
except PermissionError:
    print("refused")
"""


def test_a_shared_process_namespace_gives_no_access(space: Namespace) -> None:
    """An application that gets signals shares the process namespace and the user with the agent, but cannot read the agent's files."""
    secrets = {"secret": "api-keys", "signal": "SIGHUP"}
    app = space.pod("web", secrets, containers=[container(**AS_1000)]).ready()
    assert app.of_supervisor(LOOK).split() == ["refused"]


THIEF = """
import time
found, until = set(), time.monotonic() + 40
os.kill(int(process.name), signal.SIGTERM)
while time.monotonic() < until:
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().split(b"\\0")
            if line[1:3] == [b"-I", b"-S"] or any(part.endswith(b"/keeper-injector-agent") for part in line[:2]):
                attempts = {
                    "root": os.listdir,
                    "environ": pathlib.Path.read_bytes,
                    "mem": lambda path: os.open(path, os.O_RDONLY),
                }
                for what, look in attempts.items():
                    try:
                        look(entry / what)
                        found.add(what)
                    except OSError:
                        continue
        except OSError:
            continue
print("found", sorted(found))
"""


def test_refreshes_and_a_restart_show_nothing(space: Namespace) -> None:
    """An application that polls the agent's processes during refreshes and a restart of their container sees nothing."""
    secrets = {"secret": "api-keys", "signal": "SIGHUP", "refresh-interval": "10s"}
    app = space.pod(
        "web", secrets, containers=[container(script="trap : HUP; while :; do sleep 1; done", **AS_1000)]
    ).ready()
    assert app.of_supervisor(THIEF).split("\n")[0] == "found []"
    assert app.status("keeper-injector-sidecar")["restartCount"] == 1


def test_a_changed_plan_is_refused(space: Namespace) -> None:
    """A person who patches the plan annotation of a running pod gets no other record; the sidecar logs that."""
    secrets = {"secret-x": "database-credentials[login]:/app/login", "refresh-interval": "10s"}
    app = space.pod("web", secrets, containers=[container(**AS_1000)]).ready()
    before = app.read("/app/login")
    key = "keeper.security/plan"
    plan = app.object["metadata"]["annotations"][key]
    changed = plan.replace("[login]", "[password]")
    assert changed != plan
    patch = json.dumps({"metadata": {"annotations": {key: changed}}})
    space.kubectl("patch", "pod/web", "--type=merge", f"--patch={patch}")
    wait_for(lambda: "plan.changed" in app.log("keeper-injector-sidecar"), "the refusal in the log")
    assert app.read("/app/login") == before


def assert_no_agent_mount_of_others(app: Pod) -> None:
    """Only the agent's containers mount the volume with the configuration."""
    spec = app.object["spec"]
    holders = {
        item["name"]
        for item in [*spec["containers"], *spec["initContainers"]]
        for mount in item["volumeMounts"]
        if mount["name"] in {"keeper-credentials", "keeper-state"}
    }
    assert holders == {"keeper-injector-init", "keeper-injector-sidecar"}


def test_a_namespace_without_a_configuration(space: Namespace) -> None:
    """The Secret belongs to the namespace: without it a pod waits, and the kubelet reports the reason."""
    space.kubectl("delete", "secret/keeper-credentials")
    space.pod("web", {"secret": "api-keys"}, containers=[container(**AS_1000)])
    missing = 'secret "keeper-credentials" not found'
    wait_for(lambda: missing in space.kubectl("describe", "pod/web"), "what is missing")
