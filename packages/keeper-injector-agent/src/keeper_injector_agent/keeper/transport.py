"""HTTPS to Keeper: a pooled session with deadlines, additional CA and proxies, and every failure as a VaultError."""

from __future__ import annotations

import email.utils
import json
import re
import ssl
import time
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies

from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientVaultError

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
LARGEST_ANSWER = 256 * 1024 * 1024
QUIET_SECONDS = 30.0
"""How long no request is made after ``throttled`` without a hint. Keeper's window is 10 s and grows with each request
inside it (external-secrets issue 4107); three windows leave room for the other pods of the same device."""
LONGEST_QUIET = 600.0
_PASSING = (requests.codes.request_timeout, requests.codes.too_many_requests)
_WRONG_TIME = {"certificate has expired", "certificate is not yet valid"}


class Response:
    """What Keeper's SDK reads of an HTTP response: ``status_code``, ``reason``, ``text`` and the content."""

    def __init__(self, response: requests.Response, content: bytes) -> None:
        self.status_code = response.status_code
        self.reason = response.reason
        self.headers = response.headers
        self.content = content
        self.text = content.decode("utf-8", errors="replace")


class Transport:
    """Requests to Keeper within a deadline; counts them by result."""

    def __init__(self, *, ca_file: Path | None, deadline: float) -> None:
        """Prepare for requests until *deadline* (:func:`time.monotonic`); *ca_file* is trusted besides the usual CAs."""
        self.deadline = deadline
        self.counts: dict[str, int] = {}
        self._session = requests.Session()
        # Else requests takes credentials from ~/.netrc over the signature in Authorization.
        self._session.trust_env = False
        self._session.mount("https://", _Adapter(_context(ca_file)))
        # An additional CA means a proxy that inspects: what it alone verifies is spared 14 ms of reading all the others.
        self._verify: str | bool = str(ca_file) if ca_file else True
        self._key_errors = 0
        self._failed = ""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Response:
        """Send one API request; returns answers that the SDK understands and raises VaultError for the rest."""
        response = self._request("POST", url, headers=headers, data=body)
        if response.status_code == requests.codes.ok:
            if not response.content and url.rsplit("/", 1)[-1] in {"get_secret", "get_folders"}:
                self._count("empty")
                raise TransientVaultError("Keeper: an empty answer; trying again may help")
            self._count("ok")
            return response
        self._raise_for(response)
        return response

    def get(self, url: str) -> bytes:
        """Fetch the content of an attachment from its pre-signed address."""
        response = self._request("GET", url)
        if response.status_code != requests.codes.ok:
            self._count(f"http_{response.status_code}")
            detail = f"Keeper: download of a file answered HTTP {response.status_code}"
            if response.status_code in _PASSING or response.status_code >= requests.codes.internal_server_error:
                raise TransientVaultError(detail)
            raise PermanentVaultError(f"{detail}; its address may have expired, the next refresh asks for a new one")
        self._count("ok")
        return response.content

    def _request(self, method: str, url: str, **more: Any) -> Response:
        try:
            return self._once(method, url, **more)
        except requests.exceptions.SSLError as error:
            if self._verify is True:
                raise self._untrusted(url, error) from None
        self._verify = True
        try:
            return self._once(method, url, **more)
        except requests.exceptions.SSLError as error:
            raise self._untrusted(url, error) from None

    def _untrusted(self, url: str, error: requests.exceptions.SSLError) -> TransientVaultError:
        self._count("tls")
        cause = _cause(error)
        advice = "behind an inspecting proxy set keeper.security/ca-cert-configmap"
        if cause in _WRONG_TIME:
            advice = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
        return TransientVaultError(f"Keeper: no trusted TLS connection to {_host(url)} ({cause}); {advice}")

    def _once(self, method: str, url: str, **more: Any) -> Response:
        """Send a request as :meth:`_sent` does, and remember what failed: it says more than that time is over."""
        try:
            return self._sent(method, url, **more)
        except TransientVaultError as error:
            self._failed = str(error)
            raise

    def _sent(self, method: str, url: str, **more: Any) -> Response:
        """Send a request; raises VaultError, and requests' own error for a certificate that is not trusted."""
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TransientVaultError(self._failed or "Keeper: the deadline has passed")
        try:
            with self._session.request(
                method,
                url,
                proxies=get_environ_proxies(url, no_proxy=None),
                verify=self._verify,
                timeout=(min(CONNECT_TIMEOUT, remaining), min(READ_TIMEOUT, remaining)),
                stream=True,
                allow_redirects=False,
                **more,
            ) as response:
                return Response(response, self._read(response))
        except requests.exceptions.SSLError:
            raise
        except requests.exceptions.ProxyError as error:
            self._count("proxy")
            raise TransientVaultError(
                f"Keeper: the proxy to {_host(url)} failed ({_cause(error)}); check HTTPS_PROXY"
            ) from None
        except requests.exceptions.Timeout:
            self._count("timeout")
            raise TransientVaultError(f"Keeper: {_host(url)} did not answer in time") from None
        except (requests.exceptions.RequestException, OSError) as error:
            self._count("connection")
            raise TransientVaultError(f"Keeper: no connection to {_host(url)} ({_cause(error)})") from None

    def _read(self, response: requests.Response) -> bytes:
        """Read the body, however slowly it comes, until the deadline: a read timeout alone never ends a drip."""
        content = bytearray()
        for chunk in response.iter_content(64 * 1024):
            content += chunk
            if time.monotonic() > self.deadline:
                raise TransientVaultError("Keeper: the answer came too slowly for the deadline")
            if len(content) > LARGEST_ANSWER:
                raise PermanentVaultError(
                    f"Keeper: an answer of more than {LARGEST_ANSWER >> 20} MiB; share fewer records"
                )
        return bytes(content)

    def _raise_for(self, response: Response) -> None:
        """Raise for every error but the first request to use another server key, which the SDK follows."""
        status, problem = response.status_code, _problem(response)
        code = str(problem.get("result_code") or problem.get("error") or "")
        if status == requests.codes.too_many_requests or code == "throttled":
            self._count("throttled")
            wait = min(LONGEST_QUIET, _retry_after(response, problem) or QUIET_SECONDS)
            raise ThrottledError(f"Keeper: throttled; no request for {wait:.0f} s", until=time.time() + wait)
        if code == "key":
            self._key_errors += 1
            if self._key_errors > 1:
                self._count("key")
                raise PermanentVaultError(
                    f"Keeper: asks for server key {problem.get('key_id')!r} again and again; renew the KSM configuration"
                )
            self._count("key_rotated")
            return
        self._count(f"http_{status}")
        said = [f"HTTP {status}", code, problem.get("message") or problem.get("additional_info")]
        detail = ", ".join(_shown(part) for part in said if part)
        if status >= requests.codes.internal_server_error or not problem:
            raise TransientVaultError(f"Keeper: {detail}")
        if code == "access_denied":
            raise PermanentVaultError(
                f"Keeper: access denied ({_shown(problem.get('message'))}); the device may be revoked, expired or locked to "
                "another IP address: create a new KSM configuration"
            )
        raise PermanentVaultError(f"Keeper: {detail}")

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


class _Adapter(HTTPAdapter):
    """Connections that verify with a given context, through proxies too."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
        return super().proxy_manager_for(*args, **more, ssl_context=self._context)


def _context(ca_file: Path | None) -> ssl.SSLContext:
    # Verifies by itself; requests adds the usual CAs (certifi's). A default context would load the system's too: 18 ms.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise PermanentVaultError(
                f"{ca_file}: no readable certificate in PEM form; check keeper.security/ca-cert-key"
            ) from None
    return context


def _problem(response: Response) -> dict[str, Any]:
    try:
        problem = json.loads(response.content)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _retry_after(response: Response, problem: dict[str, Any]) -> float:
    """Return the wait that Keeper asks for, in seconds: from the body, or from the header as number or date (RFC 9110)."""
    text = str(problem.get("retry_after") or response.headers.get("Retry-After") or "0")
    if re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 0.0


def _host(url: str) -> str:
    """Return the host alone: the path and query of a file's address are a capability."""
    return re.sub(r"^https?://([^/?#]*).*$", r"\1", url)


def _cause(error: BaseException) -> str:
    """Return the innermost reason's class and system error, never its text, which may hold an address."""
    inner: BaseException = error
    while (deeper := getattr(inner, "reason", None) or inner.__cause__ or inner.__context__) is not None:
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return inner.strerror if isinstance(inner, OSError) and inner.strerror else type(inner).__name__


def _shown(text: object) -> str:
    """Return a short, printable form of what Keeper said of itself."""
    return re.sub(r"[^\x20-\x7e]", "?", str(text or ""))[:200]
