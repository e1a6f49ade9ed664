"""Chooses the way to the records: Keeper itself, or a relay if the KSM configuration is the pods' half of a split one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.retry import LONGEST_PATIENCE
from keeper_injector_common.ksm_configuration import RELAY_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keeper_injector_agent.keeper.client import Client
    from keeper_injector_agent.state import State


def connect_to_records(
    configuration: Mapping[str, str],
    state: State,
    *,
    ca_file: Path | None,
    deadline: float,
    patience: float = LONGEST_PATIENCE,
) -> Client:
    """Return a client for *configuration* that may send requests until *deadline*; sends none. Raises VaultError."""
    if RELAY_KEY in configuration:
        from keeper_injector_agent.keeper.relayed import connect_relayed

        return connect_relayed(configuration, state, ca_file=ca_file, deadline=deadline, patience=patience)
    from keeper_injector_agent.keeper.client import connect
    from keeper_injector_agent.keeper.transport import Transport

    known = {**configuration, "serverPublicKeyId": state.server_key_id} if state.server_key_id else configuration
    return connect(known, Transport(ca_file=ca_file, deadline=deadline, patience=patience))
