"""The interface through which the agent reads records; :mod:`keeper_injector_agent.keeper.sdk` implements it with Keeper's SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_injector_common.records import Attachment, Library, Record


class Vault(Protocol):
    """A source of records. Its methods raise only :class:`~keeper_injector_agent.errors.VaultError`."""

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Return all records that are shared with this application, or only those with *uids*.

        With *folders*, each record knows the names of its folders; that costs one more request.
        """
        ...

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Return the content of an attachment of a fetched record."""
        ...
