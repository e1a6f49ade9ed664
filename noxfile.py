"""Everything that people and CI do here; `./tools/run` lists it, `./tools/run NAME` runs it.

All sessions share .venv, which editors find by themselves; what a session needs is installed there once.
"""

import hashlib
import itertools
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
PACKAGES = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("packages/*/pyproject.toml"))
SOURCES = ("packages", "charts", "integration-tests", "tools")
DOCUMENTATION_TESTS = "packages/keeper-injector-common/tests/documentation"
CONSTRAINTS = "tools/constraints.txt"
PINNED_BUILD = ("--build-constraints", CONSTRAINTS)
COMPILE = (
    *("compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--custom-compile-command", "./tools/run lock"),
)
EXTRAS = {"keeper-injector-agent": "[aws,azure,gcp]", "keeper-injector-webhook": "[certificates]"}

PREFIX = "keeper-injector-"

Command = tuple[str, ...]

DEMO = ("demo",)
DEVELOPMENT = ("test", "lint", "docs", "release")
"""Groups of tools/pyproject.toml; with more than the demo's, the packages' extras are installed too."""

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "test"]

# Programs say what they did themselves. `nox --verbose` shows the commands.
if not {"-v", "--verbose"} & set(sys.argv):
    logging.getLogger("nox").setLevel(logging.WARNING)

TOOLS = (str(ROOT / "tools"), str(ROOT / "tools/development"))
sys.path[:0] = TOOLS
import pip_settings  # noqa: E402 (it is in tools/development, which must be on the path first)

os.environ["VIRTUAL_ENV"] = str(VENV)
os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = os.pathsep.join(TOOLS)


@nox.session
def demo(session: nox.Session) -> None:
    """Show one secret on its way from Keeper to a file in a pod, on this machine, with no cluster."""
    install(session, DEMO)
    # Ctrl-C ends `--keep`: long enough for it to stop what it started.
    session.run("python", "-m", "demo", *session.posargs, interrupt_timeout=10)


@nox.session
def test(session: nox.Session) -> None:
    """Run all tests, or those named (common agent webhook chart docs tools); the rest is pytest's."""
    install(session, DEVELOPMENT)
    folders = {short(package): str(package) for package in PACKAGES} | {
        "tools": "tools",
        "chart": "charts",
        "docs": DOCUMENTATION_TESTS,
    }
    # pytest's closing line is the last: on failure nox would only say so again.
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    build_keeper_exec(session)
    session.run("python", "-m", "pytest", *(folders.get(argument, argument) for argument in session.posargs))


@nox.session(name="test-python")
def test_python(session: nox.Session) -> None:
    """Run the unit tests of common and webhook with another Python, or those named: `test-python 3.13 common`."""
    version, *arguments = session.posargs or ["3.14"]
    install(session, DEVELOPMENT)
    folders = {short(package): str(package) for package in PACKAGES}
    environment = ROOT / f".cache/python-{version}"
    python = environment / "bin/python"
    made = ("--quiet", "--allow-existing", "--no-python-downloads", "--python", version, str(environment))
    session.run("uv", "venv", *made)
    editables = [f"--editable={package}{EXTRAS.get(package.name, '')}" for package in PACKAGES]
    wanted = (*editables, *groups_of_tools(*DEVELOPMENT))
    uv(session, "install", "--python", python, "--constraints", CONSTRAINTS, *PINNED_BUILD, *wanted)
    chosen = [folders.get(argument, argument) for argument in arguments or ["common", "webhook"]]
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    session.run(str(python), "-m", "pytest", *chosen, env={"VIRTUAL_ENV": str(environment), "PATH": path})


@nox.session
def lint(session: nox.Session) -> None:
    """Run every check that is not a test: ruff, shellcheck, hadolint, types, imports, plain English."""
    install(session, DEVELOPMENT)
    each(session, [*ruff(), *shell(), *dockerfiles(), *type_checks(), *import_contracts(), *english()])


@nox.session
def types(session: nox.Session) -> None:
    """Check the types (mypy, strict)."""
    install(session, DEVELOPMENT)
    each(session, type_checks())


@nox.session
def imports(session: nox.Session) -> None:
    """Check who imports whom (import-linter)."""
    install(session, DEVELOPMENT)
    each(session, import_contracts())


@nox.session
def docs(session: nox.Session) -> None:
    """Check generated pages; `--write` makes them, `--build` makes the site in build/site, `--serve` shows it."""
    install(session, DEVELOPMENT)
    if {"--serve", "--build"} & set(session.posargs):
        site(session)
        return
    arguments = [] if "--write" in session.posargs else ["--check"]
    generators = sorted(
        path.stem for path in ROOT.glob("tools/development/generators/[a-z]*.py") if path.stem != "output"
    )
    each(session, [("python", "-m", f"generators.{name}", *arguments) for name in generators])


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what has a budget, one script after the other; arguments choose: `bench admission`."""
    install(session, DEVELOPMENT)
    each(session, [("python", script) for script in scripts("bench", session.posargs)])


@nox.session
def soak(session: nox.Session) -> None:
    """Run for long under faults: all, or those named, with arguments of theirs: `soak agent --refreshes 1000`."""
    install(session, DEVELOPMENT)
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), session.posargs))
    arguments = session.posargs[len(names) :]
    each(session, [("python", script, *arguments) for script in scripts("soak", names)])


@nox.session
def integration(session: nox.Session) -> None:
    """Test on a real cluster: `--cluster local|kind|current-context`; other arguments are pytest's."""
    install(session, DEVELOPMENT)
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    session.run("python", "-m", "integration", *session.posargs, interrupt_timeout=30)


@nox.session
def cluster(session: nox.Session) -> None:
    """Run a Kubernetes node of our own: up, down, load, kubectl."""
    install(session, DEVELOPMENT)
    session.run("python", "-m", "cluster", *session.posargs, interrupt_timeout=30)


@nox.session
def images(session: nox.Session) -> None:
    """Build the container images with docker, podman or buildah, whichever is there."""
    install(session, DEVELOPMENT)
    session.run("python", "-m", "images", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write the pins of everything to tools/constraints.txt; `lock --upgrade` moves them."""
    # Named as a path, common satisfies its siblings' ranges, though no registry may have it yet; it gets no pin.
    sibling = Path(session.create_tmp(), "sibling.txt")
    sibling.write_text(str(ROOT / "packages/keeper-injector-common"))
    sources = [sibling, *(package / "pyproject.toml" for package in PACKAGES)]
    groups = groups_of_tools("bootstrap", *DEVELOPMENT)
    to = ("--no-emit-package", "keeper-injector-common", "--output-file", CONSTRAINTS)
    uv(session, *COMPILE, *session.posargs, *sources, "--all-extras", *groups, *to)
    to = ("--constraints", CONSTRAINTS, "--output-file", "tools/bootstrap.txt")
    uv(session, *COMPILE, *groups_of_tools("bootstrap"), *to)


@nox.session
def release(session: nox.Session) -> None:
    """Make a release: version, changelog, commit, tag, sdist and wheel: `release agent 1.2.0 --dry-run`."""
    install(session, DEVELOPMENT)
    build_keeper_exec(session)
    session.run("python", "-m", "release", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdists and wheels into dist/, and see each work in an empty environment."""
    install(session, DEVELOPMENT)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    build_keeper_exec(session)
    for package in PACKAGES:
        # Both from the tree: an sdist has no keeper-exec, a wheel made here has.
        session.run("uv", "build", "--quiet", "--sdist", "--wheel", *PINNED_BUILD, "-o", "dist", str(package))
    session.run("python", "-m", "check_distributions", "dist")


def install(session: nox.Session, groups: tuple[str, ...]) -> None:
    """Install the packages in place, and *groups*, unless nothing has changed since they were."""
    extras = {} if groups == DEMO else EXTRAS
    editables = [f"--editable={package}{extras.get(package.name, '')}" for package in PACKAGES]
    wanted = [*editables, *groups_of_tools(*groups)]
    declarations = [ROOT / CONSTRAINTS, ROOT / "tools/pyproject.toml", *(ROOT / p / "pyproject.toml" for p in PACKAGES)]
    state = hashlib.sha256(repr([wanted, *(path.read_bytes() for path in declarations)]).encode()).hexdigest()
    stamp = VENV / f"installed-{groups[0]}"
    if stamp.is_file() and stamp.read_text() == state:
        return
    print(f"installing what {session.name} needs (once)", file=sys.stderr)
    # uv verifies each hash that the constraints have, and takes the tree's packages, which can have none; pip would not.
    uv(session, "install", "--constraints", CONSTRAINTS, *PINNED_BUILD, *wanted)
    stamp.write_text(state)


def build_keeper_exec(session: nox.Session) -> None:
    """Compile keeper-exec into the tree where there is a compiler; its tests say themselves when it is missing."""
    if sys.platform == "linux" and (shutil.which("musl-gcc") or shutil.which("cc")):
        session.run("sh", "packages/keeper-injector-agent/src/keeper_injector_agent/exec/build.sh")


def uv(session: nox.Session, *arguments: str | Path) -> None:
    """Run `uv pip`, told what this machine tells pip."""
    environment = pip_settings.for_uv(pip_settings.configured(), os.environ)
    session.run("uv", "pip", arguments[0], "--quiet", *arguments[1:], env=environment)


def groups_of_tools(*names: str) -> list[str]:
    """Name groups of tools/pyproject.toml as uv's arguments."""
    return [f"--group=tools/pyproject.toml:{name}" for name in names]


def each(session: nox.Session, commands: Iterable[Command]) -> None:
    """Run all of *commands*, whichever of them fail, so that one run shows all there is to do."""
    commands = list(commands)
    if not commands:
        session.skip("there is nothing of this kind yet")
    failed = [command for command in commands if not succeeds(session, command)]
    if failed:
        session.error(f"{len(failed)} of {len(commands)} checks failed, see above")


def succeeds(session: nox.Session, command: Command) -> bool:
    """Run *command*, and tell how it ended."""
    try:
        session.run(*command)
    except CommandFailed:
        return False
    return True


def site(session: nox.Session) -> None:
    """Build the documentation's site, or serve it on loopback until Ctrl-C and build it again when a file changes."""
    serving = "--serve" in session.posargs
    arguments = [argument for argument in session.posargs if argument not in {"--serve", "--build"}]
    command = ("serve", "--dev-addr", "127.0.0.1:8000") if serving else ("build", "--quiet")
    configuration = "tools/development/docs_site/mkdocs.yml"
    # The theme's maintainers announce their next program with each build.
    silent = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("python", "-m", "mkdocs", *command, "-f", configuration, *arguments, env=silent, interrupt_timeout=10)
    if not serving:
        print("built build/site")


def ruff() -> list[Command]:
    """Rules and formatting."""
    return [("ruff", "check", "--output-format=concise"), ("ruff", "format", "--check")]


def shell() -> list[Command]:
    """Shell scripts: the three without a suffix, and every *.sh."""
    return [("shellcheck", "tools/run", "tools/development/cluster/bin/kind", ".ci/run", *sources_named("*.sh"))]


def dockerfiles() -> list[Command]:
    """Every Dockerfile, once there is one."""
    found = sources_named("Dockerfile*")
    return [("hadolint", *found)] if found else []


def type_checks() -> list[Command]:
    """Packages by name, as installed in place; tools; single scripts, this one among them."""
    names = [package.name.replace("-", "_") for package in PACKAGES]
    names += sorted(path.parent.name for folder in TOOLS for path in Path(folder).glob("*/__init__.py"))
    scripts = ["noxfile.py", *sources_named("hatch_build.py"), *map(str, ROOT.glob("tools/development/*.py"))]
    return [("mypy", *(f"--package={name}" for name in names)), ("mypy", *scripts)]


def import_contracts() -> list[Command]:
    """The contracts of .importlinter."""
    return [("lint-imports", "--no-logo", "--cache-dir", ".cache/import-linter")]


def english() -> list[Command]:
    """The phrases that .github/STYLE.md forbids; counted only, until the texts are rewritten."""
    return [("python", "-m", "english", "--count")]


def sources_named(pattern: str) -> list[str]:
    """Find files by name in the folders that we write."""
    return sorted(str(path.relative_to(ROOT)) for folder in SOURCES for path in ROOT.glob(f"{folder}/**/{pattern}"))


def scripts(kind: str, names: Sequence[str]) -> list[str]:
    """Find packages/*/bench/KIND_NAME.py: all, or those with one of *names*."""
    found = sorted(ROOT.glob(f"packages/*/bench/{kind}_*.py"))
    return [str(path.relative_to(ROOT)) for path in found if not names or path.stem.removeprefix(f"{kind}_") in names]


def short(package: Path) -> str:
    """Name *package* as people do: `agent`."""
    return package.name.removeprefix(PREFIX)
