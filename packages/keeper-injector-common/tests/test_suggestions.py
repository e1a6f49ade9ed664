"""Suggestions for unknown words."""

from keeper_injector_common.suggestions import nearest_words


def test_the_most_similar_word_comes_first() -> None:
    """A typing error leads to the word that was meant, whatever its case."""
    assert nearest_words("modee", ["node", "mode", "path"]) == ["mode"]
    assert nearest_words("FAILONERROR", ["failOnError", "state"]) == ["failOnError"]
    assert nearest_words("login2", ["login", "login1", "host"], most=2) == ["login", "login1"]


def test_unlike_words_are_not_suggested() -> None:
    """A word that resembles none of the known ones has no suggestion."""
    assert nearest_words("zebra", ["mode", "path"]) == []
    assert nearest_words("mode", []) == []
