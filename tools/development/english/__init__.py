"""The checker of the style page's forbidden phrases: ``python -m english [PATH…]``."""

from english.checker import Finding, check
from english.files import written_files
from english.phrases import PHRASES, Phrase
from english.prose import prose_of

__all__ = ["PHRASES", "Finding", "Phrase", "check", "prose_of", "written_files"]
