"""The arguments of ``relay`` and ``split``. This module imports nothing else, because every command's parser imports it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MIB = 2**20
SHORTEST_INTERVAL = 15.0
"""Seconds: with the requests for folders, six requests a minute."""
_EXAMPLES = {
    "relay": """\
examples:
  keeper-injector-agent relay --applications /relay/applications --output /relay/published
""",
    "split": """\
examples:
  keeper-injector-agent split --config ksm-config.json --relay http://keeper-injector-relay.keeper-injector.svc.cluster.local.:8080
  kubectl -n keeper-injector create secret generic shop --from-file=config=relay-half.json
  kubectl -n shop create secret generic keeper-credentials --from-file=config=pods-half.json
""",
}


def add_commands(add: Callable[..., Any]) -> None:
    """Add both commands with *add*, the ``add_parser`` of argparse."""
    text = "ask Keeper for many pods, and publish the answers, still encrypted, for a web server"
    relay = _command(add, "relay", text)
    relay.add_argument(
        "--applications",
        type=Path,
        required=True,
        metavar="DIRECTORY",
        help="has a directory for each application, with the relay's half of its KSM configuration in the file 'config'",
    )
    relay.add_argument(
        "--output", type=Path, required=True, metavar="DIRECTORY", help="what the web server serves; a memory volume"
    )
    relay.add_argument(
        "--interval",
        type=_interval,
        default=30.0,
        metavar="SECONDS",
        help=f"between two requests for one application, at least {SHORTEST_INTERVAL:g} (default: %(default)g)",
    )
    relay.add_argument(
        "--frozen",
        type=Path,
        metavar="FILE",
        help="names the applications that must not change, one in each line; it is read before every request, and may be missing",
    )
    relay.add_argument(
        "--largest-attachment",
        type=int,
        default=10,
        metavar="MIB",
        help="attachments up to this size are published (default: %(default)s)",
    )
    relay.add_argument("--ca-file", type=Path, metavar="FILE", help="additional CA to trust (PEM)")
    relay.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"], help="default: %(default)s"
    )
    text = "split a KSM configuration: the relay's half can ask Keeper, the pods' half can read the answers"
    split = _command(add, "split", text)
    split.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="bound KSM configuration, - for stdin"
    )
    split.add_argument("--relay", required=True, metavar="URL", help="where pods reach the relay: http://HOST:PORT")
    split.add_argument(
        "--max-age",
        type=int,
        default=86400,
        metavar="SECONDS",
        help="pods refuse a snapshot that is older (default: %(default)s, one day)",
    )
    split.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIRECTORY",
        help="where the two files are created (default: here)",
    )


def _command(add: Callable[..., Any], name: str, text: str) -> Any:
    return add(
        name,
        help=text,
        description=text,
        epilog=_EXAMPLES[name],
    )


def _interval(text: str) -> float:
    seconds = float(text)
    if seconds < SHORTEST_INTERVAL:
        raise argparse.ArgumentTypeError(
            f"{text}: shorter than {SHORTEST_INTERVAL:g} s; Keeper limits the requests of one device"
        )
    return seconds
