"""``keeper-exec`` needs nothing from the image."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from exec_shell import KIBIBYTE, OWN, SECRET, assert_rejected, compiler, run


@pytest.fixture
def scratch(built: Path, tmp_path: Path) -> Path:
    """A root directory with keeper-exec, another static program and a file of variables, but no shell and no libc."""
    if os.geteuid() != 0 or shutil.which("chroot") is None:
        pytest.skip("changing the root directory requires root and chroot")
    tmp_path.chmod(0o755)
    for name in ("keeper-exec", "show"):
        shutil.copy(built / name, tmp_path / name)
    (tmp_path / "variables").write_bytes(b"A=" + SECRET.encode() + b"\0")
    (tmp_path / "variables").chmod(0o444)
    return tmp_path


NOBODY = ("chroot", "--userspec=65532:65532")


@pytest.mark.parametrize("command", ["/show", "show"])
def test_runs_in_an_empty_image(scratch: Path, command: str) -> None:
    """In a root directory with two static programs, as an arbitrary user, the command gets its variables."""
    argv: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", command]
    outcome = run(argv, OWN | {"PATH": f"{os.environ['PATH']}:/"})
    assert outcome.environment[b"A"] == SECRET.encode()


def test_probe_in_an_empty_image(scratch: Path) -> None:
    """The probe needs nothing from the image."""
    probe: list[str | Path] = [*NOBODY, scratch, "/keeper-exec", "--ready"]
    assert (run([*probe, "/variables"], os.environ).code, run([*probe, "/absent"], os.environ).code) == (0, 1)


def test_a_file_of_another_user_is_a_permission_error(scratch: Path) -> None:
    """A file that the user may not read is reported as a permission error, not as a configuration error."""
    (scratch / "variables").chmod(0o400)
    outcome = run([*NOBODY, scratch, "/keeper-exec", "--file", "/variables", "--", "/show"], os.environ)
    assert_rejected(outcome, os.EX_NOPERM, "/variables: ", os.strerror(errno.EACCES))


def test_binary_is_static_and_small(program: Path) -> None:
    """The program has no interpreter, no shared library and no executable stack, and takes little of a memory volume."""
    headers = subprocess.run(
        ["readelf", "--wide", "--program-headers", "--dynamic", program], capture_output=True, check=True, text=True
    ).stdout
    assert re.search(r"GNU_STACK.* RW ", headers)
    assert ("INTERP" in headers, "NEEDED" in headers) == (False, False)
    if Path(compiler()).name == "musl-gcc":
        assert program.stat().st_size < 64 * KIBIBYTE
