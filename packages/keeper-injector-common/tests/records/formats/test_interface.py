"""What formats get and declare: content that does not print values, and the input of digests."""

from __future__ import annotations

from format_samples import SECRET

from keeper_injector_common.records import formats


def test_content_does_not_print_values() -> None:
    """Neither repr nor str of a format's input contains a value."""
    content = formats.RecordContent("title", {"password": SECRET}, {"key.pem": SECRET.encode()})
    assert SECRET not in f"{content!r} {content}"
    assert SECRET.encode() not in repr(content).encode()


def test_digest_input_changes_with_everything_that_matters() -> None:
    """The digest input differs if the title, a field, the order of fields or an attachment differs."""
    contents = [
        formats.RecordContent("t", {"a": "1", "b": "2"}),
        formats.RecordContent("u", {"a": "1", "b": "2"}),
        formats.RecordContent("t", {"b": "2", "a": "1"}),
        formats.RecordContent("t", {"a": "1", "b": 2}),
        formats.RecordContent("t", {"a": "1", "b": "2"}, {"f": b"\xff"}),
        formats.RecordContent("t", {"a": "1", "b": "2"}, {"f": b"\xfe"}),
    ]
    assert len({formats.digest_input(content) for content in contents}) == len(contents)
    assert formats.digest_input(contents[0]) == formats.digest_input(formats.RecordContent("t", {"a": "1", "b": "2"}))
