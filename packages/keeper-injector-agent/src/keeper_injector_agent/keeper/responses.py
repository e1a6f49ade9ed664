"""What Keeper's HTTP responses mean: which error, whether a retry may help, and how long Keeper throttles.

===================================================  =========================  =======================================
response                                             result (metric label)      raised
===================================================  =========================  =======================================
HTTP 200                                             ``ok``                     nothing
HTTP 200 without content where records are expected  ``empty``                  TransientVaultError
HTTP 429, or the error ``throttled`` (HTTP 403)      ``throttled``              ThrottledError
the error ``key``: use another server key            ``key_rotated``, ``key``   nothing, PermanentVaultError for the same key again
HTTP 5xx, or content that is not a JSON object       ``http_STATUS``            TransientVaultError
the error ``access_denied``, and any other JSON      ``http_STATUS``            PermanentVaultError
===================================================  =========================  =======================================

Source: Keeper's SDK 17.3.0 (``core.py``, ``handler_http_error``) and responses of Keeper's servers.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import NamedTuple

from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientVaultError, VaultError
from keeper_injector_common.json_values import Json, as_object

_THROTTLE_SECONDS = 30.0
"""How long no request is sent after ``throttled`` without a Retry-After. Keeper's window is 10 s and grows with each request
inside it (external-secrets issue 4107); three windows leave room for the other pods of the same device."""
_LONGEST_THROTTLE = 600.0
_TRANSIENT_STATUSES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_LONGEST_TEXT = 200
_MOST_ROTATIONS = 3
"""Server keys that Keeper may ask for in one refresh. It rotates them in months; two fit into a refresh if its servers differ."""
_NO_KEY = "Keeper: asks for another server key without its ID"


class Response(NamedTuple):
    """The parts of an HTTP response that Keeper's SDK reads, with the whole content."""

    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes

    def __repr__(self) -> str:
        return f"Response({self.status_code})"

    @property
    def text(self) -> str:
        """The content as text, for the SDK."""
        return self.content.decode("utf-8", errors="replace")


def api_result(
    response: Response, *, expects_content: bool, keys_in_use: Collection[str] = ()
) -> tuple[str, VaultError | None]:
    """Return the result of an API request as a metric label, and the error if it has failed.

    *keys_in_use* are the server keys that Keeper has asked for in this refresh. A request for one of them again, or for more than
    a few, would be an endless loop: the SDK obeys each of them.
    """
    if response.status_code == HTTPStatus.OK:
        if expects_content and not response.content:
            return "empty", TransientVaultError("Keeper: the response is empty; retrying may help")
        return "ok", None
    problem = _problem(response)
    code = str(problem.get("result_code") or problem.get("error") or "")
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or code == "throttled":
        wait = min(_LONGEST_THROTTLE, _retry_after(response, problem) or _THROTTLE_SECONDS)
        until = time.time() + wait
        return "throttled", ThrottledError(f"Keeper: throttled; no request for {wait:.0f} s", until=until)
    if code == "key":
        key_id = requested_key(response)
        if key_id and key_id not in keys_in_use and len(keys_in_use) < _MOST_ROTATIONS:
            return "key_rotated", None
        message = f"Keeper: asks repeatedly for server key {_printable(key_id)!r}; create a new KSM configuration"
        return "key", PermanentVaultError(message if key_id else f"{_NO_KEY}; create a new KSM configuration")
    return f"http_{response.status_code}", _api_error(response.status_code, code, problem)


def requested_key(response: Response) -> str:
    """Return the ID of the server key that a response with the error ``key`` asks for; empty if it names none."""
    key_id = _problem(response).get("key_id")
    return str(key_id) if isinstance(key_id, str | int) else ""


def _api_error(status: int, code: str, problem: Json) -> VaultError:
    reason = _printable(problem.get("message") or problem.get("additional_info"))
    message = f"Keeper: HTTP {status}" + "".join(f", {part}" for part in (_printable(code), reason) if part)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or not problem:
        return TransientVaultError(message)
    if code == "access_denied":
        denied = "Keeper: access denied" + (f" ({reason})" if reason else "")
        return PermanentVaultError(
            f"{denied}; the device may be revoked, expired or locked to another IP address: create a new KSM configuration"
        )
    return PermanentVaultError(message)


def download_result(response: Response) -> tuple[str, VaultError | None]:
    """Return the result of the download of an attachment as a metric label, and the error if it has failed."""
    status = response.status_code
    if status == HTTPStatus.OK:
        return "ok", None
    detail = f"Keeper: the download of a file failed with HTTP {status}"
    if status in _TRANSIENT_STATUSES or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"http_{status}", TransientVaultError(detail)
    message = f"{detail}; its URL may have expired, and the next refresh gets a new one"
    return f"http_{status}", PermanentVaultError(message)


def is_refusal(status: int) -> bool:
    """Return whether an HTTP status is a refusal that a retry cannot change."""
    is_client_error = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_client_error and status not in _TRANSIENT_STATUSES


def _problem(response: Response) -> Json:
    try:
        return as_object(json.loads(response.content))
    except ValueError:
        return {}


def _retry_after(response: Response, problem: Json) -> float:
    """Return the wait that Keeper asks for, in seconds: in the body, or in the header as a number or a date (RFC 9110, 10.2.3)."""
    text = str(problem.get("retry_after") or response.headers.get("Retry-After") or "0")
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


def _printable(text: object) -> str:
    """Return a text from Keeper shortened, and without unprintable characters."""
    return re.sub(r"[^\x20-\x7e]", "?", str(text or ""))[:_LONGEST_TEXT]
