"""``keeper-injector check``: prints what works in a cluster and what does not, and what to do about it."""

from __future__ import annotations

import argparse

from keeper_injector_common.cli.console import CommandError

DESCRIPTION = """\
Check a cluster: whether Keeper Injector can be installed in it (--pre),
whether the installed webhook works, and with --namespace whether the pods of
a namespace get their secrets. The cluster is read with the rights of your
kubeconfig; nothing in it is changed.

exit codes: 0 no check failed, 1 a check failed, 2 the cluster cannot be
reached or the arguments are invalid
"""
EXAMPLES = """\
examples:
  # Before the installation.
  keeper-injector check --pre

  # After it, and for one namespace.
  keeper-injector check
  keeper-injector check --namespace shop

  # In a pipeline: wait up to two minutes until nothing fails.
  keeper-injector check --wait 120 -o json

To check the way to Keeper and the records of an application, use the agent:
  keeper-injector-agent check --config ksm-config.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--pre", action="store_true", help="check what an installation needs, before it")
    parser.add_argument("--namespace", "-n", metavar="NAME", help="check the workloads and pods of this namespace too")
    parser.add_argument("--kubeconfig", metavar="FILE", help="kubeconfig file (default: as for kubectl)")
    parser.add_argument("--context", metavar="NAME", help="context of the kubeconfig (default: the current one)")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="repeat until no check fails, at most for this long (default: check once)",
    )
    parser.add_argument(
        "-o", "--output", choices=["text", "json"], default="text", help="output format (default: %(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings; return the exit code."""
    # Imported after the arguments are parsed: the Kubernetes client takes a second.
    try:
        from keeper_injector_webhook.cluster_check.rounds import run_rounds
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] == "kubernetes":
            raise CommandError(
                "check: the Kubernetes client is not installed; run: pip install 'keeper-injector-webhook[check]'"
            ) from None
        raise
    return run_rounds(options)
