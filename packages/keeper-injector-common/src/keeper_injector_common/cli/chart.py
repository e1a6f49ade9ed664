"""Options by which a command knows what a chart decides: defaults of annotations, and in which namespace they are asked for."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from keeper_injector_common.annotations import defaults
from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.cli import console
from keeper_injector_common.cli.manifests import Workload
from keeper_injector_common.errors import Problem
from keeper_injector_common.parsers import InvalidValue


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    what = "values of the chart, or the webhook's settings: their defaults hold"
    parser.add_argument("--defaults", type=Path, metavar="FILE", help=what)
    parser.add_argument("--namespace", default="default", help="for workloads that name none (default: default)")


def read(options: argparse.Namespace) -> Defaults:
    """Read the file that the options name; raises :class:`~keeper_injector_common.cli.console.Stop`."""
    if options.defaults is None:
        return Defaults()
    problems: list[Problem] = []
    try:
        found = defaults.parse(str(options.defaults), console.read(options.defaults), problems)
    except InvalidValue as error:
        raise console.Stop(f"{options.defaults}: {error}") from None
    if problems:
        raise console.Stop("\n".join(map(str, problems)))
    return found


def within(found: Defaults, workload: Workload, options: argparse.Namespace) -> Mapping[str, str]:
    """Return the defaults that hold for a workload."""
    metadata = workload.manifest.get("metadata")
    named = metadata.get("namespace") if isinstance(metadata, dict) else None
    return found.within(str(named or options.namespace))
