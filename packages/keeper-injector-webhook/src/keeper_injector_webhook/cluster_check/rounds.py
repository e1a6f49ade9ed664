"""Runs the checks, once or in rounds until none fails, and prints each finding as soon as it is known."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator

from keeper_injector_common.cli import console
from keeper_injector_webhook.cluster_check.api import Api
from keeper_injector_webhook.cluster_check.before import api_version, check_before
from keeper_injector_webhook.cluster_check.findings import Finding, Status, as_json, as_text, failed
from keeper_injector_webhook.cluster_check.installation import (
    check_installation,
    check_installations,
    find_installations,
)
from keeper_injector_webhook.cluster_check.namespace import check_namespace
from keeper_injector_webhook.errors import ClusterError

_PAUSE = 3.0
"""Seconds between two rounds with ``--wait``."""

Group = tuple[str, Iterator[Finding]]
"""A heading and its checks, which run while they are iterated over."""


def run_rounds(options: argparse.Namespace) -> int:
    """Print the findings; return the exit code."""
    try:
        api = Api.from_kubeconfig(options.kubeconfig, options.context)
        until = time.monotonic() + options.wait
        while True:
            api_version(api)  # a cluster that does not answer is an error of the command, not of a check
            has_last_word = time.monotonic() + _PAUSE > until
            groups = _collect(_groups(api, options), shown=options.output == "text" and has_last_word)
            fails = any(item.status is Status.FAILED for _, found in groups for item in found)
            if not fails or has_last_word:
                break
            _progress(f"{_count(groups, Status.FAILED)} checks fail; the next round begins in {_PAUSE:.0f} s")
            time.sleep(_PAUSE)
    except ClusterError as error:
        raise console.CommandError(str(error)) from None
    if options.output == "json":
        sys.stdout.write(as_json(groups))
    elif not has_last_word:
        for heading, found in groups:
            _print(heading, found)
    _summary(groups)
    return console.EXIT_PROBLEMS if fails else console.EXIT_OK


def _groups(api: Api, options: argparse.Namespace) -> Iterator[Group]:
    if options.pre:
        yield "before the installation", check_before(api, options.namespace or "keeper-injector")
        return
    found = find_installations(api)
    yield "webhook", check_installations(found)
    for item in found:
        yield f"webhook in namespace {item.namespace}", check_installation(api, item, options.namespace or "default")
    if options.namespace:
        yield f"namespace {options.namespace}", check_namespace(api, options.namespace, found)


def _collect(groups: Iterator[Group], *, shown: bool) -> list[tuple[str, list[Finding]]]:
    """Run the checks; if *shown*, print each finding as soon as it is known."""
    collected: list[tuple[str, list[Finding]]] = []
    for heading, checks in groups:
        findings: list[Finding] = []
        collected.append((heading, findings))
        if shown:
            _print(heading, ())
        try:
            for finding in checks:
                findings.append(finding)
                if shown:
                    _print("", (finding,))
        except ClusterError as error:
            findings.append(
                failed("api-server", str(error), "check again, and read the API server's log if it persists")
            )
            if shown:
                _print("", findings[-1:])
    return collected


def _print(heading: str, findings: Iterable[Finding]) -> None:
    if heading:
        sys.stdout.write(f"{console.colored(heading, 'bold')}\n")
    for finding in findings:
        sys.stdout.write(as_text(finding))
    sys.stdout.flush()


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        console.print_error(text)


def _count(groups: list[tuple[str, list[Finding]]], status: Status) -> int:
    return sum(item.status is status for _, found in groups for item in found)


def _summary(groups: list[tuple[str, list[Finding]]]) -> None:
    bad, doubtful = _count(groups, Status.FAILED), _count(groups, Status.WARNING)
    color = "red" if bad else "yellow" if doubtful else "green"
    text = f"{_count(groups, Status.OK)} checks passed, {doubtful} warnings, {bad} failed"
    sys.stderr.write(f"{console.colored(text, color, sys.stderr)}\n")
