"""The built ``keeper-exec``, and a folder for its files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from exec_shell import SHOW, SOURCES, Shell, compiler


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with keeper-exec, built by build.sh, and the program that prints what it gets."""
    folder = tmp_path_factory.mktemp("built")
    environment = os.environ | {"CC": compiler(), "VERSION": "1.2.3"}
    subprocess.run([SOURCES / "build.sh", folder / "keeper-exec"], env=environment, check=True)
    subprocess.run([compiler(), "-static", "-xc", "-", "-o", folder / "show"], input=SHOW.encode(), check=True)
    return folder


@pytest.fixture(scope="session")
def program(built: Path) -> Path:
    """Return the path of the static keeper-exec."""
    return built / "keeper-exec"


@pytest.fixture
def shell(built: Path, tmp_path: Path) -> Shell:
    """A keeper-exec with an empty folder for its files."""
    return Shell(built, tmp_path)
