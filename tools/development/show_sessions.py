"""Prints the sessions of noxfile.py with their descriptions, and examples."""

import sys
from inspect import getdoc
from pathlib import Path

from nox import registry

EXAMPLES = """\
Examples:
  ./tools/run demo                  show how a secret gets from Keeper to a file in a pod
  ./tools/run demo --keep           leave the demo running, so that you can try things
  ./tools/run test                  run all tests
  ./tools/run test agent -k retry   run the tests of one package, with arguments of pytest
  ./tools/run lint                  run all other checks
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
    """Return the first line of each session's docstring, by name. `nox --list --json` lists only the default sessions."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import noxfile  # noqa: F401 (registers them)

    return {name: (getdoc(session) or "").partition("\n")[0] for name, session in registry.get().items()}


if __name__ == "__main__":
    main()
