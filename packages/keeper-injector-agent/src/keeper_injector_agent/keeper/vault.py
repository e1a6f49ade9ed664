"""Where records come from, as the agent needs it: a port that :mod:`keeper_injector_agent.keeper.sdk` implements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeper_injector_common.records import Attachment, Library, Record


class Vault(Protocol):
    """A vault of records. Raises only :class:`~keeper_injector_agent.errors.VaultError`."""

    def fetch(self, uids: Sequence[str] = (), *, folders: bool = False) -> Library:
        """Return all records shared with this application, or only those with *uids*.

        With *folders* the records know the names of their folders; that costs one more request.
        """
        ...

    def download(self, record: Record, attachment: Attachment) -> bytes:
        """Return the content of an attachment of a fetched record."""
        ...
