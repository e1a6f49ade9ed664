"""The entry point of the command: hardens the process before it imports anything else, and ends it without a clean-up."""

from __future__ import annotations

import gc
import os
import sys

from keeper_injector_agent.hardening import harden_process


def main() -> int:
    """Run the command line, and end this process with its exit code."""
    harden_process()
    # The process lives for a second: collecting its garbage would take a tenth of the CPU time of `init`.
    gc.disable()
    from keeper_injector_agent.cli import main as run_command

    code = run_command()
    _end_at_once(code)
    return code


def _end_at_once(code: int) -> None:
    """End this process without the clean-up of the interpreter, which would take another tenth: the kernel frees everything at once.

    Files have been written and closed by now. If the last output cannot be written, return, so that the clean-up reports it.
    """
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed by the parent process
                stream.flush()
    except OSError:
        return
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
