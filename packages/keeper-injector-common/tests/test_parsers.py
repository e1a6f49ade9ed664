"""Parsers: valid text becomes a value, and other text an error that says what to write."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common import parsers
from keeper_injector_common.annotations.table import ANNOTATIONS, Annotation
from keeper_injector_common.parsers import InvalidValue


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "1", " true "])
def test_a_boolean_has_several_words(text: str) -> None:
    """A boolean is read in any case."""
    assert parsers.switch(text) is True


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("10s", 10)])
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    """A duration consists of whole numbers with units."""
    assert parsers.duration(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parsers.switch, "enabled", "write true or false"),
        (parsers.duration, "5x", "write 30s, 5m or 1h30m"),
        (parsers.duration, "9s", "out of range"),
        (parsers.duration, "5minutes", "write 30s"),
        (parsers.duration, "", "write 30s"),
        (parsers.duration, "\u0665m", "write 30s"),
        (parsers.file_mode, "0446", "lets every user write"),
        (parsers.file_mode, "999", "three octal digits"),
        (parsers.file_mode, "0000", "does not let the file's owner read it"),
        (parsers.file_mode, "0040", "does not let the file's owner read it"),
        (parsers.file_path, "app/x", "begin it with '/'"),
        (parsers.file_path, "/app/../etc/passwd", "has '..' in it"),
        (parsers.file_path, "/", "add the name of the file"),
        (parsers.file_path, "/app/", "add the name of the file"),
        (parsers.file_path, "/db.json", "root directory"),
        (parsers.file_path, "/app/..data", "begins with '..'"),
        (parsers.file_path, "/app/a\nb", "control characters"),
        (parsers.volume_size, "1Ki", "out of range"),
        (parsers.volume_size, "lots", "write 16Mi"),
        (parsers.quantity, "50M i", "write 50m"),
        (parsers.loopback_url, "http://example.com/x", "leaves the pod"),
        (parsers.loopback_url, "http://127.0.0.1/ä", "has characters outside of ASCII; write them percent-encoded"),
        (parsers.loopback_url, "https://127.0.0.1/x", "not a URL to notify"),
        (parsers.loopback_url, "http://[::1", "not a URL to notify"),
        (parsers.signal_name, "SIGKILL", "write one of SIGHUP"),
        (parsers.items, "a,,b", "empty item"),
        (parsers.items, "a, a", "names something twice"),
        (parsers.pairs, "a=b, c=", "'c=' is not a pair of names"),
        (parsers.pairs, "a=b, a=c", "names 'a' twice"),
        (parsers.object_name, "Keeper_Secret", "lower-case letters"),
    ],
)
def test_invalid_text_is_an_error_with_advice(parse: Callable[[str], object], text: str, message: str) -> None:
    """Each error says what is wrong and what to write."""
    with pytest.raises(InvalidValue, match=message):
        parse(text)


@pytest.mark.parametrize("word", ["SIGHUP", "hup", "1"])
def test_a_signal_has_three_spellings(word: str) -> None:
    """A signal is read with or without SIG, or as its number."""
    assert parsers.signal_name(word) == "SIGHUP"


def test_a_comma_in_a_title_is_escaped() -> None:
    r"""``\,`` is a comma in a title, not the end of an item."""
    assert parsers.items(r"a\,b, c") == ("a,b", "c")
    assert parsers.pairs(r"a\,b = c=d, e=f") == {"a,b": "c=d", "e": "f"}


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda annotation: annotation.name)
def test_examples_and_defaults_are_valid(annotation: Annotation) -> None:
    """The parser of each annotation accepts its example and its default."""
    annotation.parse(annotation.example)
    if annotation.default:
        annotation.parse(annotation.default)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda annotation: annotation.name)
@given(text=st.text(max_size=40) | st.text("0123456789kMGi/.:-hms \x1c\x1f\x85\u2028", max_size=20))
def test_any_text_is_read_or_rejected(annotation: Annotation, text: str) -> None:
    """A parser raises no exception but InvalidValue."""
    with contextlib.suppress(InvalidValue):
        annotation.parse(text)
