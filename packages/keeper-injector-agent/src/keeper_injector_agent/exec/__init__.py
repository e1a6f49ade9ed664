"""The static program that gives a container its environment variables, packaged beside its C source."""

from importlib.resources import files
from pathlib import Path

__all__ = ["binary"]


def binary() -> Path:
    """Return where the packaged ``keeper-exec`` is, for the init container to copy into the memory volume.

    Raises FileNotFoundError when this installation has none: a wheel for any platform, or a source tree not yet built.
    """
    folder = Path(str(files(__name__)))
    program = folder / "keeper-exec"
    if not program.is_file():
        message = f"{program}: not built; run {folder / 'build.sh'} (it needs musl-gcc, Debian's musl-tools)"
        raise FileNotFoundError(message)
    return program
