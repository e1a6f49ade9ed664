"""Responses of Keeper: which error each of them means, and how long Keeper throttles."""

from __future__ import annotations

import email.utils
import json
import time

import pytest

from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientVaultError
from keeper_injector_agent.keeper.responses import Response, api_result, download_result


def response(status: int, body: object = b"", **headers: str) -> Response:
    """Return a response with this body, as bytes or as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, "", {name.replace("_", "-"): value for name, value in headers.items()}, content)


@pytest.mark.parametrize(
    ("given", "result", "error"),
    [
        (response(200, b"x"), "ok", type(None)),
        (response(200), "empty", TransientVaultError),
        (response(403, {"error": "throttled"}), "throttled", ThrottledError),
        (response(429), "throttled", ThrottledError),
        (response(401, {"error": "key", "key_id": 8}), "key_rotated", type(None)),
        (response(503, {"error": "internal"}), "http_503", TransientVaultError),
        (response(400, b"<html>"), "http_400", TransientVaultError),
        (response(403, b"<html>"), "http_403", TransientVaultError),
        (response(403, {"error": "access_denied"}), "http_403", PermanentVaultError),
        (response(403, {"message": "no code"}), "http_403", PermanentVaultError),
        (response(400, {"result_code": "invalid_client_version"}), "http_400", PermanentVaultError),
    ],
    ids=["ok", "empty", "throttled", "429", "key", "503", "no JSON", "proxy", "denied", "no code", "other"],
)
def test_each_response_has_one_meaning(given: Response, result: str, error: type) -> None:
    """The table at the top of the module is true."""
    label, raised = api_result(given, expects_content=True)
    assert (label, type(raised)) == (result, error)


@pytest.mark.parametrize(
    ("key_id", "keys_in_use", "result"),
    [
        (8, [], "key_rotated"),
        (9, ["8"], "key_rotated"),
        ("9", ["8"], "key_rotated"),
        (8, ["8"], "key"),
        (8, ["8", "9"], "key"),
        (11, ["8", "9", "10"], "key"),
        (None, [], "key"),
        ([8], [], "key"),
    ],
)
def test_a_request_for_another_key_cannot_loop(key_id: object, keys_in_use: list[str], result: str) -> None:
    """Several rotations are followed, but never the same key twice: the SDK would loop."""
    given = response(401, {"error": "key", "key_id": key_id})
    label, error = api_result(given, expects_content=True, keys_in_use=keys_in_use)
    assert (label, type(error)) == (result, PermanentVaultError if result == "key" else type(None))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (response(403, {"error": "throttled", "retry_after": 7}), 7),
        (response(429, Retry_After="9"), 9),
        (response(429, Retry_After="soon"), 30),
        (response(429), 30),
        (response(429, Retry_After="86400"), 600),
    ],
    ids=["body", "header", "invalid", "missing", "too long"],
)
def test_the_throttle_window_is_bounded(given: Response, seconds: int) -> None:
    """Keeper's wait is respected for up to ten minutes; without one, no request is sent for half a minute."""
    _, error = api_result(given, expects_content=True)
    assert isinstance(error, ThrottledError)
    assert error.until - time.time() == pytest.approx(seconds, abs=2)


def test_a_throttle_window_can_end_at_a_date() -> None:
    """`Retry-After` may be a date (RFC 9110, section 10.2.3)."""
    date = email.utils.formatdate(time.time() + 45, usegmt=True)
    _, error = api_result(response(429, Retry_After=date), expects_content=True)
    assert isinstance(error, ThrottledError)
    assert error.until - time.time() == pytest.approx(45, abs=2)


@pytest.mark.parametrize(
    ("status", "error"),
    [(200, type(None)), (403, PermanentVaultError), (408, TransientVaultError), (500, TransientVaultError)],
)
def test_downloads(status: int, error: type) -> None:
    """A download is retried after a timeout or a server error; an expired URL is replaced by the next refresh."""
    assert type(download_result(response(status))[1]) is error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (response(403, b"<html>"), "Keeper: HTTP 403"),
        (response(403, {"error": "access_denied"}), "Keeper: access denied; the device may be"),
        (response(403, {"error": "access_denied", "message": "IP"}), "Keeper: access denied (IP); the device may be"),
        (response(400, {"error": "bad", "additional_info": "more"}), "Keeper: HTTP 400, bad, more"),
    ],
)
def test_a_message_has_only_what_keeper_sends(given: Response, message: str) -> None:
    """The message contains the status or the error, and the text of Keeper if it sends one."""
    _, error = api_result(given, expects_content=True)
    assert str(error).startswith(message)


def test_a_message_of_keeper_is_printable() -> None:
    """Control characters of a response do not reach the log, and long texts are cut off."""
    body = {"error": "access_denied", "message": "\x1b[2J" + "x" * 500}
    _, error = api_result(response(403, body), expects_content=True)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 400
