"""What checks have found, as values, and the two forms in which they are shown: a list for people, and JSON.

The command ``keeper-injector check`` reads a cluster, and ``keeper-injector-agent check`` the way to Keeper; both use this module.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Iterator, Sequence

import attrs

from keeper_injector_common.cli.console import EXIT_OK, EXIT_PROBLEMS, colored, json_text, visible
from keeper_injector_common.json_values import Json
from keeper_injector_common.limits import shortened

DOCUMENTATION = "https://github.com/keeper-security/keeper-injector/blob/main/packages/keeper-injector-common/docs/"


class Status(enum.Enum):
    """How a check ended: its name in JSON, its mark on a terminal and the colour of the mark."""

    OK = ("ok", "✓", "green")
    WARNING = ("warning", "!", "yellow")
    """Something works, but not as it should, or the check was not possible."""
    FAILED = ("failed", "✗", "red")

    @property
    def mark(self) -> str:
        """The mark in front of the line, in its colour on a terminal."""
        return colored(self.value[1], self.value[2])


@attrs.frozen
class Finding:
    """The result of one check."""

    check: str
    """The name of the check, such as ``webhook-certificate``. Programs read it, so it must not change."""
    status: Status
    found: str
    """What was found, as a sentence without a full stop."""
    right: str = ""
    """The command or the value that corrects it; empty if there is nothing to correct."""
    page: str = ""
    """The page and heading of the documentation, such as ``troubleshooting.md#the-installation``."""
    seconds: float | None = None
    """How long a request took, if that is the result."""

    @property
    def link(self) -> str:
        """The address of :attr:`page`; empty without a page."""
        return DOCUMENTATION + self.page if self.page else ""


def ok(check: str, found: str, seconds: float | None = None) -> Finding:
    """Return the finding that *check* passed."""
    return Finding(check, Status.OK, found, seconds=seconds)


def warning(check: str, found: str, right: str = "", page: str = "") -> Finding:
    """Return a finding that does not make the command fail."""
    return Finding(check, Status.WARNING, found, right, page)


def failed(check: str, found: str, right: str, page: str = "") -> Finding:
    """Return a finding that makes the command fail."""
    return Finding(check, Status.FAILED, found, right, page)


def as_text(finding: Finding) -> str:
    """Return the finding for a person: one line, and below it what to do and where to read more."""
    lines = [f"{finding.status.mark} {printable(finding.found)}"]
    if finding.right:
        lines.append(f"    {colored('do:', 'bold')}  {printable(finding.right)}")
    if finding.link:
        lines.append(f"    {colored('see:', 'bold')} {colored(finding.link, 'dim')}")
    return "\n".join(lines) + "\n"


Group = tuple[str, Iterator[Finding]]
"""A heading and its checks, which run while they are iterated over."""
Findings = Sequence[tuple[str, Sequence[Finding]]]
"""The findings of each group."""


def run_checks(groups: Iterable[Group], *, shown: bool) -> Findings:
    """Run the checks and return what they found; if *shown*, print each finding as soon as it is known."""
    collected: list[tuple[str, list[Finding]]] = []
    for heading, checks in groups:
        findings: list[Finding] = []
        collected.append((heading, findings))
        if shown:
            _write(f"{colored(heading, 'bold')}\n")
        for finding in checks:
            findings.append(finding)
            if shown:
                _write(as_text(finding))
    return collected


def count(findings: Findings, status: Status) -> int:
    """Return how many of the findings have this status."""
    return sum(item.status is status for _, found in findings for item in found)


def write_report(findings: Findings, output: str, *, shown: bool) -> int:
    """Write the findings as *output* (``text`` or ``json``) unless they are *shown* already; return the exit code.

    A summary goes to standard error. The exit code is 1 if a check failed, and 0 otherwise.
    """
    if output == "json":
        _write(as_json(findings))
    elif not shown:
        for heading, found in findings:
            _write("".join((f"{colored(heading, 'bold')}\n", *map(as_text, found))))
    bad, doubtful = count(findings, Status.FAILED), count(findings, Status.WARNING)
    color = "red" if bad else "yellow" if doubtful else "green"
    text = f"{count(findings, Status.OK)} checks passed, {doubtful} warnings, {bad} failed"
    sys.stderr.write(f"{colored(text, color, sys.stderr)}\n")
    return EXIT_PROBLEMS if bad else EXIT_OK


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def as_json(findings: Findings) -> str:
    """Return all findings, each with its group, as one JSON document."""
    content = [_json(group, item) for group, found in findings for item in found]
    return json_text({"version": 1, "findings": content})


def printable(text: str) -> str:
    """Return *text*, which may come from the cluster, in one line and without characters that control a terminal."""
    return shortened(visible(" ".join(text.splitlines())))


def _json(group: str, item: Finding) -> Json:
    content: Json = {
        "group": group,
        "check": item.check,
        "status": item.status.value[0],
        "found": item.found,
        "fix": item.right,
        "link": item.link,
    }
    return content if item.seconds is None else {**content, "seconds": round(item.seconds, 3)}
