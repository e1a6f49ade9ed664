"""Log lines: JSON for machines, plain for people at a terminal; an event's name and its data, never a sentence with values."""

from __future__ import annotations

import json
import logging
import sys
import time
from functools import lru_cache
from typing import IO, Any

_encode = json.JSONEncoder(ensure_ascii=False, default=repr).encode
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``time``, ``level``, ``event``, then the data of ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*; an exception adds its type and place, not its text's values."""
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **event_data(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


class ConsoleFormatter(logging.Formatter):
    """``12:00:00 event key=value …`` for terminals."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*."""
        data = " ".join(f"{key}={value}" for key, value in event_data(record).items())
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        line = f"{clock} {level}{record.getMessage()} {data}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def event_data(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller gave as ``extra``."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def configure_logging(level: str, stream: IO[str] | None = None) -> None:
    """Send the logs of this process to *stream* (standard error), as JSON unless it is a terminal."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(ConsoleFormatter() if target.isatty() else JsonFormatter())
    # Nothing of ours tells the line of code or the thread, and to find them out takes longer than to write the line.
    logging._srcfile = None  # noqa: SLF001 - the documented way (logging, "Optimization")
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries that talk about their connections: their debug lines would drown ours and may show addresses of files.
    for name in ("urllib3", "asyncio", "botocore", "azure", "google"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _timestamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
