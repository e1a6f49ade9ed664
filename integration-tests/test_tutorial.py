"""The README's tutorial, run on a separate cluster: every command prints what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from pods import APPLICATION, FIGURES, IMAGES, image

from cluster import node
from images import builders

ROOT = Path(__file__).parents[1]
HEADING = "## On a cluster, in five minutes"
PULLED = "docker.io/library/python:3.13-slim"
"""The image of the example for a cluster that cannot pull; any image with a shell and `cat` works."""
NAME = "keeper-injector-tutorial"

HAS_KIND = bool(shutil.which("kind")) and builders.works("docker")
LOCAL = not HAS_KIND and not node.problems()
"""Whether our kind without Docker is used."""

pytestmark = pytest.mark.skipif(
    not (IMAGES and (HAS_KIND or LOCAL)), reason="neither kind with Docker nor our local node is available"
)


@attrs.frozen
class Step:
    """A command and the output that the README shows."""

    command: str
    shown: tuple[str, ...]


def steps(text: str) -> list[Step]:
    """Return the commands of a text's console blocks; a backslash at the end of a line continues one."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            end = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
            found.append(Step("\n".join(lines[:end]), tuple(lines[end:])))
    return found


def likened(line: str) -> str:
    """Return a line without the parts that differ between runs: numbers, times, random suffixes, column widths."""
    line = re.sub(r"\b[a-z]+(-[a-z0-9]+)*-[a-z0-9]{8,10}-[a-z0-9]{5}\b", "POD", line)
    line = re.sub(r"\d+(\.\d+)?", "0", line)
    return re.sub(r"\s+", " ", line).strip()


@pytest.fixture(name="shell")
def _shell(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A shell like a reader's, with kind on PATH; its cluster is removed with it."""
    path = os.environ["PATH"]
    environment = {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "KIND_CLUSTER_NAME": NAME,
        "CLUSTER_WHILE": str(os.getpid()),
    }
    if LOCAL:
        environment |= {
            "PATH": f"{ROOT / 'tools/development/cluster/bin'}{os.pathsep}{path}",
            "KEEPER_INJECTOR_BASE_IMAGE": "debian",
        }
    with subprocess.Popen(
        ["bash", "--noprofile", "--norc"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        if LOCAL:
            said(shell, f"buildah tag {image(APPLICATION)} {PULLED}")
        yield shell
        said(shell, "kind delete cluster")
        shell.stdin.close()


def said(shell: subprocess.Popen[str], command: str) -> str:
    """Run a command in the shell, which must succeed, and return its output."""
    shell.stdin.write(f"{command}\nstatus=$?; echo; echo ended $status\n")
    shell.stdin.flush()
    lines: list[str] = []
    while not (ended := re.fullmatch(r"ended (\d+)\n", line := shell.stdout.readline())):
        assert line, f"the shell ended after {command}: {''.join(lines)}"
        lines.append(line)
    text = "".join(lines).removesuffix("\n")
    assert ended[1] == "0", f"{command}\n{text}"
    return text


def test_the_tutorial(shell: subprocess.Popen[str]) -> None:
    """Every command succeeds and prints every line that the README shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]
    transcript, missing = [], []
    started = time.monotonic()
    for step in steps(text):
        printed = said(shell, step.command)
        transcript.append(f"$ {step.command}\n{printed}")
        have = [likened(line) for line in printed.splitlines()]
        missing += [line for line in step.shown if likened(line) not in have]
        if step.command == "kind create cluster" and LOCAL:
            said(shell, f"kind load docker-image {PULLED}")
    FIGURES.append(f"the README's tutorial: {time.monotonic() - started:.0f} s")
    assert not missing, "\n".join([*missing, "----", *transcript])
