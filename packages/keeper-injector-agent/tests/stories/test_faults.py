"""Faults, and what happens to the application's files then: proves the table ``faults.md``, row by row.

``python packages/keeper-injector-agent/tests/stories/test_faults.py`` rewrites the table; review the difference before you commit it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import attrs
import pytest
from agent_pods import VOLUME, AgentPod, events

from keeper_injector_common.plan.paths import CREDENTIALS_PATH, PLAN_PATH, STATE_PATH
from local_keeper import Fault, LocalKeeper

HERE = Path(__file__).parent
TABLE = HERE / "faults.md"
SECRETS = {"password": "target[password]", "pem": "keeper://target/file/cert.pem", "other": "api-keys[login]"}
DAY = 86400
HEAD = """\
# When something goes wrong

This table shows how the agent reacts to each fault. `test_faults.py` causes the faults, writes the table and checks it.

- The pod needs three files. `init` is the init container of a new pod; `sidecar` is a refresh of a pod that has its files;
  `sidecar without files` is a refresh of a pod that started without them.
- All three secrets change in Keeper after the init container has run: *old* and *new* are the values before and after.
- Exit codes: 0 success, 65 some secrets are unavailable, 74 a write failed, 75 Keeper is unavailable, 77 access denied or
  an untrusted certificate, 78 invalid plan. For a sidecar, it is the exit code of the worker: the sidecar keeps running and refreshes again.

| fault | where | exit | files afterwards | requests | log event | message |
|---|---|---|---|---|---|---|
"""

Pair = tuple[AgentPod, LocalKeeper]


@attrs.frozen
class FaultCase:
    """A fault, and how to cause it."""

    name: str
    strike: Callable[[AgentPod, LocalKeeper], object]
    skew: int = 0
    """Seconds by which the agent's clock is wrong."""
    killed: bool = False
    hangs: bool = False
    """Whether Keeper never answers, so that only the deadline ends the refresh."""


def record(fields: dict[str, str], files: dict[str, str]) -> Callable[[AgentPod, LocalKeeper], None]:
    """Replace the record ``target`` with one that has these fields and files."""

    def strike(_pod: AgentPod, keeper: LocalKeeper) -> None:
        keeper.remove_record("target")
        keeper.add_record({"title": "target", "type": "login", "fields": fields, "files": files})

    return strike


def fault(
    make: Fault, operation: str = "get_secret", times: int | None = None
) -> Callable[[AgentPod, LocalKeeper], None]:
    """Make Keeper fail."""
    return lambda _pod, keeper: keeper.fault(make, operation, times)


def configuration(**changed: str) -> Callable[[AgentPod, LocalKeeper], None]:
    """Change the KSM configuration."""
    return lambda pod, keeper: pod.put(CREDENTIALS_PATH, json.dumps({**keeper.config_dict(), **changed}))


def closed_port() -> str:
    """Return an address where no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


def newer(pod: AgentPod, _keeper: LocalKeeper) -> None:
    """Give the agent a plan of an unknown version."""
    pod.put(PLAN_PATH, json.dumps({**json.loads(pod.at(PLAN_PATH).read_text(encoding="utf-8")), "version": 2}))


def fill(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Make the next set of files larger than the volume."""
    keeper.set_field("api-keys", "login", "x" * 200_000)
    old = {path.name: path.read_bytes() for path in pod.at(VOLUME).iterdir() if path.name in SECRETS}
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(pod.at(VOLUME))]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us mount")
    if old:
        generation = pod.at(f"{VOLUME}/..1")
        generation.mkdir()
        for name, content in old.items():
            (generation / name).write_bytes(content)
            (generation / name).chmod(0o400)
            pod.at(f"{VOLUME}/{name}").symlink_to(f"..data/{name}")
        pod.at(f"{VOLUME}/..data").symlink_to("..1")


def throttled_in_the_future(pod: AgentPod, _keeper: LocalKeeper) -> None:
    """Write a state whose throttle window and success are a day ahead, as if the clock had been set back since."""
    path = pod.at(f"{STATE_PATH}/state.json")
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ahead = time.time() + DAY
    state = {
        "key": "00" * 32,
        "last_error": "",
        "server_key_id": "",
        "failures": 0,
        "inputs": {},
        "counts": {},
        **known,
        "version": 1,
        "throttled_since": ahead,
        "throttled_until": ahead + 300,
        "last_success": ahead,
        "last_attempt": ahead,
    }
    pod.put(f"{STATE_PATH}/state.json", json.dumps(state))


NEW = {"password": "new-password", "cert.pem": "new certificate"}
CASES = [
    FaultCase("no fault", lambda _pod, _keeper: None),
    FaultCase("name not found in DNS", configuration(hostname="keeper.invalid")),
    FaultCase("connection refused", lambda pod, keeper: configuration(hostname=closed_port())(pod, keeper)),
    FaultCase("no answer", fault(Fault.hang()), hangs=True),
    FaultCase("slow answer", fault(Fault.slow(0.5))),
    FaultCase("answer cut off", fault(Fault.cut())),
    FaultCase("HTTP 503", fault(Fault.http(503))),
    FaultCase("HTTP 503, once", fault(Fault.http(503), times=1)),
    FaultCase("throttled (403)", fault(Fault.throttled())),
    FaultCase("throttled (429, Retry-After 60)", fault(Fault.throttled(429, 60))),
    FaultCase("damaged answer", fault(Fault.corrupt())),
    FaultCase("key of another application", configuration(appKey=base64.b64encode(b"k" * 32).decode())),
    FaultCase("server key rotated", lambda _pod, keeper: keeper.rotate_server_key()),
    FaultCase("device revoked", lambda _pod, keeper: keeper.revoke()),
    FaultCase("record cannot be decrypted", lambda _pod, keeper: keeper.corrupt_record("target")),
    FaultCase("record gone", lambda _pod, keeper: keeper.remove_record("target")),
    FaultCase("field gone", record({"login": "x"}, {"cert.pem": "new certificate"})),
    FaultCase("attachment gone", record({"password": "new-password"}, {})),
    FaultCase("attachment's address expired", fault(Fault.expired_file_url(), "file_download")),
    FaultCase("clock ten years ahead", lambda _pod, _keeper: None, skew=3650 * DAY),
    FaultCase("clock a day behind", lambda _pod, _keeper: None, skew=-DAY),
    FaultCase("clock set back a day while throttled", throttled_in_the_future),
    FaultCase("volume full", fill),
    FaultCase("killed at each step", lambda _pod, _keeper: None, killed=True),
    FaultCase("plan is not JSON", lambda pod, _keeper: pod.put(PLAN_PATH, "{")),
    FaultCase("plan of a newer version", newer),
    FaultCase("state damaged", lambda pod, _keeper: pod.put(f"{STATE_PATH}/state.json", "\0\0\0")),
    FaultCase("no KSM configuration", lambda pod, _keeper: pod.at(CREDENTIALS_PATH).unlink()),
]
WHERE = ["init", "sidecar", "sidecar without files"]


def row(case: FaultCase, where: str, pod: AgentPod, keeper: LocalKeeper) -> str:
    """Cause a fault, and return the row that describes what happens."""
    keeper.add_record(
        {"title": "target", "type": "login", "fields": {"password": "old-password"}, "files": {"cert.pem": "old one"}}
    )
    pod.wants(SECRETS, volume_size=65536)
    old: dict[str, str] = {}
    if where == "sidecar":
        assert pod.run("init").returncode == 0
        old = {name: pod.file(name) for name in SECRETS}
    keeper.set_field("target", "password", "new-password")
    keeper.set_file("target", "cert.pem", b"new certificate")
    keeper.set_field("api-keys", "login", "new-login")
    keeper.reset_requests()
    case.strike(pod, keeper)
    if case.killed:
        return killed_row(case, where, pod, old)
    with skewed(case.skew):
        command = "init" if where == "init" else "once"
        result = pod.run_into_deadline(command) if case.hangs else pod.run(command, "--deadline", "50")
    lines = events(result.stderr)
    last = next(line for line in reversed(lines) if line["event"] not in {"state.invalid", "retry.scheduled"})
    problems = [line for line in lines if line["event"] == "secret.failed"] or [last]
    message = (
        pod.termination_message()
        if where == "init"
        else " ".join(str(line.get("problem") or line.get("cause") or "") for line in problems)
    )
    more = " after `state.invalid`" if any(line["event"] == "state.invalid" for line in lines) else ""
    cells = [
        *(case.name, where, str(result.returncode), delivered(pod, old)),
        *(requests(keeper), f"{last['level']} `{last['event']}`{more}", plain(message, pod)),
    ]
    return f"| {' | '.join(cells)} |"


def killed_row(case: FaultCase, where: str, pod: AgentPod, old: dict[str, str]) -> str:
    """Kill the worker at every step: the files must be one whole set after that, and the new set after the next run."""
    options = ["--initial"] if where == "init" else []
    line = [sys.executable, str(HERE / "killed_at_each_step.py"), str(pod.root), VOLUME, PLAN_PATH, *options]
    result = subprocess.run(line, capture_output=True, text=True, timeout=110, check=True)
    runs = [json.loads(text) for text in result.stdout.splitlines()]
    new = {"password": "new-password", "pem": "new certificate", "other": "new-login"}
    assert len(runs) > 20
    assert [run["died"] for run in runs] == [True] * (len(runs) - 1) + [False]
    # A set becomes current before its names are linked: the files of a new pod appear one by one, each complete.
    for run in runs:
        assert run["then"] in (old, new) or (not old and run["then"].items() <= new.items()), run
        assert run["next"] == new, run
    files = "all old or all new" if old else "new or none"
    return f"| {case.name} | {where} | -9 | {files}; after the next run all new | one | - | - |"


def delivered(pod: AgentPod, old: dict[str, str]) -> str:
    """Return which files exist, as text."""
    found = {name: pod.file(name) for name in pod.files()}
    if not found:
        return "none"
    kinds = ["old" if old.get(name) == text else "new" for name, text in found.items()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in ("new", "old") if kind in kinds]
    return f"all {kinds[0]}" if len(found) == len(SECRETS) and len(counts) == 1 else ", ".join(counts)


def requests(keeper: LocalKeeper) -> str:
    """Return how many requests for records were sent, as text; the number of retries is random."""
    count = keeper.requests.get("get_secret", 0)
    return ["none", "one", "several"][min(count, 2)]


def plain(message: str, pod: AgentPod) -> str:
    """Replace the parts of a message that differ between runs."""
    text = message.strip().replace("\n", " ").replace(f"{pod.root}", "")
    text = re.sub(r"localhost:\d+", "keeper.example", text)
    text = re.sub(r"record '?[\w-]{22}'?", "record UID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE UTC", text)
    text = re.sub(r"\(([\w-]{22})\)", "(UID)", text)
    text = re.sub(r"\b(29|59|60|30) s\b", lambda found: f"{round(int(found[1]), -1)} s", text)
    return text.replace("|", "\\|") or "-"


@contextmanager
def skewed(seconds: int) -> Iterator[None]:
    """Give programs that are started in this context another time."""
    if not seconds:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(skewed_clock()))
        patch.setenv("CLOCK_SKEW", str(seconds))
        yield


@cache
def skewed_clock() -> Path:
    """Compile the library that falsifies the clock."""
    library = Path(tempfile.mkdtemp(prefix="skewed-clock-")) / "clock.so"
    command = ["cc", "-shared", "-fPIC", "-o", str(library), str(HERE / "skewed_clock.c"), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


@contextmanager
def scene(directory: Path) -> Iterator[Pair]:
    """Yield a separate pod with a separate Keeper."""
    with LocalKeeper.start() as keeper:
        pod = AgentPod(directory / "pod", keeper)
        try:
            yield pod, keeper
        finally:
            subprocess.run(["umount", "-q", str(pod.at(VOLUME))], check=False, capture_output=True)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_row_of_the_table_is_true(case: FaultCase, where: str, tmp_path: Path) -> None:
    """Exit code, files, requests, event and message of a fault are those of its row."""
    with scene(tmp_path) as (pod, keeper):
        assert row(case, where, pod, keeper) in TABLE.read_text(encoding="utf-8").splitlines()


def test_the_table_has_a_row_for_each_fault() -> None:
    """The table has one row for each fault and each kind of refresh, and no other."""
    rows = [line.split(" | ") for line in TABLE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()]
    assert [(cells[0].removeprefix("| "), cells[1]) for cells in rows] == [
        (case.name, at) for case in CASES for at in WHERE
    ]


def test_no_fault_removes_a_file() -> None:
    """A pod that had its three files still has three after any fault."""
    rows = [line.split(" | ") for line in TABLE.read_text(encoding="utf-8").removeprefix(HEAD).splitlines()]
    counts = [re.findall(r"\d", cells[3]) for cells in rows if cells[1] == "sidecar" and "all" not in cells[3]]
    assert all(sum(map(int, found)) == len(SECRETS) for found in counts)


def write_table() -> None:
    """Rewrite the table."""
    lines = []
    for case in CASES:
        for where in WHERE:
            with tempfile.TemporaryDirectory() as directory, scene(Path(directory)) as (pod, keeper):
                lines.append(row(case, where, pod, keeper))
    TABLE.write_text(f"{HEAD}{os.linesep.join(lines)}\n", encoding="utf-8")


if __name__ == "__main__":
    write_table()
