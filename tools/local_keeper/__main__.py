"""``python -m local_keeper``, and the command ``local-keeper``."""

import signal
import sys

from local_keeper.cli import main


def run() -> int:
    """Run the command line and return its exit code."""
    # Blocked before any thread starts, so that the main thread alone waits for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    return main()


if __name__ == "__main__":
    sys.exit(run())
