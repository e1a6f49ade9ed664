"""The end of a message about a name that does not exist: what was probably meant, or what there is."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from keeper_injector_common.suggestions import nearest_words

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_SUGGESTED = 3
"""Number of similar names, or of UIDs, that a message contains at most."""


def suggestion(name: str, existing: Iterable[str], *, most_listed: int = 6, none: str) -> str:
    """Return names of *existing* that are similar to *name*, or all of them if they are few, or how many there are.

    *none* is what to do if nothing exists. Names are not secret from anyone who may read messages about the record.
    """
    names = sorted(set(existing))
    close = nearest_words(name, names, most=MOST_SUGGESTED, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return f"; {none}"
    listed = f": {', '.join(map(repr, names))}" if len(names) <= most_listed else ""
    return f"; there is one other{listed}" if len(names) == 1 else f"; there are {len(names)} others{listed}"


def lookalike(name: str, existing: Iterable[tuple[str, str]]) -> str:
    """Return the end of a message if one of *existing*, names with their UIDs, looks like *name*; otherwise an empty text.

    Two names look the same if only blanks differ, or characters that Unicode can encode in two ways (NFC and NFD).
    """
    seen = _seen(name)
    uids = sorted(uid for other, uid in existing if other != name and _seen(other) == seen)
    if not uids:
        return ""
    return (
        f"; the name of {uids[0]} looks the same and is not, because of blanks or of characters that Unicode encodes in "
        "two ways; use the UID"
    )


def _seen(name: str) -> str:
    parts = unicodedata.normalize("NFKC", name).split("/")
    return "/".join(" ".join(part.split()) for part in parts)
