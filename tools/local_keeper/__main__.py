"""``python -m local_keeper``."""

import signal
import sys

from local_keeper.cli import main

# Blocked before any thread starts, so that the main thread alone waits for them.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
sys.exit(main())
