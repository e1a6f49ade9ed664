"""Measures a relay with two replicas and thousands of agents: requests to Keeper, the way of a change, and what all of that costs.

Keeper is local Keeper over HTTPS, the web server is stock nginx, the relays and twenty of the agents are the real programs. The other
agents are simulated: the same requests, from one process. Everything is on the loopback interface of one machine, beside each other.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from bench_table import Figure, table
from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.plan.model import Directory, FileItem, Plan
from keeper_injector_common.plan.paths import CA_PATH, CREDENTIALS_PATH, PLAN_PATH, STATE_PATH, below_root
from keeper_injector_common.plan.wire import dumps
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper

AGENT = [sys.executable, "-m", "keeper_injector_agent"]
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
REPLICAS, REAL, STARTING = 2, 20, 1000
INTERVAL = 15 * REPLICAS
SECONDS = 150
OUTAGE = 60
VOLUME = "/keeper/volumes/0"
RECORD = "database-credentials"
MIB = 2**20


@attrs.frozen
class Replica:
    """A relay and its web server."""

    relay: subprocess.Popen[bytes]
    nginx: subprocess.Popen[bytes]
    port: int
    published: Path


def main() -> int:
    """Measure, print the table, and return 1 if a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=10_000, help="simulated agents (default: %(default)s)")
    agents = parser.parse_args().agents
    if NGINX is None:
        print("nginx is not installed (Debian: apt-get install nginx-light)", file=sys.stderr)
        return 1
    # As in the image: the compiler would stay in the memory of each sidecar.
    package = Path(importlib.util.find_spec("keeper_injector_agent").submodule_search_locations[0])  # type: ignore[union-attr,index]
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True)
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - pods have memory volumes
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        keeper = stack.enter_context(LocalKeeper.start())
        print("starting …", flush=True)
        root.chmod(0o755)
        port = free_port()
        relay_half, pods_half = split(root, keeper, port)
        replicas = [
            stack.enter_context(replica(root / str(number), keeper, relay_half, free_port() if number else port))
            for number in range(REPLICAS)
        ]
        wait_for(lambda: all((item.published / "ready").exists() for item in replicas), 30)
        pods = [pod(root / f"pod-{number}", pods_half, keeper) for number in range(REAL)]
        for item in pods:
            run_init(item)
        sidecars = [stack.enter_context(ended(start_sidecar(item))) for item in pods]
        return table("fleet", measure(Fleet(root, keeper, replicas, pods, sidecars), agents))


@attrs.frozen
class Fleet:
    """What is measured."""

    root: Path
    keeper: LocalKeeper
    replicas: list[Replica]
    pods: list[Path]
    sidecars: list[subprocess.Popen[bytes]]


def measure(fleet: Fleet, agents: int) -> list[Figure]:
    """Return the figures."""
    root, keeper, replicas, pods, sidecars = attrs.astuple(fleet, recurse=False)
    output = root / "simulated.json"
    application = next((replicas[0].published / "v1").iterdir()).name
    command = [
        sys.executable,
        str(Path(__file__).with_name("fleet_agents.py")),
        str(agents),
        str(STARTING),
        str(SECONDS),
    ]
    command += [application, keeper.uid(RECORD), str(output), *(str(item.port) for item in replicas)]
    with ended(subprocess.Popen(command)) as simulated:
        pause("agents connect", 35)
        before = cpu_of(*processes(replicas)), cpu_of(*sidecars), time.monotonic()
        keeper.reset_requests()
        pause("nothing changes", 30)
        idle = (cpu_of(*sidecars) - before[1]) / len(sidecars) / ((time.monotonic() - before[2]) / 15)
        keeper.set_field(RECORD, "password", "changed")
        changed = time.monotonic()
        print("a change …", flush=True)
        wait_for(lambda: all(password(item) == "changed" for item in pods), 90)
        real = time.monotonic() - changed
        simulated.wait(SECONDS * 2)
        elapsed = time.monotonic() - before[2]
        cost = (cpu_of(*processes(replicas)) - before[0]) / elapsed
    asked = {name: keeper.requests.get(name, 0) for name in ("get_secret", "get_folders")}
    found = json.loads(output.read_bytes())
    arrived = [moment - changed for moments in found["seen"].values() for moment in moments if moment > changed]
    # Those that started after the change are not waiting for it.
    waited = sorted(arrived)[: agents or None]
    starts = sorted(found["starts"])
    resident = [sum(resident_of(process.pid) for process in (item.relay, item.nginx)) for item in replicas]
    published = sum(path.stat().st_size for path in replicas[0].published.rglob("*") if path.is_file()) / MIB
    down = outage(fleet)
    return [
        Figure("requests to Keeper", sum(asked.values()) / elapsed * 60, "a minute", at_most=6),
        Figure("simulated agents", agents, ""),
        Figure("change in Keeper to the last simulated agent", waited[-1], "s", at_most=60),
        Figure("change in Keeper to the median one", statistics.median(waited), "s"),
        Figure("change in Keeper to a file of the last real agent", real, "s", at_most=60),
        Figure("agents that started within 10 s", len(starts), ""),
        Figure("their fetch, p99", starts[int(len(starts) * 0.99)], "s", at_most=1),
        Figure("failed requests of agents", found["errors"], "", at_most=0),
        Figure("relays and web servers", cost, "cores", at_most=0.1),
        Figure("resident, each replica, beside the snapshot", max(resident) - published, "MiB", at_most=64),
        Figure("idle agent, each question", idle * 1000, "ms CPU", at_most=1),
        Figure("idle agent, resident", max(resident_of(item.pid) for item in sidecars), "MiB", at_most=9),
        *down,
    ]


def outage(fleet: Fleet) -> list[Figure]:
    """Cut Keeper off, start new pods, and check the running ones."""
    root, keeper, replicas, pods, _ = attrs.astuple(fleet, recurse=False)
    keeper.outage(3600)
    pause("Keeper is down", OUTAGE)
    new = [pod(root / f"new-{number}", pods[0] / CREDENTIALS_PATH.lstrip("/"), keeper) for number in range(REAL)]
    failed = sum(not run_init(item) for item in new)
    disturbed = sum(password(item) != "changed" for item in pods)
    ages = [age_of(item.published) for item in replicas]
    return [
        Figure("Keeper down: new pods that did not start", failed, "", at_most=0),
        Figure("Keeper down: applications disturbed", disturbed, "", at_most=0),
        Figure("Keeper down: age that each relay reports", min(ages), "s", at_least=OUTAGE - INTERVAL),
    ]


def age_of(published: Path) -> float:
    """Return the age of the snapshot by the relay's metrics."""
    name = "keeper_injector_relay_snapshot_timestamp_seconds{"
    lines = (published / "metrics").read_text(encoding="utf-8").splitlines()
    return time.time() - float(next(line.rpartition(" ")[2] for line in lines if line.startswith(name)))


def split(root: Path, keeper: LocalKeeper, port: int) -> tuple[Path, Path]:
    """Return the relay's half and the pods' half of the configuration. Real agents use the first replica."""
    config = root / "config"
    config.write_text(keeper.config(), encoding="utf-8")
    command = [*AGENT, "split", "--config", str(config), "--relay", f"http://127.0.0.1:{port}", "--output", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return root / "relay-half.json", root / "pods-half.json"


@contextmanager
def replica(root: Path, keeper: LocalKeeper, half: Path, port: int) -> Iterator[Replica]:
    """Run a relay and its web server."""
    published = root / "published"
    (root / "applications/shop").mkdir(parents=True)
    shutil.copy(half, root / "applications/shop/config")
    arguments = ["--applications", str(root / "applications"), "--output", str(published), "--interval", str(INTERVAL)]
    relay = subprocess.Popen([*AGENT, "relay", *arguments, "--ca-file", str(keeper.ca_file)], stderr=subprocess.DEVNULL)
    temporary = " ".join(
        f"{name}_temp_path {root}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (root / "nginx.conf").write_text(
        f"{'user root;' if os.getuid() == 0 else ''} daemon off; pid {root}/pid; error_log stderr crit; worker_processes 1; "
        f"events {{ worker_connections 16384; }} http {{ access_log off; sendfile on; keepalive_timeout 75s; "
        f"keepalive_requests 100000; {temporary} server {{ listen 127.0.0.1:{port} backlog=4096; root {published}; }} }}",
        encoding="utf-8",
    )
    nginx = subprocess.Popen([str(NGINX), "-e", "stderr", "-c", str(root / "nginx.conf")], stderr=subprocess.DEVNULL)
    with ended(relay), ended(nginx):
        yield Replica(relay, nginx, port, published)


def pod(root: Path, half: Path, keeper: LocalKeeper) -> Path:
    """Make the volumes of a pod."""
    for path in (VOLUME, STATE_PATH, "/keeper/plan", "/keeper/credentials", "/keeper/ca"):
        below_root(root, path).mkdir(parents=True)
    shutil.copy(half, below_root(root, CREDENTIALS_PATH))
    shutil.copy(keeper.ca_file, below_root(root, CA_PATH))
    item = FileItem("password", (parse_reference(f"{RECORD}[password]"),), Formatted("raw"), 0o400)
    plan = Plan(
        directories=(Directory(VOLUME, "/app", (item,)),),
        ca_file=CA_PATH,
        refresh_interval=3600.0,
        fail_on_error=True,
        volume_size=2**24,
    )
    below_root(root, PLAN_PATH).write_text(dumps(plan), encoding="utf-8")
    return root


def run_init(root: Path) -> bool:
    """Run the init container of a pod; return whether the pod can start."""
    return subprocess.run([*AGENT, "init", "--root", str(root)], check=False, stderr=subprocess.DEVNULL).returncode == 0


def start_sidecar(root: Path) -> subprocess.Popen[bytes]:
    """Start the sidecar of a pod."""
    return subprocess.Popen([*AGENT, "sidecar", "--root", str(root)], stderr=subprocess.DEVNULL)


def password(root: Path) -> str:
    """Return the file that the application of a pod reads."""
    return below_root(root, f"{VOLUME}/password").read_text(encoding="utf-8")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """End a process at the end of the context."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def processes(replicas: list[Replica]) -> list[subprocess.Popen[bytes]]:
    """Return the processes of all replicas."""
    return [process for item in replicas for process in (item.relay, item.nginx)]


def family(process: int) -> list[int]:
    """Return a process and its children: nginx works in one."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return [process, *map(int, children)]


def cpu_of(*found: subprocess.Popen[bytes]) -> float:
    """Return the CPU time of processes and of their children, those that have ended too, in seconds."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0
    for process in found:
        for number in family(process.pid):
            fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            total += sum(map(int, fields[11:15] if number == process.pid else fields[11:13]))
    return total / tick


def resident_of(process: int) -> float:
    """Return the resident memory of a process and its children in MiB, with shared pages counted once for each that has them."""
    pages = sum(int(Path(f"/proc/{number}/statm").read_text(encoding="ascii").split()[1]) for number in family(process))
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def pause(what: str, seconds: float) -> None:
    """Say what is going on, and wait."""
    print(f"{what} … {seconds:.0f} s", flush=True)
    time.sleep(seconds)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until *condition* holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.1)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
