"""Logging for all programs: JSON for machines, plain lines for terminals.

The message of a log call is the name of an event, such as ``record.ambiguous``; all data is passed in ``extra``.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import lru_cache
from typing import IO, Any

_encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON: ``time``, ``level``, ``event``, then the data in ``extra``.

    For example ``{"time": "2026-01-01T12:00:00.123Z", "level": "warning", "event": "record.ambiguous", "count": 2}``. An exception
    adds ``traceback``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*."""
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **_event_data(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class _ConsoleFormatter(logging.Formatter):
    """Format a record as ``12:00:00 warning: event key=value …``; the level is left out for info and below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*."""
        data = " ".join(f"{key}={value}" for key, value in _event_data(record).items())
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        line = f"{clock} {level}{record.getMessage()} {data}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure_logging(level: str, stream: IO[str] | None = None) -> None:
    """Write the logs of this process to *stream* (default: standard error), as JSON unless it is a terminal.

    *level* is a name such as ``info``, in any case.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(_ConsoleFormatter() if target.isatty() else _JsonFormatter())
    # Log lines contain neither source lines nor threads, and finding them takes longer than writing the line.
    logging._srcfile = None  # noqa: SLF001 - the documented way (logging, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # The debug lines of these libraries are many, and may contain the URLs of attachments.
    for name in ("urllib3", "asyncio", "botocore", "azure", "google"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _event_data(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _timestamp(seconds: float) -> str:
    return f"{_whole_seconds(int(seconds))}.{int(seconds % 1 * 1000):03}Z"


@lru_cache(maxsize=1)
def _whole_seconds(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
