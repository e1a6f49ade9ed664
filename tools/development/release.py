"""Make a release of one package: ``./tools/run release PACKAGE VERSION [--dry-run]``.

The version is written to the package's pyproject.toml, its only home. The fragments in changelog.d become a section of the
changelog. Both are committed and tagged ``PACKAGE-VERSION``, and the sdist and the wheel are in dist/. Nothing is pushed or
published.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[2]
PREFIX: Final = "keeper-injector-"
VERSION_LINE = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)


class ReleaseError(Exception):
    """The release cannot be made; the message says why and what to do. Nothing has been changed."""


@attrs.frozen
class Release:
    """A release of one package that has not been made yet."""

    repository: Path
    package: str
    """The name of the distribution, which is also the name of its folder."""
    version: Version

    @property
    def folder(self) -> Path:
        """Return the folder of the package."""
        return self.repository / "packages" / self.package

    @property
    def tag(self) -> str:
        """Return the name of the tag, such as ``keeper-injector-agent-1.2.0``."""
        return f"{self.package}-{self.version}"


def main(arguments: Sequence[str]) -> int:
    """Make the release, or print why it cannot be made and return EX_DATAERR."""
    parser = argparse.ArgumentParser(prog="./tools/run release", description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("package", metavar="PACKAGE", help="common, agent or webhook")
    parser.add_argument("version", metavar="VERSION", help="such as 1.2.0 or 1.2.0rc1")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything and print the changelog; change nothing"
    )
    parser.add_argument("--repository", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        release = planned(options.repository, options.package, options.version)
        section = changelog_section(release)
        if options.dry_run:
            print(f"{release.package} {current_version(release)} → {release.version}, tag {release.tag}\n\n{section}")
            print("Nothing was changed (--dry-run).")
            return 0
        files = make(release)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return os.EX_DATAERR
    print(f"{release.package} {release.version}: committed and tagged {release.tag}; built {', '.join(files)}")
    print(f"Next: git push origin HEAD {release.tag}, then publish the files in dist/.")
    return 0


def planned(repository: Path, package: str, version: str) -> Release:
    """Return the release of *package*, or raise ReleaseError if it must not be made."""
    known = sorted(path.parent.name for path in repository.glob("packages/*/pyproject.toml"))
    name = package if package in known else PREFIX + package
    if name not in known:
        raise ReleaseError(
            f"{package!r} is not a package; choose {', '.join(item.removeprefix(PREFIX) for item in known)}"
        )
    try:
        release = Release(repository, name, Version(version))
    except InvalidVersion:
        raise ReleaseError(f"{version!r} is not a version; write three numbers such as 1.2.0") from None
    if len(release.version.release) != len(("major", "minor", "patch")) or release.version.local:
        raise ReleaseError(f"{version!r} is not a semantic version; write three numbers such as 1.2.0")
    check_repository(release)
    return release


def check_repository(release: Release) -> None:
    """Raise ReleaseError for uncommitted changes, an existing tag, an old version, or a release without changes."""
    if changed := git(release, "status", "--porcelain").splitlines():
        raise ReleaseError(f"the working tree has {len(changed)} uncommitted changes; commit or stash them")
    tags = git(release, "tag", "--list", f"{release.package}-*").split()
    if release.tag in tags:
        raise ReleaseError(f"the tag {release.tag} exists; choose the next version")
    released = [Version(tag.removeprefix(f"{release.package}-")) for tag in tags]
    newest = max(released, default=None)
    if newest and release.version <= newest:
        raise ReleaseError(f"{release.version} is not newer than the release {newest}; choose the next version")
    declared = current_version(release)
    if release.version < declared:
        raise ReleaseError(f"{release.version} is older than {declared} in pyproject.toml; choose the next version")
    if not list(release.folder.glob("changelog.d/*.md")):
        raise ReleaseError(
            f"packages/{release.package}/changelog.d has no fragment; add +WORD.KIND.md for each change that users notice"
        )


def current_version(release: Release) -> Version:
    """Return the version in the package's pyproject.toml."""
    project = tomllib.loads((release.folder / "pyproject.toml").read_text(encoding="utf-8"))
    return Version(project["project"]["version"])


def changelog_section(release: Release) -> str:
    """Return the new section of the changelog as Markdown."""
    return run(release, *towncrier(release), "--draft").strip()


def make(release: Release) -> list[str]:
    """Write version and changelog, build, commit and tag; return the names of the built files.

    If a step fails before the commit, the files of the package become what they were, and ReleaseError is raised.
    """
    try:
        write_version(release)
        run(release, *towncrier(release), "--yes")
        files = build(release)
        git(release, "add", "--all", "--", str(release.folder))
        git(release, "commit", "--quiet", "--message", f"release: {release.package} {release.version}")
    except ReleaseError:
        git(release, "restore", "--staged", "--worktree", "--", str(release.folder))
        raise
    git(release, "tag", "--annotate", "--message", f"{release.package} {release.version}", release.tag)
    return files


def write_version(release: Release) -> None:
    """Write the version into the package's pyproject.toml."""
    project = release.folder / "pyproject.toml"
    text, count = VERSION_LINE.subn(f'version = "{release.version}"', project.read_text(encoding="utf-8"), count=1)
    if not count:
        raise ReleaseError(f'packages/{release.package}/pyproject.toml has no line version = "…"; add it')
    project.write_text(text, encoding="utf-8")


def build(release: Release) -> list[str]:
    """Build the sdist and the wheel into dist/ with the pinned hatchling of this environment."""
    dist = release.repository / "dist"
    run(release, sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--target", "wheel", "-d", str(dist))
    stem = f"{release.package.replace('-', '_')}-{release.version}"
    return sorted(path.name for path in dist.glob(f"{stem}[-.]*"))


def towncrier(release: Release) -> tuple[str, ...]:
    """Return the command that makes the changelog from the fragments."""
    return (sys.executable, "-m", "towncrier", "build", "--version", str(release.version))


def git(release: Release, *arguments: str) -> str:
    """Run git in the repository and return its output."""
    return run(release, "git", "-C", str(release.repository), *arguments)


def run(release: Release, *command: str) -> str:
    """Run a command in the package's folder and return its output; raise ReleaseError with its messages if it fails."""
    done = subprocess.run(command, cwd=release.folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"{' '.join(command[:4])}… failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
