"""The limits on what one pod may ask for. They keep the cost of one review small, whatever a user of the cluster sends.

Each limit is far above what real workloads use, and an input that exceeds one is a problem like any other.
"""

from __future__ import annotations

from typing import Final

LARGEST_ANNOTATIONS: Final = 256 * 1024
"""Bytes of all keys and values. API servers have the same limit (apimachinery, ``TotalAnnotationSizeLimitB``), but check it after they
have called the webhook."""
MOST_ANNOTATIONS: Final = 600
"""Annotations that begin with ``keeper.security/``."""
LONGEST_VALUE: Final = 64 * 1024
"""Characters of one annotation."""
LARGEST_CONFIG_MAP: Final = 1024 * 1024
"""Bytes of a ConfigMap (Kubernetes, ``MaxSecretSize``), and so of the settings that an administrator may write."""
MOST_SECRETS: Final = 200
"""Files, folders, variables and Kubernetes Secrets of one pod. The records and folders that a policy allows cannot be more."""
LONGEST_REFERENCE: Final = 4096
"""Characters of a reference to a secret."""
MOST_TEMPLATES: Final = 20
"""Templates of one pod. The webhook compiles each of them, which takes 0.5 ms."""
MOST_ACTION_CHARACTERS: Final = 2000
"""Characters between ``{{`` and ``}}`` in all templates of one pod, each of which takes up to 7 µs to compile."""
LONGEST_PATH: Final = 4096
"""Characters of a path; PATH_MAX of Linux."""
LONGEST_URL: Final = 2048
"""Characters of a URL."""
MOST_PARTS: Final = 32
"""Names in a path or in a reference."""
MOST_SHOWN: Final = 20
"""Problems in the text of an error or a denial."""
LONGEST_PART: Final = 400
"""Characters of each part of a message: where, what was found, what to do."""
LONGEST_WORD: Final = 64
"""Characters of the longest word for which a similar word is suggested."""


def action_characters(template: str) -> int:
    """Return how many characters of *template* are between ``{{`` and ``}}``; without an end, all that follow."""
    count, position = 0, 0
    while (start := template.find("{{", position)) >= 0 and count <= MOST_ACTION_CHARACTERS:
        end = template.find("}}", start)
        position = len(template) if end < 0 else end + 2
        count += position - start
    return count


def shortened(text: str, most: int = LONGEST_PART) -> str:
    """Return *text*, without its middle if it has more than *most* characters."""
    if len(text) <= most:
        return text
    tail = most // 4
    return f"{text[: most - tail - 3]}...{text[-tail:]}"


def and_more(count: int, shown: int = MOST_SHOWN) -> str:
    """Return ``and 5 more`` if only *shown* of *count* things are shown, otherwise an empty text."""
    return f"and {count - shown} more" if count > shown else ""
