"""The commands ``relay`` and ``split``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

from keeper_injector_agent.hardening import harden_process
from keeper_injector_agent.private_files import create_private_file
from keeper_injector_agent.relay.halves import split
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.ksm_configuration import MAX_AGE_KEY, parse_configuration

RELAY_HALF, PODS_HALF = "relay-half.json", "pods-half.json"
_CONFIG = "config"
_LARGEST_CONFIG = 1024 * 1024


def run_relay(options: argparse.Namespace) -> int:
    """Relay until SIGTERM; return the exit code."""
    harden_process()
    from keeper_injector_agent.relay.application import Application, RelayLimits
    from keeper_injector_agent.relay.process import Relay
    from keeper_injector_common.logs import configure_logging

    configure_logging(options.log_level)
    limits = RelayLimits(attachment=options.largest_attachment * 2**20)
    try:
        names = sorted(path.parent.name for path in options.applications.glob(f"*/{_CONFIG}"))
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}", os.EX_NOINPUT)
    if not names:
        advice = "mount the Secret with the relay's half of each application's KSM configuration there"
        return _fail(f"{options.applications}: no directory has a file {_CONFIG}; {advice}", os.EX_NOINPUT)
    applications = [
        Application(name, options.applications / name / _CONFIG, options.output, options.ca_file, limits)
        for name in names
    ]
    Relay(applications, options.output, interval=options.interval, frozen=partial(_frozen, options.frozen)).run()
    return os.EX_OK


def _frozen(file: Path | None) -> frozenset[str]:
    """Return the names in *file*; raises OSError if it cannot be read, so that nothing changes by accident."""
    try:
        return frozenset(file.read_text(encoding="utf-8").split()) if file else frozenset()
    except FileNotFoundError:
        return frozenset()


def run_split(options: argparse.Namespace) -> int:
    """Split a configuration into two files; return the exit code."""
    harden_process()
    where = str(options.config)
    try:
        if where == "-":
            content = sys.stdin.buffer.read(_LARGEST_CONFIG)
        else:
            with options.config.open("rb") as stream:
                content = stream.read(_LARGEST_CONFIG)
        halves = split(parse_configuration(content, where), options.relay, where)
        pods = {**halves.pods, MAX_AGE_KEY: str(options.max_age)}
        for path in (options.output / RELAY_HALF, options.output / PODS_HALF):
            if path.exists():
                return _fail(f"{path}: exists; move it away, or choose another --output", os.EX_CANTCREAT)
        for name, half in ((RELAY_HALF, halves.relay), (PODS_HALF, pods)):
            create_private_file(options.output / name, json.dumps(half, indent=2) + "\n")
    except ConfigurationError as error:
        return _fail(str(error), os.EX_DATAERR)
    except OSError as error:
        return _fail(f"{error.filename}: {error.strerror}", os.EX_NOINPUT)
    print(
        f"{options.output / RELAY_HALF}: for the relay's namespace; can ask Keeper, and cannot read the answers\n"
        f"{options.output / PODS_HALF}: for the namespaces of the pods; can read the relay's answers, and cannot ask Keeper"
    )
    return os.EX_OK


def _fail(message: str, code: int) -> int:
    print(f"keeper-injector-agent: {message}", file=sys.stderr)
    return code
