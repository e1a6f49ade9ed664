"""The entry point of the command: hardens the process before it imports anything else."""

from __future__ import annotations

import sys

from keeper_injector_agent.hardening import harden_process


def main() -> int:
    """Run the command line and return its exit code."""
    harden_process()
    from keeper_injector_agent.cli import main as run_command

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
