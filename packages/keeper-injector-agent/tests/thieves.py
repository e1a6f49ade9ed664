"""A thief for tests: a process of the agent's user that looks into the agent's processes through /proc, as often as it can.

With ``signal`` the containers of a pod share their process namespace, so the application could be such a process.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

THIEF = """
import json, os, sys
interpreter, mark = sys.argv[1:]
found, seen, polls = set(), set(), 0

def look(process):
    yield "root", lambda: os.listdir(f"/proc/{process}/root/")
    yield "mem", lambda: os.close(os.open(f"/proc/{process}/mem", os.O_RDONLY))
    yield "environ", lambda: open(f"/proc/{process}/environ", "rb").read() or 1 / 0
    yield "fd", lambda: [os.readlink(f"/proc/{process}/fd/{name}") for name in os.listdir(f"/proc/{process}/fd")][0]

print("started", flush=True)
parent = os.getppid()
while os.getppid() == parent and not os.path.exists(mark + ".end"):
    polls += 1
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as stream:
                line = stream.read().split(b"\\0")
        except OSError:
            continue
        if line[0].decode() != interpreter or not any(mark.encode() in part for part in line):
            continue
        seen.add(process)
        for what, action in look(process):
            try:
                action()
                found.add(what)
            except (OSError, ArithmeticError, IndexError):
                continue
print(json.dumps({"found": sorted(found), "processes": len(seen), "polls": polls}))
"""


@attrs.frozen
class Stolen:
    """What a thief could read, and how often it looked."""

    found: list[str]
    processes: int
    polls: int


@attrs.define
class Thief:
    """A running thief."""

    process: subprocess.Popen[str]
    mark: Path

    def stop(self) -> Stolen:
        """End the thief, and return what it could read."""
        end = self.mark.with_name(f"{self.mark.name}.end")
        end.touch()
        text = self.process.communicate(timeout=30)[0]
        end.unlink()
        return Stolen(**json.loads(text))


@contextmanager
def thief(interpreter: str, mark: Path) -> Iterator[Thief]:
    """Run a thief against the processes of *interpreter* that have the path *mark* in their command line."""
    command = as_plain_user(sys.executable, "-c", THIEF, interpreter, str(mark))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        yield Thief(process, mark)
    finally:
        process.kill()
        process.communicate()


def as_plain_user(*command: str) -> list[str]:
    """Return a command that runs without capabilities: root without them is a user like any other."""
    if os.geteuid() != 0:
        return list(command)
    program = shutil.which("setpriv")
    assert program, "setpriv is missing (Debian: util-linux)"
    # setpriv itself keeps its capabilities until exec, and would use them to read the program: so it executes env first.
    return [program, "--bounding-set=-all", "--inh-caps=-all", "--", "env", *command]


def copy_interpreter(folder: Path, mode: int) -> str:
    """Copy this environment's interpreter into *folder* with this *mode*, and return the path of the copy."""
    real = Path(sys.executable).resolve()
    copy = folder / "bin" / "python3"
    copy.parent.mkdir(parents=True)
    shutil.copy(real, copy)
    copy.chmod(mode)
    (folder / "pyvenv.cfg").write_text(
        f"home = {real.parent}\ninclude-system-site-packages = false\n", encoding="utf-8"
    )
    library = Path(*Path(json.__file__).parents[1].parts[-1:])
    (folder / "lib" / library).mkdir(parents=True)
    packages = next(Path(entry) for entry in sys.path if entry.endswith("site-packages"))
    (folder / "lib" / library / "site-packages").symlink_to(packages)
    return str(copy)
