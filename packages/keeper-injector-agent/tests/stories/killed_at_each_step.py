"""Run the worker repeatedly on copies of a pod, and kill it before its first, second, … change of the file system.

Prints one line of JSON per run: the step, whether the worker reached it, and the content of the volume after the kill and
after the next, undisturbed run. This is a separate process because only one without threads can fork safely.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

# Imported once, so that the forks need not import it.
from keeper_injector_agent import worker
from keeper_injector_agent.keeper import sdk, transport

CALLS = ["chmod", "fchmod", "fsync", "mkdir", "open", "rename", "replace", "rmdir", "symlink", "unlink"]
LATER = (sdk, transport)
"""Modules that a worker imports only when it needs them; imported here as well."""


def main(root: Path, volume: str, plan: str, *options: str) -> None:
    """Kill the worker at every step, until it reaches its end."""
    for step in itertools.count(1):
        copy = root.with_name(f"{root.name}-{step}")
        shutil.copytree(root, copy, symlinks=True)
        refresh = partial(
            worker.run_refresh, copy / plan.lstrip("/"), root=copy, deadline=120.0, initial="--initial" in options
        )
        died = run(refresh, step) == -9
        at_kill = contents(copy / volume.lstrip("/"))
        run(refresh, 0)
        result = {"step": step, "died": died, "then": at_kill, "next": contents(copy / volume.lstrip("/"))}
        sys.stdout.write(f"{json.dumps(result)}\n")
        if not died:
            return


def run(refresh: Callable[[], int], step: int) -> int:
    """Run a worker that dies before its *step*-th call (0 for never), and return its exit code."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if step:
            arm(step)
        os._exit(refresh())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def arm(step: int) -> None:
    """Make this process die, as with ``kill -9``, before its *step*-th change."""
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
    """Return the files that an application reads; a dangling link is a missing file."""
    names = sorted(path for path in volume.iterdir() if not path.name.startswith("..") and path.exists())
    return {path.name: path.read_text(encoding="utf-8") for path in names}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
