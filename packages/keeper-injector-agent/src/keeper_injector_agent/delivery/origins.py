"""Which record each name of the plan means, and whether that is another one than in the previous refresh.

A title can belong to several records, and to another record tomorrow. The state therefore remembers the *origin* of each name, the
UID of the record that it meant, and a name keeps its meaning while that record matches it (``Library.resolve``). If a name means
another record nevertheless, that is never silent:

=============================================================  ==========================================================
the record that the name meant …                               and then …
=============================================================  ==========================================================
is gone or has another title; another one has the title        the other one is delivered: ``reference.changed``
the same, with ``strict-lookup``                               the item keeps its content, and a problem is reported
is gone; the name says a UID or a path, and is now only        the item keeps its content, and a problem is reported
the title of another record
cannot be decrypted; another one matches                       the item keeps its content, and a problem is reported
=============================================================  ==========================================================

A name that says a UID or a path, and is found as a title from the start, is reported once: ``reference.by_title``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import Record, Resolution
    from keeper_injector_common.references import RecordName

log = logging.getLogger(__name__)

_MOST_LOGGED = 10
"""Records that the log names if all of them have one name."""


def known_origins(state: State) -> dict[str, str]:
    """Return the UID of the record that each name meant in the previous refresh."""
    return {name: found["uid"] for name, found in state.references.items()}


def note_origins(plan: Plan, resolutions: Mapping[RecordName, Resolution], state: State) -> None:
    """Log what may surprise about *resolutions*, what the names of *plan* mean now, and leave it in the state.

    A name that means nothing in this refresh keeps its origin: its item keeps its content, too.
    """
    names = {str(reference.record): reference.record for reference in plan.references()}
    # The names of records never begin with a slash, which would have a backslash before it; the paths of files do.
    references = {text: found for text, found in state.references.items() if text.startswith("/")}
    for text, name in names.items():
        known = state.references.get(text)
        found = resolutions.get(name)
        if found is None:
            if known:
                references[text] = known
            continue
        if found.others:
            _log_ambiguous(found)
        references[text] = known if known and known["uid"] == found.record.uid else _noted(text, found, state)
    state.references = references


def _log_ambiguous(found: Resolution) -> None:
    others = list(found.others[: _MOST_LOGGED - 1])
    log.warning("record.ambiguous", extra={"record": found.name.title, "uid": found.record.uid, "others": others})


def _noted(text: str, found: Resolution, state: State) -> dict[str, object]:
    """Log a record that *text* has not meant before, and return its entry in the state."""
    record = found.record
    if found.by_title:
        log.warning("reference.by_title", extra={"reference": text, "uid": record.uid, "write": found.exact})
    if found.replaced:
        note_replaced(state, text, record, found.replaced)
        return state.references[text] | {"exact": found.exact if found.by_title else ""}
    return {"uid": record.uid, "previous": "", "changed": 0.0, "exact": found.exact if found.by_title else ""}


def note_replaced(state: State, reference: str, record: Record, previous_uid: str) -> None:
    """Log that *reference*, a name or the path of a folder's file, means *record* now and another one before, and count it."""
    state.count("replacements")
    log.warning(
        "reference.changed",
        extra={"reference": reference, "uid": record.uid, "title": record.title, "previous_uid": previous_uid},
    )
    state.references[reference] = {"uid": record.uid, "previous": previous_uid, "changed": time.time(), "exact": ""}
