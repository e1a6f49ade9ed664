"""Log lines in the format of the workers, without the module logging."""

from __future__ import annotations

import posix
import time


def log_event(level: str, event: str, **data: float | None) -> None:
    """Write a log line. All values are numbers, so that nothing needs escaping."""
    now = time.time()
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    more = "".join(f', "{key}": {"null" if value is None else value}' for key, value in data.items())
    line = f'{{"time": "{clock}.{int(now % 1 * 1000):03}Z", "level": "{level}", "event": "{event}"{more}}}\n'
    posix.write(2, line.encode())
