"""Shows what `tools/run` can do: reads nox's list of sessions as JSON from stdin, writes names, descriptions, examples."""

import json
import sys

EXAMPLES = """\
Examples:
  ./tools/run demo                        one secret, from Keeper to a file in a pod, with no cluster
  ./tools/run demo --keep                 and leave it running, to play with
  ./tools/run test                        every test
  ./tools/run test agent -k retry         those of one package; the rest is pytest's
  ./tools/run lint                        everything that is not a test
"""


def main() -> None:
    """Print one line per session, aligned."""
    sessions = [(str(session["session"]), str(session["description"] or "")) for session in json.load(sys.stdin)]
    width = max(len(name) for name, _ in sessions)
    print("Usage: ./tools/run SESSION [ARGUMENT…]\n")
    print("Sessions:")
    for name, description in sessions:
        print(f"  {name:{width}}  {description}")
    print(f"\n{EXAMPLES}", end="")


if __name__ == "__main__":
    main()
