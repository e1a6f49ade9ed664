"""Shows what `tools/run` can do: noxfile.py's sessions with their descriptions, and examples."""

import sys
from inspect import getdoc
from pathlib import Path

from nox import registry

EXAMPLES = """\
Examples:
  ./tools/run demo                  one secret, from Keeper to a file in a pod, with no cluster
  ./tools/run demo --keep           and leave it running, to play with
  ./tools/run test                  every test
  ./tools/run test agent -k retry   those of one package; the rest is pytest's
  ./tools/run lint                  everything that is not a test
"""


def main() -> None:
    """Print one line per session, in the order of the file."""
    described = sessions()
    width = max(map(len, described))
    print("Usage: ./tools/run SESSION [ARGUMENT…]\n")
    print("Sessions:")
    for name, description in described.items():
        print(f"  {name:{width}}  {description}")
    print(f"\n{EXAMPLES}", end="")


def sessions() -> dict[str, str]:
    """First lines of the sessions' docstrings, by name. `nox --list --json` knows only those that run by default."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import noxfile  # noqa: F401 (registers them)

    return {name: (getdoc(session) or "").partition("\n")[0] for name, session in registry.get().items()}


if __name__ == "__main__":
    main()
