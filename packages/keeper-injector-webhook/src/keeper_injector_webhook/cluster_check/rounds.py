"""Runs the checks of a cluster, once or in rounds until none fails."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

from keeper_injector_common.cli import console
from keeper_injector_common.cli.findings import Finding, Group, Status, count, failed, run_checks, write_report
from keeper_injector_webhook.cluster_check.api import Api
from keeper_injector_webhook.cluster_check.before import api_version, check_before
from keeper_injector_webhook.cluster_check.configurations import find_installations
from keeper_injector_webhook.cluster_check.installation import (
    check_installation,
    check_installations,
)
from keeper_injector_webhook.cluster_check.namespace import check_namespace
from keeper_injector_webhook.cluster_check.relay import check_relays
from keeper_injector_webhook.errors import ClusterError

_PAUSE = 3.0
"""Seconds between two rounds with ``--wait``."""


def run_rounds(options: argparse.Namespace) -> int:
    """Print the findings of the last round; return the exit code."""
    try:
        api = Api.from_kubeconfig(options.kubeconfig, options.context)
        until = time.monotonic() + options.wait
        while True:
            api_version(api)  # a cluster that does not answer is an error of the command, not of a check
            is_last = time.monotonic() + _PAUSE > until
            shown = options.output == "text" and is_last
            findings = run_checks(_groups(api, options), shown=shown)
            fails = count(findings, Status.FAILED)
            if is_last or not fails:
                return write_report(findings, options.output, shown=shown)
            _progress(f"{fails} checks fail; the next round begins in {_PAUSE:.0f} s")
            time.sleep(_PAUSE)
    except ClusterError as error:
        raise console.CommandError(str(error)) from None


def _groups(api: Api, options: argparse.Namespace) -> Iterator[Group]:
    if options.pre:
        yield "before the installation", _guarded(check_before(api, options.namespace or "keeper-injector"))
        return
    found = find_installations(api)
    yield "webhook", check_installations(found)
    for item in found:
        checks = check_installation(api, item, options.namespace or "default")
        yield f"webhook in namespace {item.namespace}", _guarded(checks)
        yield f"relay in namespace {item.namespace}", _guarded(check_relays(api, item.namespace))
    if options.namespace:
        yield f"namespace {options.namespace}", _guarded(check_namespace(api, options.namespace, found))


def _guarded(checks: Iterator[Finding]) -> Iterator[Finding]:
    """Run *checks*; a request that fails ends only these."""
    try:
        yield from checks
    except ClusterError as error:
        yield failed("api-server", str(error), "check again, and read the API server's log if it persists")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        console.print_error(text)
