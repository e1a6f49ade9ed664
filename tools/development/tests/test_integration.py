"""What ``./tools/run integration`` does before it starts a node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import integration


def test_the_list_of_programs_is_that_of_the_script() -> None:
    """Every package of the script provides a program of the list, and the other way round."""
    script = integration.INSTALL.read_text(encoding="utf-8")
    for program, package in (("ip", "iproute2"), ("musl-gcc", "musl-tools")):
        assert program in integration.PROGRAMS
        assert package in script
    for program in set(integration.PROGRAMS) - {"ip", "musl-gcc"}:
        assert program in script


@pytest.mark.parametrize("is_missing", [True, False])
def test_missing_programs_are_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_missing: bool) -> None:
    """Root on Debian needs no other command first; a machine that has everything is left alone."""
    if shutil.which("apt-get") is None or subprocess.check_output(["id", "-u"]).strip() != b"0":
        pytest.skip("root on Debian or Ubuntu only")
    mark, script = tmp_path / "ran", tmp_path / "install.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\n", encoding="utf-8")
    script.chmod(0o700)
    monkeypatch.setattr(integration, "INSTALL", script)
    monkeypatch.setattr(integration, "PROGRAMS", ("sh", *(["no-such-program"] if is_missing else [])))
    said: list[str] = []
    integration.install_if_missing(said.append)
    assert mark.exists() is is_missing
    assert ["no-such-program" in text for text in said] == ([True] if is_missing else [])
