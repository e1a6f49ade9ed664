"""Reads records through a relay: the answers that Keeper would give, put together from a signed snapshot.

The SDK decrypts them as if Keeper had sent them. Nothing is sent that could identify this pod, and nothing secret: neither the
device's private key nor the application's key leaves this process, which has only the latter.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from keeper_injector_agent import lean_attrs  # noqa: F401 - first, because others import attrs
from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.client import Client, new_storage, request_of, translate_errors
from keeper_injector_agent.keeper.relay_transport import NOT_PUBLISHED, RelayTransport
from keeper_injector_agent.snapshot.content import BLOB, Index
from keeper_injector_agent.snapshot.head import LARGEST_HEAD, Head, public_key, read_head
from keeper_injector_agent.snapshot.names import HEAD_NAME, attachment_name
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
from keeper_injector_common.relay_url import parse_relay_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from keeper_injector_agent.state import State
    from keeper_injector_common.json_values import Json

_DAY = "86400"
_REPLICAS = 3
"""Connections that a refresh opens at most to find a head that is new to it."""


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
        self._note(index, "get_secret", tuple(uids))
        if folders:
            self._note(index, "get_folders", ())

    def _note(self, index: Index, path: str, uids: tuple[str, ...]) -> None:
        identity = index.identity(uids, folders=path == "get_folders")
        self.answers[path, uids] = hashlib.sha256(identity).digest()

    def _post_query(self, path: str, payload: Any) -> bytes:
        """Return the answer that Keeper would give; see :meth:`Client._post_query`."""
        part = self._asked.pop(request_of(path, payload), None)
        if isinstance(part, bytes):
            return part  # of an answer that fetch() has divided
        index, (_, uids) = self._current(), request_of(path, payload)
        self._note(index, path, uids)
        return json.dumps(index.folders() if path == "get_folders" else index.answer(uids, self._record)).encode()

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
        found = self._read_head()
        for _ in range(_REPLICAS - 1):
            if found.index != self._seen.get("index") and found.fetched >= self._seen.get("fetched", 0):
                break
            self.transport.close()
            found = max(found, self._read_head(), key=lambda head: head.fetched)
        return found

    def _read_head(self) -> Head:
        return read_head(self.transport.get(HEAD_NAME, LARGEST_HEAD), self._application, self._key)

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
            file["url"] = attachment_name(blob) if blob else NOT_PUBLISHED
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
