"""The access to Keeper that one refresh has: credentials, retries, and no request while Keeper throttles.

A session loads the KSM configuration, connects the SDK, and wraps it so that every call is retried within the refresh's
deadline. When it ends, it leaves in the state what the next refresh must know: server key, throttle window, and counters.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent import retry
from keeper_injector_agent.credentials import load_configuration
from keeper_injector_agent.credentials.proxy import proxy_environment
from keeper_injector_agent.errors import ThrottledError
from keeper_injector_agent.retry import call_with_retries
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from keeper_injector_agent.keeper.client import Client
    from keeper_injector_agent.keeper.vault import Vault
    from keeper_injector_agent.retry import RetryLimits
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import Attachment, Library, Record


@contextmanager
def open_session(
    plan: Plan, state: State, root: Path, *, deadline: float, limits: RetryLimits, client: Client | None = None
) -> Iterator[Session]:
    """Yield a vault for one refresh, which ends at *deadline* (:func:`time.monotonic`); *limits* are those of each call.

    A *client* that has asked Keeper already is used as it is. Raises :class:`ThrottledError` without a request while Keeper's
    throttle window is open, and :class:`VaultError` if the KSM configuration cannot be loaded.
    """
    seconds = state.throttled_for()
    if seconds > 0:
        raise ThrottledError(f"Keeper: throttled earlier; no request for {seconds:.0f} s", until=state.throttled_until)
    with proxy_environment(below_root(root, plan.proxy_file) if plan.proxy_file else None):
        yield from _connected(state, client or _connect(plan, state, root, deadline, limits), deadline, limits)


def _connected(state: State, client: Client, deadline: float, limits: RetryLimits) -> Iterator[Session]:
    from keeper_injector_agent.keeper.sdk import KeeperVault

    try:
        yield Session(KeeperVault(client), client, state, deadline, limits)
    finally:
        client.leave_results(state)
        client.transport.close()


def _connect(plan: Plan, state: State, root: Path, deadline: float, limits: RetryLimits) -> Client:
    configuration = dict(
        call_with_retries(
            partial(load_configuration, plan.credentials, root),
            deadline=min(limits.seconds, deadline - time.monotonic()),
            attempts=min(limits.attempts, retry.CREDENTIAL_ATTEMPTS),
        )
    )
    # Imported here: an invalid plan or configuration is reported without the 0.2 s that these imports take.
    from keeper_injector_agent.keeper.access import connect_to_records

    ca_file = below_root(root, plan.ca_file) if plan.ca_file else None
    return connect_to_records(configuration, state, ca_file=ca_file, deadline=deadline, patience=limits.patience)


class Session:
    """A vault whose calls are retried. It downloads each attachment once, and none after Keeper has throttled one."""

    def __init__(self, vault: Vault, client: Client, state: State, deadline: float, limits: RetryLimits) -> None:
        self.client = client
        self._vault = vault
        self._state = state
        self._deadline = deadline
        self._limits = limits
        self._downloads: dict[str, bytes] = {}
        self._throttled: ThrottledError | None = None

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Fetch records; see :class:`~keeper_injector_agent.keeper.vault.Vault`."""
        fetch = partial(self._vault.fetch, uids, folders=folders)
        library = call_with_retries(fetch, deadline=self._remaining(), attempts=self._limits.attempts)
        if self.client.is_relayed:
            from keeper_injector_agent.keeper.identities import report_changed_identities

            report_changed_identities(library.records, self._state)
        return library

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Download an attachment; see :class:`~keeper_injector_agent.keeper.vault.Vault`."""
        if self._throttled:
            raise self._throttled
        key = f"{record.uid}/{attachment.uid}"
        if key not in self._downloads:
            try:
                self._downloads[key] = call_with_retries(
                    partial(self._vault.download, record, attachment),
                    deadline=self._remaining(),
                    attempts=min(self._limits.attempts, retry.DOWNLOAD_ATTEMPTS),
                )
            except ThrottledError as error:
                self._throttled = error
                self._state.throttle(error.until)
                raise
        return self._downloads[key]

    def _remaining(self) -> float:
        """Return the seconds in which a retry may begin."""
        return min(self._limits.seconds, self._deadline - time.monotonic())
