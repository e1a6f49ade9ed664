"""Runs a sidecar under random faults for a long time: its files are always of one generation, and no resource grows.

Before each refresh a secret changes in three files, which must always agree. A reader that opens ``..data`` once, as
readers of the kubelet's volumes do, must never see two generations together, whatever fault Keeper has at that time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs

from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.plan.model import Directory, FileItem, Plan
from keeper_injector_common.plan.paths import CA_PATH, CREDENTIALS_PATH, PLAN_PATH, STATE_PATH, below_root
from keeper_injector_common.plan.wire import dumps
from keeper_injector_common.references import parse_reference
from local_keeper import Fault, LocalKeeper

VOLUME = "/keeper/volumes/0"
FILES = ["first", "second", "third"]
"""Fetched in one response of Keeper, and therefore of one generation."""
ATTACHMENT = "pem"
ENDS = {"secrets.refreshed", "secrets.unchanged", "secrets.partially_refreshed", "refresh.failed", "worker.killed"}
"""The log events that end a refresh."""
LONGEST = 20.0
"""Seconds that a refresh may take."""
THROTTLE_SECONDS = 1.0
"""Seconds in the Retry-After of a throttled response."""
KILOBYTES_GROWTH = 512


@attrs.define
class Run:
    """The observations of a run."""

    refreshed: int = 0
    failed: int = 0
    reads: int = 0
    generations: set[str] = attrs.field(factory=set)
    problems: list[str] = attrs.field(factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Run, print the observations, and return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--refreshes", type=int, default=200, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random faults (%(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory, LocalKeeper.start() as keeper:
        run = soak(Path(directory), keeper, options.refreshes, random.Random(options.seed))  # noqa: S311 - no secret
    print(
        f"{options.refreshes} refreshes: {run.refreshed} delivered, {run.failed} failed under faults, "
        f"{len(run.generations)} generations seen in {run.reads} reads"
    )
    for problem in run.problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 1 if run.problems else 0


def soak(root: Path, keeper: LocalKeeper, refreshes: int, chance: random.Random) -> Run:
    """Run a sidecar for this many *refreshes* under faults."""
    prepare(root, keeper)
    run = Run()
    command = [sys.executable, "-m", "keeper_injector_agent", "sidecar", "--root", str(root), "--deadline", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as sidecar:
        log = Log(sidecar)
        reader = threading.Thread(target=read, args=(root, run, sidecar), daemon=True)
        reader.start()
        log.wait(run)
        at_first = footprint(sidecar.pid)
        for number in range(1, refreshes + 1):
            change(keeper, number)
            pause = strike(keeper, chance)
            sidecar.send_signal(signal.SIGHUP)
            log.wait(run)
            keeper.clear_faults()
            time.sleep(pause)
            show(number, refreshes)
        recover(sidecar, keeper, log, run, root)
        compare(at_first, footprint(sidecar.pid), sidecar.pid, run)
        sidecar.terminate()
        reader.join(timeout=5)
        if sidecar.wait(timeout=5) != os.EX_OK:
            run.problems.append(f"the sidecar ended with {sidecar.returncode}")
    return run


def prepare(root: Path, keeper: LocalKeeper) -> None:
    """Create the volumes of a pod."""
    for path in (VOLUME, STATE_PATH, "/keeper/plan", "/keeper/credentials", "/keeper/ca"):
        below_root(root, path).mkdir(parents=True)
    change(keeper, 0)
    below_root(root, CREDENTIALS_PATH).write_text(keeper.config(), encoding="utf-8")
    below_root(root, CA_PATH).write_bytes(keeper.ca_file.read_bytes())
    references = [
        "api-keys[login]",
        "database-credentials[login]",
        "two-factor[login]",
        "keeper://TLS Certs/file/server.pem",
    ]
    items = zip([*FILES, ATTACHMENT], map(parse_reference, references), strict=True)
    files = tuple(FileItem(name, (reference,), Formatted("raw"), 0o400) for name, reference in items)
    plan = Plan(
        directories=(Directory(VOLUME, "/app", files),),
        ca_file=CA_PATH,
        refresh_interval=3600.0,
        fail_on_error=True,
        volume_size=2**24,
    )
    below_root(root, PLAN_PATH).write_text(dumps(plan), encoding="utf-8")


def change(keeper: LocalKeeper, number: int) -> None:
    """Start a generation; the local Keeper must not respond while its fields change."""
    keeper.fault(Fault.http(503), "*", None)
    keeper.set_field("api-keys", "login", f"generation-{number}")
    keeper.set_field("database-credentials", "login", f"generation-{number}")
    keeper.set_field("two-factor", "login", f"generation-{number}")
    # Not part of the generation, because it takes another request.
    keeper.set_file("TLS Certs", "server.pem", f"generation-{number}".encode())
    keeper.clear_faults()


def strike(keeper: LocalKeeper, chance: random.Random) -> float:
    """Cause a random fault, or none; return the seconds for which it has an effect."""
    faults = [
        *(Fault.http(503), Fault.http(502), Fault.cut(), Fault.truncate(), Fault.corrupt(), Fault.empty()),
        *(Fault.revoked(), Fault.slow(0.3), Fault.hang()),
    ]
    throttles = [Fault.throttled(retry_after=THROTTLE_SECONDS), Fault.throttled(429, THROTTLE_SECONDS)]
    if chance.random() < 0.5:
        return 0.0
    fault = chance.choice([*faults, *throttles])
    operation = chance.choice(["get_secret", "get_secret", "file_download"])
    keeper.fault(fault, operation, chance.choice([1, 1, 2, None]))
    return THROTTLE_SECONDS + 0.1 if fault in throttles else 0.0


class Log:
    """The sidecar's log, read while it is written."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: list[dict[str, object]] = []
        self._seen = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            with self._changed:
                self._lines.append(json.loads(line))
                self._changed.notify_all()

    def wait(self, run: Run) -> None:
        """Wait until a refresh ends, and count it."""
        until = time.monotonic() + LONGEST
        with self._changed:
            while True:
                while self._seen < len(self._lines):
                    line = self._lines[self._seen]
                    self._seen += 1
                    if line["event"] in ENDS:
                        good = line["event"] in {"secrets.refreshed", "secrets.unchanged"}
                        run.refreshed += good
                        run.failed += not good
                        return
                if not self._changed.wait(max(0.0, until - time.monotonic())) and time.monotonic() > until:
                    run.problems.append(f"no refresh ended within {LONGEST:.0f} s")
                    return


def read(root: Path, run: Run, sidecar: subprocess.Popen[str]) -> None:
    """Read the set repeatedly, as an application does that needs consistent files."""
    data = below_root(root, VOLUME) / "..data"
    while sidecar.poll() is None:
        time.sleep(0.002)
        try:
            descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            found = {content(name, descriptor) for name in FILES}
        except FileNotFoundError:
            continue  # this generation was removed while it was read; the next attempt reads the new one
        finally:
            os.close(descriptor)
        run.reads += 1
        run.generations |= found
        if len(found) != 1:
            run.problems.append(f"files of {len(found)} generations at once: {sorted(found)}")
            return


def content(name: str, directory: int) -> str:
    """Return the content of a file in an open directory."""
    descriptor = os.open(name, os.O_RDONLY, dir_fd=directory)
    with open(descriptor, encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        return stream.read()


def recover(sidecar: subprocess.Popen[str], keeper: LocalKeeper, log: Log, run: Run, root: Path) -> None:
    """Check that the last generation is delivered when the faults are over."""
    change(keeper, -1)
    for _ in range(3):
        sidecar.send_signal(signal.SIGHUP)
        log.wait(run)
    if (below_root(root, VOLUME) / FILES[0]).read_text(encoding="utf-8") != "generation--1":
        run.problems.append("the last generation did not arrive after the last fault")


def footprint(process: int) -> dict[str, int]:
    """Return the resident memory in KiB, and the numbers of open files and children, of a process."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    (resident,) = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    return {"resident": resident, "files": len(list(Path(f"/proc/{process}/fd").iterdir())), "children": len(children)}


def compare(first: dict[str, int], last: dict[str, int], process: int, run: Run) -> None:
    """Report what has grown."""
    if last["resident"] > first["resident"] + KILOBYTES_GROWTH:
        run.problems.append(f"the sidecar {process} grew from {first['resident']} to {last['resident']} KiB")
    for what in ("files", "children"):
        if last[what] > first[what]:
            run.problems.append(f"{what}: {first[what]} at first, {last[what]} at last")


def show(number: int, count: int) -> None:
    """Show progress on a terminal."""
    if sys.stderr.isatty():
        print(f"\r{number}/{count}", end="\n" if number == count else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
