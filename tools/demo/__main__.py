"""``python -m demo``: show and verify every step; the exit code is 0 only if all steps succeed."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import signal
import stat
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jsonpatch

from demo.console import Console, StepFailedError, check
from demo.pods import PodRunner
from demo.webhook import Webhook, operations, pod_of
from local_keeper import LocalKeeper

Json = dict[str, Any]
HERE = Path(__file__).parent
RECORD = "database-credentials"
CONTAINER = "shop"
NEW_PASSWORD = "rotated-in-the-demo"  # noqa: S105 - made up
OLD_PASSWORD = "correct-horse-battery"  # noqa: S105 - made up, of the sample vault
ROTATION_TIMEOUT = 25.0
STEPS = 8


def main() -> int:
    """Run the demo."""
    description = "One secret, from Keeper to a file in a pod, with no cluster."
    parser = argparse.ArgumentParser(prog="./tools/run demo --", description=description)
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C, with things to try")
    options = parser.parse_args()
    console = Console(STEPS)
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            run(console, stack, keep=options.keep)
    except StepFailedError:
        return 1
    except KeyboardInterrupt:
        console.say("stopped")
        return 130
    print(console.paint(f"All {STEPS} steps verified in {time.monotonic() - started:.1f} s.", "green"))
    return 0


def run(console: Console, stack: ExitStack, *, keep: bool) -> None:
    """Deliver a secret to a file, rotate it, and clean up."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demo-")))
    with console.step("Local Keeper: a server that the unmodified Keeper SDK works against"):
        keeper = stack.enter_context(LocalKeeper.start())
        console.say(f"{keeper.url} with a record {RECORD!r}")
    with console.step("The webhook, over HTTPS"):
        webhook = stack.enter_context(Webhook(directory))
        check(webhook.get("/readyz").strip() == "ready", "the webhook is not ready")
        console.say(f"https://localhost:{webhook.port}/mutate")
    with console.step("A Deployment's pod is reviewed: two annotations ask for a secret"):
        pod = pod_of(HERE / "deployment.yaml")
        response = webhook.review(pod)
        check(response["allowed"], str(response.get("status")))
        patched = jsonpatch.apply_patch(copy.deepcopy(pod), operations(response))
        show_changes(console, patched)
        check(OLD_PASSWORD not in json.dumps(patched), "the secret is in the pod's spec")
        check(webhook.review(patched).get("patch") is None, "a second review would inject again")
    with console.step("The patched pod's own containers run: agent first, sidecar, application"):
        secrets = {
            "keeper-credentials": {"config": keeper.config().encode()},
            "local-keeper-ca": {"ca.crt": keeper.ca_file.read_bytes()},
        }
        runner = PodRunner(patched, secrets, {"demo/shop:1": HERE / "app"})
        stack.callback(stop_if_running, runner)
        runner.start()
        said = wait_for_line(runner, 1, 10.0)
        check(said["password"] == fingerprint(OLD_PASSWORD), "the application read another password")
        console.say(f"shop (PID {said['pid']}) uses the password with fingerprint {said['password']}")
    with console.step("Its files, in memory"):
        show_files(console, runner)
    with console.step("The password is rotated in Keeper; the application sees it without a restart"):
        asked = dict(keeper.requests)
        keeper.set_field(RECORD, "password", NEW_PASSWORD)
        rotated = time.monotonic()
        seen = wait_for_line(runner, 2, ROTATION_TIMEOUT)
        check(seen["password"] == fingerprint(NEW_PASSWORD), "the application read another password")
        check(seen["pid"] == said["pid"], "the application was restarted")
        after = time.monotonic() - rotated
        console.say(f"shop (PID {seen['pid']}, the same) uses {seen['password']}, {after:.1f} s later")
        console.say(
            f"requests to Keeper during that time: {keeper.requests['get_secret'] - asked['get_secret']}", "dim"
        )
    with console.step("The secret is nowhere but in the memory volume"):
        for name in ("keeper-injector-init", "keeper-injector-sidecar"):
            log = runner.log(name)
            check(NEW_PASSWORD not in log and OLD_PASSWORD not in log, f"the log of {name} has the secret")
        check(NEW_PASSWORD not in webhook.log.read_text(encoding="utf-8"), "the webhook's log has the secret")
        show_sidecar(console, runner)
    if keep:
        leave_running(console, keeper, runner)
    with console.step("The pod ends, and its secrets with it"):
        codes = runner.stop()
        check(codes["keeper-injector-sidecar"] == 0, f"the sidecar ended with {codes['keeper-injector-sidecar']}")
        check(not runner.memory.exists(), "the memory volumes are still there")
        console.say("processes ended, memory volumes gone")


def fingerprint(secret: str) -> str:
    """Return the fingerprint that the application prints for a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def stop_if_running(runner: PodRunner) -> None:
    """Stop the pod after a failure."""
    if runner.memory.exists():
        runner.stop()


def wait_for_line(runner: PodRunner, number: int, timeout: float) -> Json:
    """Return the line *number* of the application's output."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        lines = runner.log(CONTAINER).splitlines()
        if len(lines) >= number:
            line: Json = json.loads(lines[number - 1])
            return line
        time.sleep(0.05)
    sidecar = runner.log("keeper-injector-sidecar")
    raise StepFailedError(f"the application said nothing new for {timeout:.0f} s; the sidecar said:\n{sidecar}")


def show_changes(console: Console, pod: Json) -> None:
    """Show what the patch added, as a short diff."""
    spec = pod["spec"]
    plan = pod["metadata"]["annotations"]["keeper.security/plan"]
    lines = [f"metadata.annotations: + keeper.security/plan ({len(plan)} characters, no secret)"]
    for container in spec["initContainers"]:
        kind = "native sidecar" if container.get("restartPolicy") == "Always" else "init container"
        lines.append(f"spec.initContainers: + {container['name']} ({kind}): {' '.join(container['command'])}")
    for volume in spec["volumes"]:
        kind = next(key for key in volume if key != "name")
        medium = "memory" if volume[kind].get("medium") == "Memory" else kind
        lines.append(f"spec.volumes: + {volume['name']} ({medium})")
    for container in spec["containers"]:
        lines += [
            f"spec.containers[{container['name']}]: + mount {mount['name']} at {mount['mountPath']}, read-only"
            for mount in container.get("volumeMounts", [])
        ]
    console.say("\n".join(lines), "green")


def show_files(console: Console, runner: PodRunner) -> None:
    """List the application's files with mode and owner."""
    directory = runner.root(CONTAINER) / "keeper/secrets"
    found = sorted(path for path in directory.iterdir() if not path.name.startswith(".."))
    check([path.name for path in found] == [f"{RECORD}.json"], f"unexpected files: {found}")
    for path in found:
        status = path.stat()
        mode = stat.filemode(status.st_mode)
        console.say(f"{mode} uid {status.st_uid}  /keeper/secrets/{path.name}  {status.st_size} bytes")
        check(stat.S_IMODE(status.st_mode) & 0o222 == 0, f"{path.name} is writable")


def show_sidecar(console: Console, runner: PodRunner) -> None:
    """Show the memory of the idle sidecar, if the system reports it."""
    status = Path(f"/proc/{runner.process('keeper-injector-sidecar').popen.pid}/status")
    if status.exists():
        resident = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmRSS"))
        console.say(f"idle sidecar: {int(resident.split()[1]) / 1024:.1f} MiB resident")


def leave_running(console: Console, keeper: LocalKeeper, runner: PodRunner) -> None:
    """Keep everything running until Ctrl-C."""
    shop = runner.root(CONTAINER)
    console.say("Everything runs. In another terminal:")
    console.say(f"  cat {shop}/keeper/secrets/{RECORD}.json       what the application sees")
    console.say(f"  tail -f {runner.directory}/keeper-injector-sidecar.log   what the sidecar does")
    console.say(f"  export KSM_CONFIG={keeper.config()[:20]}…     Keeper's own tools work against {keeper.url}")
    console.say("Here: Enter changes the password, b and Enter breaks Keeper for 30 s, Ctrl-C ends.")
    number = 0
    try:
        for line in sys.stdin:
            number += 1
            if line.strip() == "b":
                keeper.outage(30.0)
                console.say("Keeper answers 503 for 30 s; the files stay as they are")
            else:
                keeper.set_field(RECORD, "password", f"{NEW_PASSWORD}-{number}")
                console.say(f"password number {number} set; the application sees it within 11 s")
    except KeyboardInterrupt:
        console.say("stopping")


if __name__ == "__main__":
    # Ctrl-C of the group reaches the children too; they end by it as by SIGTERM.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
