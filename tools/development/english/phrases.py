"""The forbidden phrases and what to write instead; ``.github/STYLE.md`` explains them to people."""

from __future__ import annotations

import re

import attrs

_BE = r"(?:is|are|was|were|be|been|being)"
_SPACE = r"(?:[ \t]+|[ \t]*\n[ \t]*)"
"""Words may be separated by a line break, but not by an empty line."""


@attrs.frozen
class Phrase:
    """A phrase that readers must not meet, and a better wording."""

    pattern: re.Pattern[str]
    better: str
    unless_after: re.Pattern[str] | None = None
    """Words before the phrase that make it right: "something else"."""


def _phrase(pattern: str, better: str, unless_after: str = "", flags: re.RegexFlag = re.IGNORECASE) -> Phrase:
    """Return a phrase that is matched at word boundaries; each space of *pattern* matches any white space."""
    before = re.compile(rf"(?:{unless_after})\s*$", re.IGNORECASE) if unless_after else None
    return Phrase(re.compile(rf"\b(?:{pattern})\b".replace(" ", _SPACE), flags), better, before)


_COMPARED = (
    "longer|more|less|fewer|later|earlier|older|newer|larger|greater|smaller|higher|lower|better|worse|different"
)
_AFTER_A_NOUN = (
    "after|and|are|around|as|at|because|before|below|beside|but|by|for|from|has|have|if|in|is|on|or|so|that|then|to|too|was|were"
    "|when|where|which|while|who|with|without"
)

PHRASES = (
    _phrase(f"{_BE} (?:then |also |not |never |only |all )?said", "'is logged' or 'is reported'"),
    _phrase(rf"{_BE} (?:then |also |not |never )?told(?! apart)", "'is notified', or name who reports what to whom"),
    _phrase("(?:goes|go|going|went) before", "'overrides' or 'takes precedence over'"),
    _phrase("whoever|whomever", "'anyone who', or name the actor"),
    _phrase(f"{_BE} none", "'does not exist', 'is missing' or 'is not set'", flags=re.NOFLAG),
    _phrase(r"be (?:\w+ )?had", "'is unavailable' or 'cannot be fetched'"),
    _phrase("of ours|of theirs|of yours", "'our', 'their' or 'your' before the noun"),
    # "The tag of its own image" is plain English; "an image of its own" is not.
    _phrase(
        f"of (?:its|their|our|your|his|her|one's) own(?! (?!(?:{_AFTER_A_NOUN})\\b)[a-z])",
        "'its own' (or 'our', 'your') before the noun",
    ),
    _phrase(r"(?:keep|keeps|kept|keeping) (?:[\w'-]+ ){0,3}right", "'reconcile' or 'keep valid'"),
    _phrase("for ever", "'indefinitely', or 'never expires'"),
    _phrase("anew|afresh|once more", "'again', or say what starts over"),
    _phrase("meanwhile", "'while …', naming what goes on"),
    # "There is no x" is plain English; "x is no y" is not.
    _phrase(f"(?:is|are|was|were) no(?!-)(?! (?:{_COMPARED}))(?= [a-z])", "'is not a …' or 'is not …'", "there"),
    _phrase("else(?!['-])", "'otherwise' or 'or'", r"\w*(?:thing|body|one|where)|what|who|or|how|everyone"),
    _phrase(r"(?:stands?|stood)(?! (?:for|in for))(?!-)|lies|lying", "'is', 'is stored' or 'is in'"),
    _phrase("look(?:s|ed|ing)? (?:at|again)", "'check', 'read', 'inspect' or 'poll'"),
    _phrase("(?:a|your) word for", "the name of the value"),
    _phrase("shall", "'must', 'should' or 'will'"),
    _phrase(f"{_BE} (?:tried|asked) (?:once )?again", "'is retried'"),
    _phrase("(?:is|are) given(?! (?:to|by))", "'is set' or 'is specified'"),
    _phrase("the same by", "'equivalently' or 'also'"),
    _phrase("(?:take|takes|took|taken|taking) away", "'remove'"),
    _phrase("which of them", "the thing by its name"),
    _phrase("(?:goes|go|going|gone|went) without", "'starts without' or 'continues without'"),
    _phrase("mend|mends|mended|mending", "'fix'"),
    _phrase("some (?:two|three|four|five|six|seven|eight|nine|ten|twenty|[0-9]+)", "'about'"),
    _phrase("thereof|therein|thereby|wherein|whereby|whence|hitherto|lest|upon", "an ordinary word"),
)
