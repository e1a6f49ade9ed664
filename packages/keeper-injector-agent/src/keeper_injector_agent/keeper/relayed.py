"""Reads records through a relay: the answers that Keeper would give, put together from a signed snapshot.

The SDK decrypts them as if Keeper had sent them. Nothing is sent that could identify this pod, and nothing secret: neither the
device's private key nor the application's key leaves this process, which has only the latter.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import ssl
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from keeper_injector_agent import lean_attrs  # noqa: F401 - first, because others import attrs
from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.client import Client, new_storage, request_of, translate_errors
from keeper_injector_agent.keeper.limits import SizeLimits, size_limits
from keeper_injector_agent.retry import LONGEST_PATIENCE
from keeper_injector_agent.snapshot.content import BLOB, Index
from keeper_injector_agent.snapshot.head import (
    HEAD_NAME,
    LARGEST_HEAD,
    Head,
    application_path,
    attachment_name,
    index_name,
    public_key,
    read_head,
    record_name,
)
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.json_values import as_object, as_objects
from keeper_injector_common.ksm_configuration import (
    APPLICATION_KEY,
    DEVICE_KEY,
    MAX_AGE_KEY,
    RELAY_KEY,
    application_id,
    check_key_lengths,
    check_required_keys,
)
from keeper_injector_common.relay_url import RelayUrl, parse_relay_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from keeper_injector_agent.state import State
    from keeper_injector_common.json_values import Json

    Receive = Callable[[bytes], object]

_BLOCK = 64 * 1024
_DAY = "86400"
_REPLICAS = 3
"""Connections that a refresh opens at most to find a head that is new to it."""
_TOO_LARGE = "relay:not-published"
"""Stands for the URL of an attachment that the relay does not have."""


class RelayTransport:
    """Fetches the files of one application from a relay until a deadline, and counts requests by result.

    It takes the place of :class:`~keeper_injector_agent.keeper.transport.Transport`. The environment's proxy is not used: a
    relay is in the cluster.
    """

    def __init__(
        self,
        url: RelayUrl,
        application: str,
        *,
        ca_file: Path | None,
        deadline: float,
        patience: float = LONGEST_PATIENCE,
        sizes: SizeLimits | None = None,
    ) -> None:
        self.counts: dict[str, int] = {}
        self.place = url.text
        self._path = f"/{application_path(application)}/"
        self._deadline = deadline
        self._patience = patience
        self._sizes = sizes or size_limits()
        self._connection = _connection(url, ca_file)
        self._tls = url.tls
        self.head: list[str] = []
        """Address, port and path of the head, once a file has been fetched, if it is served without TLS."""

    def get(self, name: str, largest: int) -> bytes:
        """Return a file of the application, of at most *largest* bytes; raises VaultError."""
        content = bytearray()
        self._fetch(name, largest, content.extend)
        return bytes(content)

    def record(self, digest: str) -> bytes:
        """Return the file of a record; raises VaultError."""
        return _checked(self.get(record_name(digest), self._sizes.response), digest)

    def index(self, digest: str) -> bytes:
        """Return an index; raises VaultError."""
        return _checked(self.get(index_name(digest), self._sizes.response), digest)

    def download(self, url: object, receive: Receive) -> None:
        """Download an attachment; *url* is what :class:`RelayedClient` has put in the place of its URL. Raises VaultError."""
        if not isinstance(url, str) or url == _TOO_LARGE:
            raise PermanentVaultError(
                "relay: does not publish this attachment, because it is too large or could not be downloaded; see the log of "
                "the relay"
            )
        self._fetch(url, self._sizes.file, receive)

    def close(self) -> None:
        """Close the connection, which is kept between requests."""
        self._connection.close()

    def _fetch(self, name: str, largest: int, receive: Receive) -> None:
        try:
            self._exchange(name, largest, receive)
        except TimeoutError:
            self._fail("timeout")
            raise TransientVaultError(f"relay: {self.place} did not answer in time") from None
        except ssl.SSLCertVerificationError as error:
            self._fail("tls")
            raise PermanentVaultError(
                f"relay: no trusted TLS connection to {self.place} ({error.verify_message}); set keeper.security/ca-cert-configmap"
            ) from None
        except (http.client.HTTPException, OSError) as error:
            self._fail("connection")
            cause = isinstance(error, OSError) and error.strerror
            raise TransientVaultError(
                f"relay: no connection to {self.place} ({cause or type(error).__name__}); check its Service and network policies"
            ) from None
        else:
            self._count("ok")

    def _exchange(self, name: str, largest: int, receive: Receive) -> None:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.timeout = min(self._patience, remaining)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)
        self._connection.request("GET", f"{self._path}{name}")
        if not self._tls and not self.head:
            # Behind a name may be several addresses; that of a Service stays.
            address, port = self._connection.sock.getpeername()[:2]
            self.head = [address, str(port), f"{self._path}{HEAD_NAME}"]
        response = self._connection.getresponse()
        if response.status != HTTPStatus.OK:
            self._fail(f"http_{response.status}")
            raise TransientVaultError(_status_message(response.status, name))
        size = 0
        while block := response.read1(_BLOCK):
            size += len(block)
            if size > largest:
                self._fail("too_large")
                raise PermanentVaultError(
                    f"relay: a file is larger than {largest / 2**20:.0f} MiB, the most that this container's memory allows; "
                    "share fewer or smaller records, or raise keeper.security/agent-limits-memory"
                )
            if time.monotonic() > self._deadline:
                raise TimeoutError
            receive(block)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        response.close()  # read1() leaves a response open that has been read to its end, and the connection is busy until then

    def _fail(self, result: str) -> None:
        self._connection.close()
        self._count(result)

    def _count(self, result: str) -> None:
        self.counts[result] = self.counts.get(result, 0) + 1


def _connection(url: RelayUrl, ca_file: Path | None) -> http.client.HTTPConnection:
    if not url.tls:
        return http.client.HTTPConnection(url.host, url.port)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca_file is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise PermanentVaultError(
            f"{ca_file}: not a certificate in PEM format; check keeper.security/ca-cert-key"
        ) from None
    return http.client.HTTPSConnection(url.host, url.port, context=context)


def _status_message(status: int, name: str) -> str:
    if status == HTTPStatus.NOT_FOUND and name == HEAD_NAME:
        return (
            "relay: publishes nothing for this application (HTTP 404): either it has not reached Keeper yet, or it does not have "
            "the relay's half of this configuration; see the log of the relay"
        )
    return f"relay: HTTP {status} for {name.partition('/')[0].partition('-')[0]}"


def _checked(content: bytes, digest: str) -> bytes:
    if hashlib.sha256(content).hexdigest() != digest:
        raise TransientVaultError(
            "relay: a file does not have the content that the signed snapshot names; it is not used"
        )
    return content


class RelayedClient(Client):
    """The SDK with answers from a relay. It sends no request to Keeper."""

    is_relayed = True
    transport: RelayTransport  # type: ignore[assignment] # what is used of it has the same methods

    def __init__(self, transport: RelayTransport, configuration: Mapping[str, str], state: State) -> None:
        """Read with *transport* what the snapshot after that in *state* has; sends no request."""
        storage = {**_PLACEHOLDERS, APPLICATION_KEY: configuration[APPLICATION_KEY]}
        super().__init__(transport, new_storage(storage))  # type: ignore[arg-type] # see above
        app_key = base64.urlsafe_b64decode(configuration[APPLICATION_KEY])
        self._application = application_id(app_key)
        self._key = public_key(base64.b64decode(configuration[DEVICE_KEY]))
        self._max_age = float(configuration.get(MAX_AGE_KEY, _DAY))
        self._seen = state.relay
        self._revisions: dict[str, int] = dict(state.relay.get("revisions", {}))
        """The highest revision of each record that was used, by UID."""
        self._head: Head | None = None
        self._index: Index | None = None

    def leave_results(self, state: State) -> None:
        """Leave in *state* the counters, and which snapshot was used."""
        for result, count in self.transport.counts.items():
            state.count(f"requests_{result}", count)
        if self._head is not None:
            state.relay = {
                "head": self.transport.head,
                "index": self._head.index,
                "fetched": self._head.fetched,
                "frozen": self._head.frozen,
                "revisions": self._revisions,
            }

    def ask(self, uids: Sequence[str] = (), *, folders: bool = False) -> None:
        """Note what the answers depend on, without fetching the records; see :meth:`Client.ask`."""
        index = translate_errors(self._current)
        self.answers["get_secret", tuple(uids)] = hashlib.sha256(index.identity(uids, folders=False)).digest()
        if folders:
            self.answers["get_folders", ()] = hashlib.sha256(index.identity((), folders=True)).digest()

    def _post_query(self, path: str, payload: Any) -> bytes:
        """Return the answer that Keeper would give; see :meth:`Client._post_query`."""
        part = self._asked.pop(request_of(path, payload), None)
        if isinstance(part, bytes):
            return part  # of an answer that fetch() has divided
        index, (_, uids) = self._current(), request_of(path, payload)
        folders = path == "get_folders"
        self.answers[path, uids] = hashlib.sha256(index.identity(uids, folders=folders)).digest()
        return json.dumps(index.folders() if folders else index.answer(uids, self._record)).encode()

    def _current(self) -> Index:
        """Return the index of the newest snapshot, which is fetched once; raises VaultError."""
        if self._index is None:
            head = self._newest_head()
            self._check_age(head)
            try:
                self._index = Index(self.transport.index(head.index))
            except ValueError:
                raise PermanentVaultError(
                    "relay: its index is not readable; use an agent of the relay's version"
                ) from None
            self._head = head
        return self._index

    def _newest_head(self) -> Head:
        """Return the head with the latest time of up to three replicas: each new connection may lead to another one.

        Replicas ask Keeper at different times, so one of them may not have yet what made this refresh begin.
        """
        found: Head | None = None
        for _ in range(_REPLICAS):
            head = read_head(self.transport.get(HEAD_NAME, LARGEST_HEAD), self._application, self._key)
            if found is None or head.fetched > found.fetched:
                found = head
            if found.index != self._seen.get("index") and found.fetched >= self._seen.get("fetched", 0):
                break
            self.transport.close()
        if found is None:
            raise RuntimeError("there was no head")
        return found

    def _check_age(self, head: Head) -> None:
        age = time.time() - head.fetched
        if age > self._max_age:
            raise TransientVaultError(
                f"relay: the snapshot is {_span(age)} old, and {MAX_AGE_KEY} allows {_span(self._max_age)}; the relay does not "
                "reach Keeper, or the clocks differ; see the log of the relay"
            )
        before = self._seen.get("fetched", 0)
        if head.fetched < before and head.index != self._seen.get("index"):
            raise TransientVaultError(
                f"relay: the snapshot is {_span(before - head.fetched)} older than the one that was used before, so it is not "
                "used; another replica may have a newer one"
            )

    def _record(self, digest: str) -> Json:
        record = as_object(json.loads(self.transport.record(digest)))
        uid, revision = str(record.get("recordUid")), record.get("revision")
        if isinstance(revision, int):
            if revision < self._revisions.get(uid, revision):
                raise TransientVaultError(
                    f"relay: record {uid} has revision {revision}, and {self._revisions[uid]} was used before; a relay must not "
                    "go back, so its snapshot is not used"
                )
            self._revisions[uid] = revision
        for file in as_objects(record.get("files")):
            blob = file.pop(BLOB, None)
            file["url"] = attachment_name(blob) if blob else _TOO_LARGE
        return record


_PLACEHOLDERS = {
    "hostname": "relay.invalid",
    "clientId": base64.b64encode(bytes(64)).decode(),
    "privateKey": "MA==",
    "serverPublicKeyId": "10",
}
"""What the SDK insists on and never uses here."""


def _span(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes / 60:.1f} h" if minutes >= 100 else f"{minutes:.0f} min" if minutes >= 2 else f"{seconds:.0f} s"


def connect_relayed(
    configuration: Mapping[str, str], state: State, *, ca_file: Path | None, deadline: float, patience: float
) -> RelayedClient:
    """Return a client for the pods' half of a split *configuration*; sends no request. Raises PermanentVaultError."""
    where = "KSM configuration"
    try:
        check_required_keys(configuration, where)
        check_key_lengths(configuration, where)
        url = parse_relay_url(configuration[RELAY_KEY], where)
    except ConfigurationError as error:
        raise PermanentVaultError(str(error)) from None
    application = application_id(base64.urlsafe_b64decode(configuration[APPLICATION_KEY]))
    transport = RelayTransport(url, application, ca_file=ca_file, deadline=deadline, patience=patience)
    client: RelayedClient = translate_errors(lambda: RelayedClient(transport, configuration, state))
    return client
