"""The webhook's rules about whole pods, which ``lint`` and ``explain`` apply if the webhook's package is installed.

That package registers a function by an entry point in the group ``keeper_injector.checks``::

    [project.entry-points."keeper_injector.checks"]
    webhook = "keeper_injector_webhook.checks:check"
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from keeper_injector_common.cli.console import print_error
from keeper_injector_common.cli.entry_points import load_entry_point
from keeper_injector_common.cli.inputs import ChartSettings
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.errors import Problem

ENTRY_POINTS = "keeper_injector.checks"
_PACKAGE = "keeper-injector-webhook"

Verdict = tuple[tuple[Problem, ...], tuple[Problem, ...]]
"""The problems for which the webhook would reject the pods of a workload, and its warnings."""
Check = Callable[[Workload, ChartSettings, str], Verdict]
"""Decides about the pods of a workload that asks for injection. The text is the namespace of a workload that sets none."""


def for_settings(chart: ChartSettings, namespace: str) -> Callable[[Workload], Verdict]:
    """Return the check of the installed webhook for these settings. It is imported when it is needed first.

    If its package is not installed, the function finds nothing, and prints once which checks are missing. It raises
    :class:`~keeper_injector_common.cli.console.CommandError` if the package cannot be imported.
    """

    def check(workload: Workload) -> Verdict:
        installed = _load()
        return installed(workload, chart, namespace) if installed else ((), ())

    return check


@cache
def _load() -> Check | None:
    extension = load_entry_point(ENTRY_POINTS, _PACKAGE)
    if extension is not None:
        return cast("Check", extension.content)
    print_error(
        "the webhook's rules about the pod are not checked, such as containers that do not exist, commands for env-<NAME> and the "
        f"user for signal; run: pip install {_PACKAGE}"
    )
    return None
