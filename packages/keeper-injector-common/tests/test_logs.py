"""Log lines: JSON for machines, plain lines for terminals."""

from __future__ import annotations

import io
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest

from keeper_injector_common.logs import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return true."""
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Restore the configuration of logging, which is global."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    switches = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")
    values = {name: getattr(logging, name) for name in switches}
    levels = {name: logging.getLogger(name).level for name in ("urllib3", "asyncio", "botocore", "azure", "google")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in values.items():
        setattr(logging, name, value)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


def test_line_for_machines_is_json() -> None:
    """A line has time, level and event, then the data of the call."""
    stream = io.StringIO()
    configure_logging("info", stream)
    logging.getLogger("test").warning("record.ambiguous", extra={"record": "db", "count": 2})
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "warning", "event": "record.ambiguous", "record": "db", "count": 2}


def test_line_for_terminals_is_plain() -> None:
    """A terminal gets time, event and data; the level is shown above info."""
    stream = Terminal()
    configure_logging("INFO", stream)
    logging.getLogger("test").info("refresh.started")
    logging.getLogger("test").error("refresh.failed", extra={"attempt": 3})
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d refresh\.started", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d error: refresh\.failed attempt=3", second)


@pytest.mark.parametrize(("stream", "one_line"), [(io.StringIO(), True), (Terminal(), False)], ids=["json", "terminal"])
def test_exception_adds_its_traceback(stream: io.StringIO, *, one_line: bool) -> None:
    """A logged exception includes its traceback, inside the one line of JSON or below the plain line."""
    configure_logging("info", stream)
    try:
        raise ValueError("no such thing")  # noqa: TRY301 - logged below
    except ValueError:
        logging.getLogger("test").exception("agent.crashed")
    assert "ValueError: no such thing" in stream.getvalue()
    assert (len(stream.getvalue().splitlines()) == 1) is one_line


def test_value_that_json_cannot_hold_is_logged_by_its_repr() -> None:
    """A line is written whatever the data is."""
    stream = io.StringIO()
    configure_logging("info", stream)
    logging.getLogger("test").info("event", extra={"value": {1}})
    assert json.loads(stream.getvalue())["value"] == "{1}"


def test_level_hides_events_below_it_and_libraries_stay_quiet() -> None:
    """Events below the level are not written, and libraries never write below warning."""
    stream = io.StringIO()
    configure_logging("debug", stream)
    logging.getLogger("urllib3.connectionpool").debug("secret address")
    logging.getLogger("test").debug("state.read")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["state.read"]
    configure_logging("error", stream)
    logging.getLogger("test").warning("record.ambiguous")
    assert "record.ambiguous" not in stream.getvalue()
