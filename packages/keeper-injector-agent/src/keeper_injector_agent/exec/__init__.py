"""``keeper-exec``, the static program that gives a container its environment variables, packaged beside its C source."""

from pathlib import Path

__all__ = ["keeper_exec_path"]


def keeper_exec_path() -> Path:
    """Return the path of the packaged ``keeper-exec``, which the init container copies into the memory volume.

    Raises FileNotFoundError if this installation has none: a wheel for any platform, or a source tree before the build.
    """
    folder = Path(__file__).parent  # not importlib.resources, which takes 3 ms of each refresh with a change
    program = folder / "keeper-exec"
    if not program.is_file():
        message = f"{program}: not built; run {folder / 'build.sh'} (it needs musl-gcc, Debian's musl-tools)"
        raise FileNotFoundError(message)
    return program
