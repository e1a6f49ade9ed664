"""Run the worker again and again on copies of a pod, killed at its first, second, … change of the file system.

Prints one line of JSON for each run: the step, whether it was reached, and what the volume held after the kill and after
the next, undisturbed run. A process of its own, because only one without threads can fork safely.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

# Imported here once: a fork that began with imports would spend its time on them.
from keeper_injector_agent import worker
from keeper_injector_agent.keeper import sdk, transport

CALLS = ["chmod", "fchmod", "fsync", "mkdir", "open", "rename", "replace", "rmdir", "symlink", "unlink"]
LATER = (sdk, transport)
"""What a worker imports when it needs it."""


def main(root: Path, volume: str, plan: str, *options: str) -> None:
    """Kill at every step until none is left."""
    for step in itertools.count(1):
        copy = root.with_name(f"{root.name}-{step}")
        shutil.copytree(root, copy, symlinks=True)
        line = ["--plan", str(copy / plan.lstrip("/")), "--root", str(copy), *options]
        died = run(line, step) == -9
        at_kill = contents(copy / volume.lstrip("/"))
        run(line, 0)
        result = {"step": step, "died": died, "then": at_kill, "next": contents(copy / volume.lstrip("/"))}
        sys.stdout.write(f"{json.dumps(result)}\n")
        if not died:
            return


def run(line: list[str], step: int) -> int:
    """Run a worker that dies before its *step*-th call (0: never); returns its exit code."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if step:
            arm(step)
        os._exit(worker.main(line))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def arm(step: int) -> None:
    """Let this process die, as by ``kill -9``, before its *step*-th change."""
    count = itertools.count(1)

    def deadly(call):
        def counted(*arguments, **more):
            if next(count) == step:
                os.kill(os.getpid(), 9)
            return call(*arguments, **more)

        return counted

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))


def contents(volume: Path) -> dict[str, str]:
    """Return what an application reads; a link that leads nowhere is a file that is not there."""
    names = sorted(path for path in volume.iterdir() if not path.name.startswith("..") and path.exists())
    return {path.name: path.read_text(encoding="utf-8") for path in names}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
