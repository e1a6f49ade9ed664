"""One relayed application: asks Keeper, and publishes what has changed."""

from __future__ import annotations

import email.utils
import logging
import time
from functools import partial
from pathlib import Path

import attrs

from keeper_injector_agent.credentials.file import read_from_file
from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError, VaultError
from keeper_injector_agent.keeper.client import Client, connect_without_key, translate_errors
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_agent.relay.halves import APPLICATION, device_key, parse_relay_half
from keeper_injector_agent.relay.publication import Publication
from keeper_injector_agent.relay.reencryption import Reencryption
from keeper_injector_agent.snapshot.content import Part, attachment_id, attachments_of, divide, outline, records_of
from keeper_injector_agent.snapshot.head import Head, read_head
from keeper_injector_agent.snapshot.names import application_path
from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.json_values import Json, as_object

log = logging.getLogger(__name__)

FOLDERS_EVERY = 300.0
"""Seconds after which the list of folders is asked for, even if no record has changed: it costs one more request."""
_DEADLINE = 20.0
"""Seconds for one poll."""


@attrs.frozen
class RelayLimits:
    """What a relay takes on for one application."""

    attachment: int = 10 * 2**20
    """Bytes of the largest attachment that is published; agents report a larger one by name."""
    size: int = 64 * 2**20
    """Bytes of everything that is published for one application; it is in memory."""


@attrs.define
class Application:
    """The relay's half of one application's configuration, and what is published for it."""

    name: str
    """The name of its directory, which is that of its Secret: for logs and metrics."""
    config: Path
    output: Path
    ca_file: Path | None = None
    limits: RelayLimits = attrs.field(factory=RelayLimits)
    fetched: int = 0
    """Keeper's time of the last answer that is published; 0 before the first."""
    polls: dict[str, int] = attrs.field(factory=lambda: {"ok": 0, "failed": 0, "throttled": 0})
    requests: dict[str, int] = attrs.field(factory=dict)
    """Requests to Keeper by result."""
    records: int = 0
    size: int = 0
    _half: dict[str, str] = attrs.field(factory=dict, repr=False)
    _client: Client | None = None
    _publication: Publication | None = None
    _index: str = ""
    """The digest of the index that is published; empty before the first."""
    _answer: str = ""
    """What :class:`Reencryption` returned for the published answer: a change is noticed before folders and attachments are asked for."""
    _reencryption: Reencryption = attrs.field(factory=Reencryption)
    _folders: Json = attrs.field(factory=dict, repr=False)
    _folders_asked: float = 0.0
    _blobs: dict[str, str] = attrs.field(factory=dict)
    _too_large: set[str] = attrs.field(factory=set)
    _missing: int = 0
    """Attachments that could not be downloaded."""

    def poll(self, *, frozen: bool) -> None:
        """Ask Keeper once, and publish what it says; raises VaultError or OSError, and then the last snapshot stays.

        If the application is *frozen*, the published content stays as it is, and only its time goes on.
        """
        client = self._connect()
        try:
            answer = as_object(translate_errors(partial(client.encrypted, "get_secret")))
            fetched = _time_of(client.date)
            if frozen:
                self._keep_index()
            else:
                self._update(client, answer)
        finally:
            client.transport.close()
            for result, count in client.transport.counts.items():
                self.requests[result] = self.requests.get(result, 0) + count
        head = Head(self._half[APPLICATION], self._index, fetched, frozen)
        self._published().announce(head.signed_by(device_key(self._half, str(self.config))))
        self.fetched, self.size = fetched, self._published().size()

    def _connect(self) -> Client:
        try:
            half = parse_relay_half(read_from_file(self.config), str(self.config))
        except ConfigurationError as error:
            raise PermanentVaultError(str(error)) from None
        transport = Transport(ca_file=self.ca_file, deadline=time.monotonic() + _DEADLINE)
        if self._client is None or half != self._half:
            self._half, self._client = half, connect_without_key(half, transport)
            self._publication = Publication(self.output / application_path(half[APPLICATION]))
            self._index = self._answer = ""
            self._reencryption = Reencryption()
            self._folders_asked = time.monotonic() - FOLDERS_EVERY
        self._client.transport = transport
        return self._client

    def _keep_index(self) -> None:
        """Keep the published index, also that of an earlier process of this container."""
        published = self._published().head()
        if not self._index and published is not None:
            key = device_key(self._half, str(self.config)).public_key()
            self._index = read_head(published, self._half[APPLICATION], key).index
        if not self._index:
            raise TransientVaultError(
                "relay: frozen, and nothing was published here before; nothing is published until the application is unfrozen"
            )

    def _update(self, client: Client, answer: Json) -> None:
        """Take over Keeper's *answer*, and ask for folders and attachments where that is necessary."""
        records = self._key_of(answer)
        folders_due = time.monotonic() - self._folders_asked >= FOLDERS_EVERY
        if records == self._answer and not folders_due and not self._missing:
            return
        if records != self._answer or folders_due:
            self._folders = as_object(translate_errors(partial(client.encrypted, "get_folders")))
            self._folders_asked = time.monotonic()
        blobs = self._download(client, answer)
        snapshot = divide(answer, self._folders, blobs)
        total = len(snapshot.index.content) + sum(len(part.content) for part in snapshot.records.values())
        if total > self.limits.size:
            raise PermanentVaultError(
                f"relay: the records have {total >> 20} MiB, more than {self.limits.size >> 20} MiB; raise the limit with the "
                "memory of the relay, or share fewer records with this application"
            )
        new = self._published().add_snapshot(snapshot, blobs.values())
        if snapshot.index.digest != self._index:
            details = {"application": self.name, "parts": new, "records": len(snapshot.records), "bytes": total}
            log.info("relay.published", extra=details)
            self._warn_of_rights(answer)
        self._answer, self._blobs, self._index = records, blobs, snapshot.index.digest
        self.records = len(snapshot.records)

    @property
    def is_reencrypted(self) -> bool:
        """Whether Keeper encrypts everything again in each answer, so that only revisions show a change."""
        return self._reencryption.is_found

    def _key_of(self, answer: Json) -> str:
        """Return what is the same for two answers with the same content."""
        before = self.is_reencrypted
        key = self._reencryption.key(divide(answer, {}, {}).index.digest, outline(answer))
        if self.is_reencrypted and not before:
            advice = (
                "Keeper encrypts all records again in each answer; the relay goes by their revisions, and publishes "
                f"everything every {FOLDERS_EVERY:.0f} seconds"
            )
            log.warning("relay.reencrypted", extra={"application": self.name, "advice": advice})
        return key

    def _download(self, client: Client, answer: Json) -> dict[str, str]:
        """Return the digests of all attachments that are small enough, and download those that are new.

        One that cannot be downloaded is retried at the next poll, and is missing until then.
        """
        blobs: dict[str, str] = {}
        self._missing = 0
        for file in attachments_of(answer):
            key = attachment_id(file)
            if key in self._blobs:
                blobs[key] = self._blobs[key]
            if key in blobs or key in self._too_large:
                continue
            content = bytearray()
            details = {"application": self.name, "file": file.get("fileUid")}
            try:
                client.transport.download(file.get("url"), partial(_receive, content, self.limits.attachment))
            except _TooLargeError:
                self._too_large.add(key)
                log.warning("relay.attachment_too_large", extra={**details, "limit": self.limits.attachment})
            except VaultError as error:
                self._missing += 1
                log.warning("relay.attachment_missing", extra={**details, "cause": str(error)})
            else:
                blobs[key] = self._published().add_attachment(Part(bytes(content)))
        return blobs

    def _published(self) -> Publication:
        if self._publication is None:
            raise RuntimeError("it is set with the client")
        return self._publication

    def _warn_of_rights(self, answer: Json) -> None:
        """Warn if the relay's device may change records: if the relay is taken over, they can be deleted."""
        editable = [str(record.get("recordUid")) for record in records_of(answer) if record.get("isEditable")]
        if editable:
            advice = "share the folders of this application read-only, because a relay that is taken over could delete records"
            details = {"application": self.name, "records": len(editable), "first": editable[0], "advice": advice}
            log.warning("relay.editable", extra=details)


class _TooLargeError(Exception):
    """An attachment is larger than the limit."""


def _receive(content: bytearray, largest: int, block: bytes) -> None:
    content += block
    if len(content) > largest:
        raise _TooLargeError


def _time_of(date: str) -> int:
    """Return the time in a header ``Date``; raises TransientVaultError."""
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp())
    except (ValueError, TypeError, OverflowError):
        raise TransientVaultError(
            "Keeper: the answer has no valid header Date, which the age of a snapshot needs"
        ) from None
