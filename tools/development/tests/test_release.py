"""A release is made in a clone of this repository: version, changelog, commit, tag, sdist and wheel."""

from __future__ import annotations

import subprocess
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

import release

ROOT = Path(__file__).parents[3]
PACKAGE = "packages/keeper-injector-common"
CURRENT = tomllib.loads((ROOT / PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a clone of the last commit, by somebody who can commit."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder], check=True)
    for key, value in {"user.name": "Releaser", "user.email": "releaser@example.com", "tag.gpgSign": "false"}.items():
        _git(folder, "config", key, value)
    if not list((folder / PACKAGE / "changelog.d").glob("*.md")):
        (folder / PACKAGE / "changelog.d/+new.added.md").write_text("Something new.\n", encoding="utf-8")
        _commit(folder)
    return folder


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", "-C", folder, *arguments], text=True)


def _commit(folder: Path) -> None:
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "change")


def _release(clone: Path, *arguments: str) -> int:
    return release.main([*arguments, "--repository", str(clone)])


def test_a_release_has_one_commit_one_tag_and_two_files(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The version and the changelog are committed and tagged, and both distributions have them."""
    (fragment, *_) = sorted((clone / PACKAGE / "changelog.d").glob("*.md"))
    sentence = fragment.read_text(encoding="utf-8").strip()
    before = _git(clone, "rev-parse", "HEAD").strip()

    assert _release(clone, "common", "9.1.0") == 0

    assert _git(clone, "log", "--format=%s", f"{before}..").splitlines() == ["release: keeper-injector-common 9.1.0"]
    assert _git(clone, "tag", "--points-at", "HEAD").split() == ["keeper-injector-common-9.1.0"]
    assert _git(clone, "status", "--porcelain", "--untracked-files=no") == ""
    assert 'version = "9.1.0"' in (clone / PACKAGE / "pyproject.toml").read_text(encoding="utf-8")
    changelog = (clone / PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## 9.1.0 (" in changelog
    assert sentence in changelog
    assert not list((clone / PACKAGE / "changelog.d").glob("*.md"))
    assert (clone / PACKAGE / "changelog.d/.gitkeep").exists()
    with tarfile.open(clone / "dist/keeper_injector_common-9.1.0.tar.gz") as sdist:
        packed = sdist.extractfile("keeper_injector_common-9.1.0/CHANGELOG.md")
        assert packed
        assert packed.read().decode() == changelog
    with ZipFile(clone / "dist/keeper_injector_common-9.1.0-py3-none-any.whl") as wheel:
        assert b"\nVersion: 9.1.0\n" in wheel.read("keeper_injector_common-9.1.0.dist-info/METADATA")
    assert "tagged keeper-injector-common-9.1.0" in capsys.readouterr().out


def test_a_dry_run_changes_nothing(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints the tag and the section of the changelog."""
    before = _git(clone, "rev-parse", "HEAD")

    assert _release(clone, "common", "9.1.0", "--dry-run") == 0

    printed = capsys.readouterr().out
    assert "tag keeper-injector-common-9.1.0" in printed
    assert "## 9.1.0 (" in printed
    assert _git(clone, "rev-parse", "HEAD") == before
    assert _git(clone, "status", "--porcelain") == ""
    assert _git(clone, "tag") == ""
    assert not (clone / "dist").exists()


@pytest.mark.parametrize(
    ("package", "version", "message"),
    [
        ("comon", "9.1.0", "'comon' is not a package; choose agent, common, webhook"),
        ("common", "new", "'new' is not a version; write three numbers such as 1.2.0"),
        ("common", "9.1", "'9.1' is not a semantic version; write three numbers such as 1.2.0"),
        ("common", "0.0.1", f"0.0.1 is older than {CURRENT} in pyproject.toml; choose the next version"),
        ("common", "9.0.0", "the tag keeper-injector-common-9.0.0 exists; choose the next version"),
        ("common", "8.9.0", "8.9.0 is not newer than the release 9.0.0; choose the next version"),
    ],
)
def test_a_wrong_name_or_version_is_refused(
    clone: Path, capsys: pytest.CaptureFixture[str], package: str, version: str, message: str
) -> None:
    """The message says what was found and what to write."""
    if version in {"9.0.0", "8.9.0"}:
        _git(clone, "tag", "keeper-injector-common-9.0.0")

    assert _release(clone, package, version) == 65

    assert capsys.readouterr().err == f"release: {message}\n"
    assert _git(clone, "status", "--porcelain") == ""


def test_uncommitted_changes_are_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A release contains what is committed, and nothing else."""
    (clone / "note.txt").write_text("not committed\n", encoding="utf-8")

    assert _release(clone, "common", "9.1.0") == 65

    assert "the working tree has 1 uncommitted changes; commit or stash them" in capsys.readouterr().err


def test_a_release_without_changes_is_refused(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Users learn from the changelog what is new, so there must be a fragment."""
    for fragment in (clone / PACKAGE / "changelog.d").glob("*.md"):
        fragment.unlink()
    _commit(clone)

    assert _release(clone, "common", "9.1.0") == 65

    assert f"{PACKAGE}/changelog.d has no fragment; add +WORD.KIND.md" in capsys.readouterr().err


def test_a_build_that_fails_leaves_the_package_as_it_was(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither version nor changelog is changed, and there is no commit and no tag."""
    (clone / PACKAGE / "README.md").unlink()
    _commit(clone)
    before = _git(clone, "rev-parse", "HEAD")

    assert _release(clone, "common", "9.1.0") == 65

    assert "README.md" in capsys.readouterr().err
    assert _git(clone, "rev-parse", "HEAD") == before
    assert _git(clone, "status", "--porcelain", "--untracked-files=no") == ""
    assert _git(clone, "tag") == ""
