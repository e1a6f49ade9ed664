"""The small grammars of annotation values."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common import values
from keeper_injector_common.annotations import ANNOTATIONS, Annotation
from keeper_injector_common.values import InvalidValue


@pytest.mark.parametrize("text", ["true", "Yes", "ON", "1", " true "])
def test_switch_on(text: str) -> None:
    """Booleans are read in any case."""
    assert values.switch(text) is True


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("10s", 10)])
def test_duration(text: str, seconds: float) -> None:
    """A duration is whole numbers with units."""
    assert values.duration(text) == seconds


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (values.switch, "enabled", "write true or false"),
        (values.duration, "5x", "write 30s, 5m or 1h30m"),
        (values.duration, "9s", "out of range"),
        (values.duration, "5minutes", "write 30s"),
        (values.duration, "", "write 30s"),
        (values.duration, "\u0665m", "write 30s"),
        (values.file_mode, "0446", "lets every user write"),
        (values.file_mode, "999", "three octal digits"),
        (values.file_mode, "0000", "does not let the file's owner read it"),
        (values.file_mode, "0040", "does not let the file's owner read it"),
        (values.file_path, "app/x", "begin it with '/'"),
        (values.file_path, "/app/../etc/passwd", "has '..' in it"),
        (values.file_path, "/", "add the name of the file"),
        (values.file_path, "/app/", "add the name of the file"),
        (values.file_path, "/db.json", "root directory"),
        (values.file_path, "/app/..data", "begins with '..'"),
        (values.file_path, "/app/a\nb", "control characters"),
        (values.volume_size, "1Ki", "out of range"),
        (values.volume_size, "lots", "write 16Mi"),
        (values.quantity, "50M i", "write 50m"),
        (values.loopback_url, "http://example.com/x", "leaves the pod"),
        (values.loopback_url, "https://127.0.0.1/x", "not a URL to notify"),
        (values.loopback_url, "http://[::1", "not a URL to notify"),
        (values.signal_name, "SIGKILL", "write one of SIGHUP"),
        (values.items, "a,,b", "empty item"),
        (values.items, "a, a", "names something twice"),
        (values.object_name, "Keeper_Secret", "lower-case letters"),
    ],
)
def test_what_is_wrong_and_what_would_be_right(parse: Callable[[str], object], text: str, message: str) -> None:
    """Every refusal names the fault and the fix."""
    with pytest.raises(InvalidValue, match=message):
        parse(text)


@pytest.mark.parametrize("word", ["SIGHUP", "hup", "1"])
def test_signals_have_three_spellings(word: str) -> None:
    """A signal is named with or without SIG, or by its number."""
    assert values.signal_name(word) == "SIGHUP"


def test_a_comma_in_a_title_is_escaped() -> None:
    r"""``\,`` is a comma of the title."""
    assert values.items(r"a\,b, c") == ("a,b", "c")


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda annotation: annotation.name)
def test_examples_and_defaults_are_valid(annotation: Annotation) -> None:
    """What the documentation shows is accepted."""
    annotation.parse(annotation.example)
    if annotation.default:
        annotation.parse(annotation.default)


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda annotation: annotation.name)
@given(text=st.text(max_size=40) | st.text("0123456789kMGi/.:-hms", max_size=20))
def test_any_text_is_read_or_refused(annotation: Annotation, text: str) -> None:
    """No text raises anything but InvalidValue."""
    with contextlib.suppress(InvalidValue):
        annotation.parse(text)
