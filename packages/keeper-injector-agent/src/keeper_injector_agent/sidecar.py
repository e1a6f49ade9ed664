"""The worker process of the sidecar: one refresh. The supervisor forks it, with ``--throttle-fd``.

Nothing here imports the modules of a whole refresh, which takes longer than a refresh that finds nothing to do.
"""

from __future__ import annotations

import os

from keeper_injector_agent.hardening import harden_process
from keeper_injector_agent.lean_stdlib import pathlib
from keeper_injector_agent.unchanged import Shortcut
from keeper_injector_common.logs import configure_logging


def main(arguments: list[str]) -> int:
    """Run one refresh and return its exit code (sysexits.h). Each option of *arguments* is followed by its value."""
    harden_process()
    # Without argparse, which takes 7 ms: the supervisor passes what the command `sidecar` composed.
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    configure_logging(options["--log-level"])
    plan, root = pathlib.Path(options["--plan"]), pathlib.Path(options["--root"])
    deadline = float(options["--deadline"])
    if "--killed" in options:
        from keeper_injector_agent.worker import report_killed

        return report_killed(plan, root, options["--killed"])
    throttle = int(options["--throttle-fd"])
    shortcut = Shortcut(options["--run"])
    with shortcut.resources:
        if shortcut.take(plan, root, deadline=deadline):
            os.write(throttle, b"0.0")
            return os.EX_OK
        from keeper_injector_agent.worker import run_refresh

        return run_refresh(
            plan,
            root=root,
            deadline=deadline,
            initial=False,
            throttle_fd=throttle,
            plan_digest=options.get("--plan-digest"),
            shortcut=shortcut,
        )
