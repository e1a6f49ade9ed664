"""The options of the commands that pods run, as a table, and a reader for them that needs no argparse.

argparse and its parsers take a twentieth of the time of ``init``, and a fifth of that of the startup probe, which the start of
a pod waits for. Command lines of pods are always complete, and say nothing that needs an explanation. :func:`read_options` reads
such a line. Any other, with ``--help``, an abbreviation or a mistake, it leaves to the parser that
:mod:`keeper_injector_agent.parser` builds from the same table.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from keeper_injector_common.plan.paths import PLAN_PATH

TYPE_CHECKING = False  # the probe does without typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

_REFRESH_DEADLINE = 120.0
"""Seconds."""
_INIT_DEADLINE = 240.0
"""Seconds. The kubelet waits indefinitely, deployments do not: progressDeadlineSeconds is 600 by default."""
OVERTIME = 30.0
"""Seconds after its deadline until a refresh is killed; within them it delivers what it has and reports what is missing."""
READY_SECONDS = 5.0
"""Less than the time that the startup probe has (the webhook's ``manifests.py``), with the start of this command."""
LOG_LEVELS = ("debug", "info", "warning", "error")
OUTPUTS = ("text", "json")

REFRESHING = ("init", "sidecar", "once")
"""The commands that refresh."""
_COMMANDS = (*REFRESHING, "refresh", "status", "ready")


_LONGEST = 86400.0
"""Seconds: a day."""


def seconds(text: str) -> float:
    """Return the seconds that *text* says; raises ValueError. NaN and infinity would make the command wait indefinitely."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _LONGEST:
        raise ValueError(f"{text!r} is not a number of seconds; write one from 0 to {_LONGEST:.0f}, such as 30")
    return value


def path(text: str) -> Path:
    """Return the path that *text* says; raises ValueError."""
    if not text:
        raise ValueError("the path is empty; write one, or leave the option out")
    return Path(text)


class Option:
    """An option of some commands."""

    def __init__(
        self,
        names: tuple[str, ...],
        help: str,  # noqa: A002 - as in argparse
        defaults: Mapping[str, Any],
        convert: Callable[[str], Any] | None = str,
        choices: tuple[str, ...] | None = None,
    ) -> None:
        """*defaults* has the default of each command with this option.

        *convert* returns the value for a text, or raises ValueError, whose text is for people. It is None for an option without a
        value, which is then True.
        """
        self.names = names
        self.attribute = names[-1].removeprefix("--").replace("-", "_")
        self.help = help
        self.defaults = defaults
        self.convert = convert
        self.choices = choices


def _for(commands: Sequence[str], default: Any) -> dict[str, Any]:
    return dict.fromkeys(commands, default)


OPTIONS = (
    Option(("--plan",), "plan file (default: %(default)s)", _for(_COMMANDS, Path(PLAN_PATH)), path),
    Option(("--root",), "directory to use as / (default: /)", _for(_COMMANDS, Path("/")), path),
    Option(("--log-level",), "default: %(default)s", _for(_COMMANDS, "info"), choices=LOG_LEVELS),
    Option(
        ("--timeout",),
        "seconds to wait for its end (default: %(default)g)",
        {"refresh": _REFRESH_DEADLINE + 2 * OVERTIME},
        seconds,
    ),
    Option(
        ("--deadline",),
        "seconds for one refresh (default: %(default)g)",
        {"init": _INIT_DEADLINE, **_for(("sidecar", "once", "ready"), _REFRESH_DEADLINE), "status": 0.0},
        seconds,
    ),
    Option(("--plan-digest",), "refuse every plan but the one with this digest (sha256:…)", _for(REFRESHING, None)),
    Option(
        ("--no-restart",),
        "nothing repeats this command after a failure (restartPolicy: Never): retry for a minute, not for seconds",
        {"init": False},
        None,
    ),
    Option(("--wait",), "seconds to wait for the sidecar (default: %(default)g)", {"ready": READY_SECONDS}, seconds),
    Option(
        ("-o", "--output"),
        "output format (default: %(default)s)",
        _for(("refresh", "status"), "text"),
        choices=OUTPUTS,
    ),
)
"""In the order of ``--help``."""


def read_options(arguments: Sequence[str]) -> SimpleNamespace | None:
    """Return the command and its options as attributes, or None if only the whole parser can read them, or say what is wrong."""
    command, *words = arguments or [""]
    known = {name: option for option in OPTIONS if command in option.defaults for name in option.names}
    if not known:
        return None
    found = SimpleNamespace(command=command)
    for option in known.values():
        setattr(found, option.attribute, option.defaults[command])
    rest = iter(words)
    for word in rest:
        if word not in known:
            return None
        option = known[word]
        if option.convert is None:
            setattr(found, option.attribute, True)
            continue
        text = next(rest, "-")
        if text.startswith("-") or (option.choices and text not in option.choices):
            return None
        try:
            setattr(found, option.attribute, option.convert(text))
        except ValueError:
            return None
    return found
