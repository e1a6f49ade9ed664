"""The URL of a relay: every form that has one meaning is accepted and written in one way, everything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.relay_url import parse_relay_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://relay", "http://relay:80"),
        ("HTTP://Relay.Example./", "http://relay.example.:80"),
        ("https://relay:8443", "https://relay:8443"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        (" http://10.0.0.1:8080\n", "http://10.0.0.1:8080"),
    ],
)
def test_usual_forms(text: str, expected: str) -> None:
    assert parse_relay_url(text, "relay").text == expected


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "relay",
            "relay:8080",
            "ftp://relay",
            "http://",
            "http://relay:0",
            "http://relay:65536",
            "http://relay:x",
        ),
        *("http://user:pass@relay", "http://relay/path", "http://relay?x", "http://relay#x", "http://re lay"),
        *("http://relay\r\nHost: other", "http://[::1", "http://-relay", "http://rel_ay"),
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="where: not the URL of a relay; write http://HOST:PORT"):
        parse_relay_url(text, "where")


@given(st.text() | st.text("htps:/.[]@?#%0129 \r\nax").map("http://{}".format))
def test_what_is_accepted_has_one_form(text: str) -> None:
    try:
        found = parse_relay_url(text, "where")
    except ConfigurationError:
        return
    assert parse_relay_url(found.text, "where") == found
    assert not set(found.text) & set(" \r\n@?#")
