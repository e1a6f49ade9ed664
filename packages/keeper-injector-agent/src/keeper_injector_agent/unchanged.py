"""Ends a refresh of the sidecar early if the one before did everything and nothing has changed since.

Theory of operation
-------------------
Nearly all refreshes find nothing to do, and most of their CPU time would be spent on importing what reads plans and records and
delivers them. Therefore a refresh that did everything leaves a *receipt* in the state: a digest of the plan, how
it asked, and digests of Keeper's answer and of every set of files. The next refresh asks first. It is over if all of these are
still the same, because a refresh is a function of the plan, the answer, the files and the state. Otherwise it continues as
usual, with the answer that it has. If the plan has templates, their server is forked before Keeper is asked, as always.

Every module that is imported here costs CPU time at each refresh of each pod. Therefore what this module needs of the agent has
plain classes and named tuples instead of attrs, whose import and classes would take a sixth of this refresh.

There is no receipt

- if anything was reported: a problem, or a warning, which every refresh is to repeat;
- if a file, variable or Secret may contain a one-time code, which depends on the time;
- if the KSM configuration is in a cloud, the URL of a proxy in a file, or one request was not enough;
- for another process: after a restart, the agent may have another version. ``run`` identifies the supervisor.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from keeper_injector_agent.delivery.files import digest_files, is_settled, read_files
from keeper_injector_agent.delivery.templating import template_server
from keeper_injector_agent.reporting import report_success
from keeper_injector_agent.state import load_state
from keeper_injector_agent.telemetry import save_result
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_agent.delivery.refresh import Outcome
    from keeper_injector_agent.keeper.client import Client
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import RenderTemplate

_Receipt = dict[str, Any]


class _Counter(logging.Handler):
    """Counts warnings and errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


class Shortcut:
    """How one refresh of the sidecar may end early, and what it may leave for the next one."""

    def __init__(self, run: str) -> None:
        self.run = run
        """Identifies the supervisor that started this refresh."""
        self.started = time.monotonic()
        self.plan_text = ""
        """The JSON of the plan, as the refresh has read it."""
        self.client: Client | None = None
        """What has asked Keeper already, if anything has."""
        self.render_template: RenderTemplate | None = None
        """Of a template server that was forked before Keeper was asked, if the plan has templates."""
        self.resources = ExitStack()
        """To be closed when the refresh has ended."""
        self._warnings = _Counter()
        root = logging.getLogger()
        root.addHandler(self._warnings)
        self.resources.callback(root.removeHandler, self._warnings)

    def take(self, plan_path: Path, root: Path, *, deadline: float) -> bool:
        """Ask Keeper if there is a receipt, and return whether the refresh is over, because nothing has changed.

        Whatever prevents that is reported by the refresh that follows.
        """
        try:
            plan = plan_path.read_bytes()
            directory = below_root(root, json.loads(plan)["state"])
            state = load_state(directory)
            receipt = state.receipt
            if (
                receipt["run"] != self.run
                or receipt["plan"] != state.digest(plan)
                or state.throttled_for()
                or state.notify_at
            ):
                return False
            if receipt["templates"]:
                self.render_template = self.resources.enter_context(template_server())
            client = self.client = _connect(receipt, state, root, self.started + deadline)
            client.ask(receipt["uids"], folders=receipt["folders"])
            if not _is_same(client, state, root):
                return False
        except Exception:  # noqa: BLE001 - the refresh that follows meets it as well, and reports it
            return False
        client.leave_results(state)
        client.transport.close()
        elapsed = round((time.monotonic() - self.started) * 1000)
        report_success(state, {"files": state.files, "bytes": state.size, "changed": [], "milliseconds": elapsed})
        state.last_attempt = state.freshness.fetched = time.time()
        save_result(directory, state, refreshed=True)
        return True

    def receipt(self, plan: Plan, outcome: Outcome, client: Client, state: State) -> _Receipt:
        """Return the receipt for a refresh with the *outcome*, or an empty one if the next may have to do something."""
        from keeper_injector_common.plan.credentials import FileCredentials

        requests = [uids for operation, uids in client.answers if operation == "get_secret"]
        complete = not outcome.problems and outcome.repeatable and not self._warnings.count
        stale = any(target.stale for target in state.freshness.targets.values())
        if (
            not complete
            or stale
            or len(requests) != 1
            or plan.proxy_file
            or not isinstance(plan.credentials, FileCredentials)
        ):
            return {}
        return {
            "run": self.run,
            "plan": state.digest(self.plan_text.encode()),
            "templates": plan.has_templates(),
            "credentials": plan.credentials.path,
            "ca": plan.ca_file,
            "uids": list(requests[0]),
            "folders": len(client.answers) > 1,
            "answer": _digest_answers(client, state),
            "sets": dict(outcome.sets),
        }


def _is_same(client: Client, state: State, root: Path) -> bool:
    """Return whether Keeper's answer and all files are those of the receipt."""
    if _digest_answers(client, state) != state.receipt["answer"]:
        return False
    for path, digest in state.receipt["sets"].items():
        files = read_files(below_root(root, path))
        if digest_files(files, state.digest) != digest or not is_settled(below_root(root, path), files):
            return False
    return True


def _connect(receipt: _Receipt, state: State, root: Path, until: float) -> Client:
    # Imported here: without a receipt, the plan is checked first.
    from keeper_injector_agent.credentials.file import read_from_file
    from keeper_injector_agent.keeper.access import connect_to_records
    from keeper_injector_common.ksm_configuration import parse_configuration

    path = below_root(root, receipt["credentials"])
    configuration = parse_configuration(read_from_file(path), str(path))
    ca_file = below_root(root, receipt["ca"]) if receipt["ca"] else None
    return connect_to_records(configuration, state, ca_file=ca_file, deadline=until)


def _digest_answers(client: Client, state: State) -> str:
    parts = ((json.dumps(request).encode(), answer) for request, answer in sorted(client.answers.items()))
    return state.digest(*(part for answer in parts for part in answer))
