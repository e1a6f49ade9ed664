"""Makes the root folder of an image without a shell: Python, one virtual environment, and what both need.

A Dockerfile runs it in its build stage: ``python3 minimal_root.py OUTPUT VENV [PROGRAM…]``. The last stage is empty and
copies OUTPUT. It runs with the base image's Python and without other packages, so it imports the standard library alone.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

UNUSED = frozenset(
    {
        # installers, editors, documentation and tests
        *(
            "distutils",
            "ensurepip",
            "idlelib",
            "lib2to3",
            "pydoc_data",
            "test",
            "tests",
            "turtledemo",
            "venv",
            "__phello__",
        ),
        # interactive programs, and modules that load libraries of no use here
        *("curses", "dbm", "sqlite3", "tkinter", "turtle.py", "sitecustomize.py"),
        *("site-packages", "dist-packages", "__pycache__", "LICENSE.txt"),
    }
)
"""Files and folders of the standard library that are left out."""
UNUSED_EXTENSIONS = re.compile(
    r"_(ctypes_test|curses|curses_panel|dbm|gdbm|sqlite3|test\w*|tkinter|xx\w*)\.|xx|readline\.|nis\."
)
"""Extension modules that are left out: tests, and those of the modules above."""
USERS = """\
root:x:0:0:root:/:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
keeper:x:65532:65532:Keeper Injector:/:/sbin/nologin
"""
GROUPS = "root:x:0:\nnogroup:x:65534:\nkeeper:x:65532:\n"
NAMES = "passwd: files\ngroup: files\nhosts: files dns\n"
"""For glibc's resolver: addresses from /etc/hosts, which the kubelet writes, before those of DNS."""
TRY_IMPORTS = """
import ast, importlib, pathlib, sys
[site] = [path for path in sys.path if path.endswith("site-packages")]
names = set()
for path in sorted(pathlib.Path(site).glob("keeper_injector_*/**/*.py")):
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
for name in sorted(names):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Others are extras that this image does not have.
        if error.name.partition(".")[0] in sys.stdlib_module_names:
            sys.exit(f"minimal_root: {name} imports {error.name}, which is left out of the image; remove it from UNUSED")
"""
"""Import everything that our packages import, at once or later. Missing libraries raise ImportError."""
_LIBRARY = re.compile(r"^\s*(?:(?P<name>\S+) => )?(?P<path>/\S+|not found)(?: \(0x[0-9a-f]+\))?$")


def main(arguments: Sequence[str]) -> None:
    """Fill the folder. Raises SystemExit with a message if a library is missing."""
    output, environment, *programs = arguments
    Root(Path(output)).fill(Path(environment), programs)


class Root:
    """A folder that becomes the root of an image."""

    def __init__(self, folder: Path) -> None:
        """*folder* does not exist yet."""
        self._folder = folder
        self._sources: set[Path] = set()
        """What was copied, for the list of Debian packages."""

    def fill(self, environment: Path, programs: Sequence[str]) -> None:
        """Copy Python, *environment* with its *programs* alone, shared libraries, certificates; write /etc."""
        for name in ("etc", "opt", "var/lib/dpkg/status.d"):
            (self._folder / name).mkdir(parents=True)
        self._make_temporary()
        self._copy_environment(environment, programs)
        self._copy_python()
        self._copy_libraries()
        self._copy_certificates()
        for name, text in {"passwd": USERS, "group": GROUPS, "nsswitch.conf": NAMES}.items():
            self._write(f"etc/{name}", text)
        self._write_loader_cache()
        self._list_packages()
        self._try(environment)

    def _make_temporary(self) -> None:
        (self._folder / "tmp").mkdir()
        (self._folder / "tmp").chmod(0o1777)

    def _copy_environment(self, environment: Path, programs: Sequence[str]) -> None:
        """Copy a virtual environment without activation scripts and without programs of dependencies."""
        target = self._at(environment)
        shutil.copytree(environment, target, symlinks=True)
        for path in (target / "bin").iterdir():
            if path.name not in {"python3", *programs}:
                path.unlink()
        missing = [name for name in programs if not (target / "bin" / name).exists()]
        if missing:
            raise SystemExit(
                f"minimal_root: {environment}/bin: no {', '.join(missing)}; check the names in the Dockerfile"
            )
        # Relative or absolute, the link must lead to the copied interpreter.
        (target / "bin/python3").unlink()
        (target / "bin/python3").symlink_to(_interpreter())

    def _copy_python(self) -> None:
        """Copy the interpreter and the used part of the standard library, compiled for its path in the image."""
        interpreter = self._copy(_interpreter())
        # Linux never lets a user inspect a process whose program that user cannot read (PR_SET_DUMPABLE in prctl(2)). With a
        # shared process namespace, the application can have the same user as the agent.
        interpreter.chmod(0o111)
        standard = Path(sysconfig.get_path("stdlib"))
        for source in _used(standard):
            self._copy(source)
        # Files that are read-only cannot be compiled later. Without times, the same sources give the same bytes.
        done = compileall.compile_dir(
            self._at(standard),
            quiet=1,
            stripdir=self._folder,
            prependdir="/",
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
        if not done:
            raise SystemExit(f"minimal_root: {standard}: cannot be compiled, see above")

    def _copy_libraries(self) -> None:
        """Copy the shared libraries that the copied programs and extensions load."""
        binaries = [_interpreter(), *self._extensions()]
        for path in sorted(libraries_of(binaries)):
            if not self._at(path).exists():
                self._copy(path)

    def _extensions(self) -> Iterator[Path]:
        """Return extension modules, and libraries that wheels carry, by their path in the build stage."""
        for path in sorted(self._folder.rglob("*.so*")):
            if path.is_file() and not path.is_symlink():
                yield Path("/") / path.relative_to(self._folder)

    def _copy_certificates(self) -> None:
        """Copy the public CAs to the files that Python's ssl, and programs of other origin, read."""
        bundle = Path("/etc/ssl/certs/ca-certificates.crt")
        self._copy(bundle)
        # The bundle is generated from this folder of the package.
        self._sources.add(Path("/usr/share/ca-certificates"))
        paths = ssl.get_default_verify_paths()
        default = self._at(Path(paths.openssl_cafile))
        default.parent.mkdir(parents=True, exist_ok=True)
        if not default.exists():
            default.symlink_to(bundle)
        configuration = Path(paths.openssl_cafile).with_name("openssl.cnf")
        if configuration.is_file():
            self._copy(configuration)

    def _write_loader_cache(self) -> None:
        """Make the loader find libraries outside its default folders, as in images that compile Python themselves."""
        configuration = Path("/etc/ld.so.conf")
        program = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
        if program is None or not configuration.exists():
            return  # musl
        folders = sorted({f"/{path.parent.relative_to(self._folder)}" for path in self._folder.rglob("*.so.*")})
        self._write("etc/ld.so.conf", "".join(f"{folder}\n" for folder in folders if not folder.startswith("/opt/")))
        subprocess.run([program, "-r", str(self._folder)], check=True)
        # It has inode numbers and times.
        shutil.rmtree(self._folder / "var/cache", ignore_errors=True)

    def _list_packages(self) -> None:
        """Describe the Debian packages of the copied files, where scanners of images look for them."""
        described = descriptions(self._sources, Path("/var/lib/dpkg"))
        for name, text in described.items():
            self._write(f"var/lib/dpkg/status.d/{name}", text)

    def _try(self, environment: Path) -> None:
        """Import what our packages import, with the folder as root. Raises SystemExit if something is missing."""
        command = [str(environment / "bin/python3"), "-I", "-B", "-c", TRY_IMPORTS]
        done = subprocess.run(command, check=False, preexec_fn=lambda: os.chroot(self._folder), cwd="/")
        if done.returncode:
            raise SystemExit(f"minimal_root: {environment}: incomplete, see above")

    def _copy(self, source: Path) -> Path:
        """Copy the content of a file to the same path. Its mode has no bits but read and execute."""
        target = self._at(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        self._sources |= {source, source.resolve()}
        return target

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).write_text(text, encoding="utf-8")

    def _at(self, path: Path) -> Path:
        return self._folder / path.relative_to("/")


def _interpreter() -> Path:
    """Return the file of the base image's Python."""
    return Path(sys.executable).resolve()


def _used(standard: Path) -> Iterator[Path]:
    """Return the files of the standard library that the image gets."""
    for folder, folders, files in os.walk(standard):
        folders[:] = sorted(name for name in folders if name not in UNUSED and not name.startswith("config-"))
        for name in sorted(files):
            path = Path(folder, name)
            if name not in UNUSED and not (name.endswith(".so") and UNUSED_EXTENSIONS.match(name)) and path.exists():
                yield path


def libraries_of(binaries: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that *binaries* load, directly or not. Raises SystemExit if one is missing."""
    found: set[Path] = set()
    missing: list[str] = []
    for binary in binaries:
        listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False)
        for line in listed.stdout.splitlines():
            match = _LIBRARY.match(line)
            if match and match["path"] == "not found":
                missing.append(f"{binary} needs {match['name']}")
            elif match:
                found.add(Path(match["path"]))
    if missing:
        raise SystemExit("minimal_root: missing in the base image: " + "; ".join(missing))
    return found


def descriptions(files: Iterable[Path], database: Path) -> dict[str, str]:
    """Return, for each Debian package that owns one of *files*, its name and its paragraph in dpkg's *database*."""
    if not (database / "status").exists():
        return {}
    wanted = {str(path) for path in files}
    # Since /bin and /lib are links into /usr, a file has two paths, and the database has either.
    wanted |= {path.removeprefix("/usr") for path in wanted} | {f"/usr{path}" for path in wanted}
    owners = set()
    for listing in database.glob("info/*.list"):
        if not wanted.isdisjoint(listing.read_text(encoding="utf-8").splitlines()):
            owners.add(listing.stem.partition(":")[0])
    paragraphs = (database / "status").read_text(encoding="utf-8").strip().split("\n\n")
    named = {paragraph.splitlines()[0].removeprefix("Package: "): f"{paragraph}\n" for paragraph in paragraphs}
    return {name: named[name] for name in sorted(owners)}


if __name__ == "__main__":
    main(sys.argv[1:])
