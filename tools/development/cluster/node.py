"""Start and stop a node. All its processes run in their own namespaces, so that ending one process ends all of them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cluster import pki, programs, versions
from cluster.errors import ClusterError, run
from cluster.places import SLOTS, Place, cache, checked, existing, names, problems_of, states
from cluster.processes import Process
from cluster.programs import Say
from cluster.versions import NODE, Version

READY_TIMEOUT = 180.0
"""Seconds; 10 are usual on two free cores."""
GONE_TIMEOUT = 20.0
"""Seconds; the kernel takes down namespaces some tenths of a second after their last process."""
NEEDED = ("containerd", "ctr", "runc", "iptables", "conntrack", "ip", "unshare", "nsenter")
CGROUPS = Path("/sys/fs/cgroup")
CNI = Path("/usr/lib/cni/bridge")
LOG_LINES = 15


def problems() -> list[str]:
    """Return the reasons why this machine cannot run a node; empty if it can."""
    if not sys.platform.startswith("linux"):
        return [f"{sys.platform}: a node needs Linux"]
    found = []
    if os.geteuid() != 0:
        found.append(f"user {os.geteuid()}: a node needs root")
    if not _hierarchies():
        found.append(f"{CGROUPS}: has no control groups of version 1; run kind with docker")
    missing = [name for name in NEEDED if shutil.which(name, path=_path()) is None]
    missing += [] if CNI.exists() else [str(CNI)]
    if missing:
        found.append(f"{', '.join(missing)}: not found; install them: ./tools/run cluster install")
    return found + problems_of(states())


def up(name: str, say: Say, *, owner: int | None = None, version: Version | None = None) -> Place:
    """Start a cluster, by default of the chosen version, and wait until its node accepts pods.

    With *owner*, the cluster is stopped when that process ends.
    """
    version = version or versions.chosen()
    found = problems()
    if found:
        raise ClusterError("; ".join(found))
    program, pause = programs.node(say, version), programs.pause()
    with ExitStack() as undo:
        place = _claim(checked(name))
        undo.callback(down, name)
        say(f"starting node {place.node}, Kubernetes {version.name}")
        pki.write(place)
        process = _start(place, program, pause)
        if owner is not None:
            _watch(place, process, owner)
        _plug(place, process)
        _wait_until_ready(place, process, program)
        undo.pop_all()
    return place


def down(name: str) -> bool:
    """Stop a cluster and remove all its files. Return False if it did not exist."""
    place = existing(name)
    if place is None:
        return False
    process = process_of(place)
    if process is not None:
        # It is the first process of its namespaces; when it ends, the kernel ends all others in them.
        process.kill()
    deadline = time.monotonic() + GONE_TIMEOUT
    while _is_left(place, process):
        if time.monotonic() > deadline:
            raise ClusterError(f"{name}: not stopped after {GONE_TIMEOUT:.0f} s: {', '.join(_remains(place))}")
        time.sleep(0.05)
    shutil.rmtree(place.state, ignore_errors=True)
    return True


def clusters() -> list[str]:
    """Return the names of the running clusters."""
    return [name for name in names() if (place := existing(name)) and is_running(place)]


def running(name: str) -> Place:
    """Return the place of a running cluster."""
    place = existing(name)
    if place is None or not is_running(place):
        raise ClusterError(f"{name}: no such cluster; running clusters: {', '.join(clusters()) or 'none'}")
    return place


def is_running(place: Place) -> bool:
    """Return whether the cluster's processes are running."""
    process = process_of(place)
    return process is not None and process.alive


def load(place: Place, archive: Path) -> None:
    """Import the images of an archive, as ``docker save`` writes it, into the node."""
    inside = _first_process(place)
    # Use a pipe, because the node does not see every folder of the host.
    command = (
        "nsenter",
        f"--target={inside}",
        "--mount",
        "--pid",
        "ctr",
        "--namespace=k8s.io",
        "images",
        "import",
        "-",
    )
    with archive.open("rb") as content:
        done = subprocess.run(command, stdin=content, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"{archive}: not imported: {done.stderr.strip() or done.stdout.strip()}")


def process_of(place: Place) -> Process | None:
    """Return the process that the cluster depends on, or None before it has started."""
    try:
        return Process.parse((place.state / "process").read_text())
    except FileNotFoundError:
        return None


def _claim(name: str) -> Place:
    """Reserve the name and the first free slot. Files of a cluster that is no longer running are removed."""
    with _lock():
        for other in names():
            place = existing(other)
            if place and not is_running(place) and not _is_being_started(place):
                down(other)
        if existing(name):
            raise ClusterError(f"{name}: already exists; remove it: ./tools/run cluster down {name}")
        taken = {place.slot for other in names() if (place := existing(other))}
        free = [slot for slot in SLOTS if slot not in taken and not _has_link(Place(name, slot))]
        if not free:
            raise ClusterError(
                f"{name}: {len(SLOTS)} clusters are already running; stop one: ./tools/run cluster down NAME"
            )
        place = Place(name, free[0])
        shutil.rmtree(place.state, ignore_errors=True)
        for folder in (place.state / "lib", place.log):
            folder.mkdir(parents=True)
        (place.state / "starter").write_text(str(Process.of(os.getpid())))
        (place.state / "slot").write_text(str(place.slot))
        return place


def _is_being_started(place: Place) -> bool:
    """Return whether the process that reserved the place is still running."""
    with suppress(FileNotFoundError):
        return Process.parse((place.state / "starter").read_text()).alive
    return False


def _start(place: Place, program: Path, pause: Path) -> Process:
    """Start the process that holds the namespaces; because of --kill-child, no process in them outlives it."""
    for hierarchy in _hierarchies():
        (hierarchy / place.cgroup).mkdir(exist_ok=True)
    environment = {
        "PATH": _path(),
        "NODE": place.node,
        "STATE": str(place.state),
        "PROGRAM": str(program),
        "PAUSE": str(pause),
        "ADDRESS": place.address,
        "GATEWAY": place.gateway,
        "CGROUP": place.cgroup,
    }
    namespaces = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child", "--mount-proc")
    with (place.log / "node.log").open("wb") as log:
        started = subprocess.Popen(
            ["unshare", *namespaces, "bash", str(NODE / "start.sh")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    process = Process.of(started.pid)
    if process is None:
        raise ClusterError(f"{place.name}: the node ended immediately{_last_words(place)}")
    (place.state / "process").write_text(str(process))
    return process


def _watch(place: Place, process: Process, owner: int) -> None:
    """Start a process that stops the cluster when *owner* has ended for any reason."""
    command = [sys.executable, "-m", "cluster.watch", place.name, str(process), str(owner)]
    subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )


def _plug(place: Place, process: Process) -> None:
    """Connect host and node by a veth pair; it is removed with the node's namespace."""
    run("ip", "link", "add", place.link, "type", "veth", "peer", "name", "eth0", "netns", str(_first_process(place)))
    run("ip", "addr", "add", f"{place.gateway}/24", "dev", place.link)
    run("ip", "link", "set", place.link, "up")


def _wait_until_ready(place: Place, process: Process, program: Path) -> None:
    """Wait for the node and for the objects that pods in every namespace need."""
    kubectl = (program, "kubectl", f"--kubeconfig={place.kubeconfig}")
    deadline = time.monotonic() + READY_TIMEOUT
    conditions = [
        ("wait", "--for=condition=Ready", f"node/{place.node}", "--timeout=1s"),
        ("get", "serviceaccount", "default"),
    ]
    while conditions:
        try:
            run(*kubectl, *conditions[0])
            conditions.pop(0)
        except ClusterError as error:
            if not process.alive:
                raise ClusterError(f"{place.name}: the node ended{_last_words(place)}") from None
            if time.monotonic() > deadline:
                raise ClusterError(f"{place.name}: not ready after {READY_TIMEOUT:.0f} s: {error}") from None
            time.sleep(0.2)


def _first_process(place: Place) -> int:
    """Return the PID of the first process in the node's namespaces."""
    process = process_of(place)
    deadline = time.monotonic() + 5
    while process is not None and process.alive and time.monotonic() < deadline:
        if process.child is not None:
            return process.child
        time.sleep(0.01)
    raise ClusterError(f"{place.name}: the node ended{_last_words(place)}")


def _is_left(place: Place, process: Process | None) -> bool:
    """Remove what can be removed and return whether something of the cluster is left."""
    if process is not None and process.alive:
        return True
    _reap(process)
    for group in _groups(place):
        # Start with the innermost: a group that contains processes or groups cannot be removed.
        for folder, _, _ in os.walk(group, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
    if _has_link(place):
        subprocess.run(["ip", "link", "delete", place.link], capture_output=True, check=False)
    return bool(_remains(place))


def _reap(process: Process | None) -> None:
    """Reap a process that may be our child."""
    if process is not None:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)


def _remains(place: Place) -> list[str]:
    return [*map(str, _groups(place)), *([place.link] if _has_link(place) else [])]


def _groups(place: Place) -> list[Path]:
    # All hierarchies, because runc creates groups in that of version 2 too.
    return sorted(CGROUPS.glob(f"*/{place.cgroup}"))


def _hierarchies() -> list[Path]:
    """Return the hierarchies of control groups of version 1; `unified` is of version 2."""
    return sorted(path.parent for path in CGROUPS.glob("*/cgroup.procs") if path.parent.name != "unified")


def _has_link(place: Place) -> bool:
    return Path("/sys/class/net", place.link).exists()


def _last_words(place: Place) -> str:
    """Return the end of the node's log, if there is any."""
    with suppress(FileNotFoundError):
        lines = (place.log / "node.log").read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "".join(f"\n  {line}" for line in lines)
    return ""


def _path() -> str:
    """Return PATH with the folders of system programs, which are missing for some root users."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


@contextmanager
def _lock() -> Iterator[None]:
    """Lock the choice of names and slots, so that one process at a time makes it."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
