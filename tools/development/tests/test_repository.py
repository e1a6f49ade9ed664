"""Facts that several files repeat are equal."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from images.catalogue import VERSION

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
each_package = pytest.mark.parametrize("package", PACKAGES, ids=[package.name for package in PACKAGES])


def _project(package: Path) -> dict[str, Any]:
    return tomllib.loads((package / "pyproject.toml").read_text())


@each_package
def test_licence_travels_with_each_package(package: Path) -> None:
    """Each package has a copy of the repository's licence, because an sdist contains only files of its folder."""
    assert (package / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@each_package
def test_package_is_complete(package: Path) -> None:
    """Name, folder and import name are equal; type marker, README, changelog and changelog.d exist."""
    module = package.name.replace("-", "_")

    assert _project(package)["project"]["name"] == package.name
    assert (package / "src" / module / "py.typed").exists()
    assert (package / "README.md").read_text().startswith(f"# {package.name}\n")
    assert _project(package)["tool"]["towncrier"]["start_string"] in (package / "CHANGELOG.md").read_text()
    assert (package / "changelog.d/.gitkeep").exists()


@each_package
def test_changelog_can_be_made(package: Path) -> None:
    """towncrier can build the changelog from every fragment in changelog.d."""
    done = subprocess.run(
        [*(sys.executable, "-m", "towncrier", "build", "--draft"), *("--dir", package, "--version", "9.9.9")],
        capture_output=True,
        text=True,
        check=True,
    )
    fragments = [path.read_text().strip() for path in (package / "changelog.d").glob("*.md")]

    assert "## 9.9.9 (" in done.stdout
    for line in "\n".join(fragments).splitlines():
        assert line.strip() in done.stdout


def test_each_package_accepts_one_minor_series_of_common() -> None:
    """The agent and the webhook accept every version of keeper-injector-common in one minor series."""
    required = {
        package.name: [line for line in _project(package)["project"]["dependencies"] if line.startswith("keeper-inj")]
        for package in PACKAGES
    }

    assert required == {
        "keeper-injector-common": [],
        "keeper-injector-agent": ["keeper-injector-common>=0.1,<0.2"],
        "keeper-injector-webhook": ["keeper-injector-common>=0.1,<0.2"],
    }


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "charts/keeper-injector/Chart.yaml",
        "packages/keeper-injector-common/docs/installation.md",
        "tools/local_keeper/kubernetes.yaml",
    ],
)
def test_image_tags_are_the_charts_app_version(path: str) -> None:
    """Images are built and installed with the chart's appVersion; a package's version is in its pyproject.toml alone."""
    tags = re.findall(r"(?:injector-[\w$-]+|agent|webhook):(\d+\.\d+\.\d+)", (ROOT / path).read_text(encoding="utf-8"))

    assert tags
    assert set(tags) == {VERSION}


def test_versions_have_one_home() -> None:
    """No module repeats the version of its package; it is read from what is installed."""
    written = {str(_project(package)["project"]["version"]) for package in PACKAGES}
    sources = [path for package in PACKAGES for path in package.glob("src/**/*.py")]

    assert [path for path in sources if any(f'{word}"' in path.read_text(encoding="utf-8") for word in written)] == []


IMAGE_REQUIREMENTS = sorted(f"image-requirements/{path.name}" for path in ROOT.glob("tools/image-requirements/*.txt"))


@pytest.mark.parametrize("name", ["constraints.txt", "bootstrap.txt", *IMAGE_REQUIREMENTS])
def test_pins_have_hashes_and_name_no_index_or_path(name: str) -> None:
    """Every pin is exact and has hashes; no index and no local path is written."""
    lines = (ROOT / "tools" / name).read_text().splitlines()
    pins = [(line, following) for line, following in pairwise(lines) if re.match(r"\w", line)]

    assert pins
    for line, following in pins:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==[\w.+]+ .*\\$", line), line
        assert following.startswith("    --hash=sha256:"), line
    assert not [line for line in lines if "://" in line or line.startswith("-") or " /" in line]


def test_other_pins_are_part_of_the_constraints() -> None:
    """The later installation never changes the versions that tools/run installs first, and images have what was tested."""
    pins = {
        name: {line.split(" ")[0] for line in (ROOT / "tools" / name).read_text().splitlines() if re.match(r"\w", line)}
        for name in ("constraints.txt", "bootstrap.txt", *IMAGE_REQUIREMENTS)
    }

    assert [name for name, found in pins.items() if not found or not found <= pins["constraints.txt"]] == []


def test_sessions_describe_themselves() -> None:
    """`tools/run` alone shows each session with one line that says what it does, and examples."""
    done = subprocess.run([ROOT / "tools/run"], capture_output=True, text=True, check=True)
    shown, _, examples = done.stdout.partition("\nExamples:\n")
    described = dict(re.findall(r"^  ([\w-]+) +(\S.*\.)$", shown, flags=re.MULTILINE))

    assert list(described) == [
        *("demo", "test", "test-python", "lint", "types", "imports", "docs", "bench", "soak"),
        *("integration", "cluster", "images", "lock", "release", "build"),
    ]
    assert "./tools/run demo " in examples
