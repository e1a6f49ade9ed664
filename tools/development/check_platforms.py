"""``python check_platforms.py``: check that the images can be built for each architecture, wherever this runs.

pip builds nothing in an image: each pinned dependency needs a wheel for the image's Python, libc and architecture, with one of the
pinned hashes. uv answers that for any platform from the index's metadata, without downloading the wheels.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pip_settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "packages/keeper-injector-agent/Dockerfile"
PLATFORMS = {"linux/amd64": "x86_64-manylinux_2_28", "linux/arm64": "aarch64-manylinux_2_28"}
"""The architectures of the images as uv names them. Debian 12, the base, has a newer glibc than 2.28."""


def main() -> int:
    """Check each file of requirements for each architecture; return 1 if a wheel is missing."""
    version = python_version(DOCKERFILE.read_text(encoding="utf-8"))
    code = 0
    for name, platform in PLATFORMS.items():
        for path in sorted(ROOT.glob("tools/image-requirements/*.txt")):
            if problem := missing(path, platform, version):
                print(f"check_platforms: {path.name} on {name}: {problem}", file=sys.stderr)
                code = 1
        if not code:
            print(f"{name}: every dependency of the images has a wheel for Python {version}")
    return code


def python_version(dockerfile: str) -> str:
    """Return the minor version of Python that the base image has, such as ``3.13``."""
    [version] = re.findall(r"^ARG BASE_IMAGE=\S*/python:(\d+\.\d+)", dockerfile, re.MULTILINE)
    return str(version)


def missing(requirements: Path, platform: str, version: str) -> str:
    """Return what uv says about requirements that have no wheel with a pinned hash for a platform; empty if all have one."""
    command = ("uv", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--require-hashes")
    chosen = ("--only-binary=:all:", "--python-platform", platform, "--python-version", version, "--requirement")
    environment = {**os.environ, **pip_settings.for_uv(pip_settings.configured(), os.environ)}
    with tempfile.TemporaryDirectory() as empty:
        words = [*command, *chosen, str(requirements), "--target", empty]
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return "" if done.returncode == 0 else done.stderr.strip()


if __name__ == "__main__":
    sys.exit(main())
