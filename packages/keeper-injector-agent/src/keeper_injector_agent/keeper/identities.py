"""Reports records whose title or type has changed since the last refresh.

Keeper's encryption does not bind the content of a record to its UID: a relay that is taken over could publish one record under the UID of
another. A change of title or type is rare, and usually somebody's edit, so it is reported and not refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_injector_agent.state import State
    from keeper_injector_common.records import Record

log = logging.getLogger(__name__)


def report_changed_identities(records: Iterable[Record], state: State) -> None:
    """Log each record with another title or type than *state* knows for its UID, and leave the new ones there."""
    for record in records:
        identity = state.digest(record.title.encode(), record.type.encode())
        if state.identities.get(record.uid, identity) != identity:
            log.warning(
                "record.identity_changed",
                extra={"uid": record.uid, "title": record.title, "type": record.type},
            )
        state.identities[record.uid] = identity
