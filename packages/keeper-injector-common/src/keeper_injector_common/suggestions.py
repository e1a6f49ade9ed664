"""Which of the known words someone probably meant by an unknown one."""

from __future__ import annotations

from collections.abc import Iterable

from keeper_injector_common.limits import LONGEST_WORD


def nearest_words(word: str, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return up to *most* of the *known* words that resemble *word*, the most similar one first; case does not count.

    *cutoff* is the lowest similarity of a result, from 0 to 1 (``difflib.SequenceMatcher.ratio``). A very long word resembles none.
    """
    if len(word) > LONGEST_WORD:
        return []
    import difflib  # here, because only an unknown word needs it

    folded = {item.casefold(): item for item in sorted(known)}
    close = difflib.get_close_matches(word.casefold(), list(folded), n=most, cutoff=cutoff)
    return [folded[item] for item in close]


def advice_on_key(key: str, known: Iterable[str]) -> str:
    """Return what to write in place of the unknown *key* of an object: the most similar key, or any of the *known* ones."""
    close = nearest_words(key, known)
    return f"did you mean {close[0]!r}?" if close else f"write one of {', '.join(sorted(known))}"
