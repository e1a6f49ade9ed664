"""What a refresh has found out so far: problems, and for the next refresh the input of each file and its record.

The state remembers a keyed digest of the input that each file was rendered from (records, format, template). While the
digest stays the same, the previous file is reused without a download or a template.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import attrs

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.origins import note_replaced
from keeper_injector_agent.errors import DeliveryError, as_reported
from keeper_injector_agent.freshness import TargetResult
from keeper_injector_common.errors import KeeperInjectorError, RecordGoneError
from keeper_injector_common.records import Record

if TYPE_CHECKING:
    from keeper_injector_agent.state import State

log = logging.getLogger(__name__)
T = TypeVar("T")


class PendingFile(NamedTuple):
    """A file that is to be delivered, and how to render it."""

    path: str
    """Path in the agent's container; identifies the file in the state."""
    mode: int
    variant: str
    """Differs between files that are rendered differently from the same records."""
    records: Sequence[Record]
    render: Callable[[], bytes]


class Progress:
    """The problems of one refresh, and what the next one needs to know of it."""

    def __init__(self, state: State, *, remove_gone: bool, initial: bool = False) -> None:
        """Begin a refresh after that of *state*; *initial* is that of the init container.

        *remove_gone* says whether a file whose record is gone is removed (``on_removal: remove``) or kept.
        """
        self.remove_gone = remove_gone
        self.initial = initial
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.write_failed = False
        self.inputs: dict[str, str] = {}
        """Digest of the input of each delivered file and Secret."""
        self.origins: dict[str, str] = {}
        """UID of the record of each file of a folder."""
        self.variables: dict[str, str] = {}
        """Item of the plan that each environment variable came from, by ``PATH/NAME``."""
        self.results: dict[str, TargetResult] = {}
        """What happened to each target that is finished, by its name."""
        self.delivered = 0
        """Number of items of these targets that are up to date. A target without files counts as one item."""
        self._state = state
        self._open = TargetResult()
        """The target that is not finished."""
        self._rendered = 0
        """Number of its files that are up to date."""

    def report(self, where: str, problem: KeeperInjectorError | str, *, repeated: str = "") -> None:
        """Record that something could not be delivered; the message begins with *where*.

        If the problem's own text begins with *repeated*, which names the same item, that is left out.
        """
        text = str(problem).removeprefix(repeated)
        self.problems.append(f"{where}: {text}")
        self._age(where, text)
        self.write_failed |= isinstance(problem, DeliveryError)

    def finish(self, target: str, *, written: bool, present: bool) -> None:
        """End a *target*, to which belongs all that was reported and rendered since the one before.

        *written* says that its content is new, and *present* that it has content. Several parts of one target add up.
        """
        found = self._open
        if present:
            self.delivered += self._rendered if found.problems else max(1, self._rendered)
        result = self.results.setdefault(target, TargetResult())
        result.problems |= found.problems
        result.written |= written
        result.present |= present
        self._open, self._rendered = TargetResult(), 0

    def report_stale(self, where: str, problem: str) -> None:
        """Record that a file keeps an old value which a new pod would not have; in the init container, that is a warning."""
        if self.initial:
            self.warn(f"{where}: {problem}")
            self._age(where, problem)
        else:
            self.report(where, problem)

    def _age(self, where: str, problem: str) -> None:
        """Record that an item is not up to date after this refresh."""
        known = self._open.problems.get(where)
        self._open.problems[where] = f"{known}; {problem}" if known else problem

    def warn(self, text: str) -> None:
        """Log that of several entries for one name one was chosen, or another thing that is delivered and may surprise.

        Items of one record can have the same warning, which is logged once.
        """
        if text in self.warnings:
            return
        self.warnings.append(text)
        log.warning("secret.ambiguous", extra={"problem": text})

    def note_replaced(self, where: str, record: Record, previous_uid: str) -> None:
        """Log that the file *where* is made from *record* now, and was made from another one before; leave that in the state."""
        note_replaced(self._state, where, record, previous_uid)

    def report_unreadable(self, where: str, problem: str, uids: Sequence[str]) -> None:
        """Record that files may be missing, because the records *uids* cannot be read; the item is not up to date.

        That does not keep a pod from starting: nobody knows the titles of these records, or whether they ever had a file.
        """
        self.warnings.append(f"{where}: {problem}")
        self._age(where, problem)
        log.warning("records.unreadable", extra={"uids": list(uids), "problem": f"{where}: {problem}"})

    def deliver_or_keep(self, where: str, render: Callable[[], T], *, kept: T, gone: T) -> T:
        """Return the result of *render*. If it fails, report that and return *kept*, or *gone* if the file is to go."""
        try:
            return render()
        except RecordGoneError as error:
            self.report(where, error)
            return gone if self.remove_gone else kept
        except Exception as error:  # noqa: BLE001 - a bug that one item meets must not keep the others away
            self.report(where, as_reported(error))
            return kept

    def reuse_or_render(self, pending: PendingFile, previous: File | None) -> File:
        """Return *previous* if it was rendered from the same input, otherwise a new file; raises what rendering raises."""
        digest = self.digest(pending.variant.encode(), *map(record_digest, pending.records))
        if previous is None or self.previous_input(pending.path) != digest:
            previous = File(pending.render(), pending.mode)
        self.inputs[pending.path] = digest
        self._rendered += 1
        return previous

    def count_up_to_date(self) -> None:
        """Count an item that is up to date."""
        self._rendered += 1

    def digest(self, *parts: bytes) -> str:
        """Return the keyed digest of *parts*, see :meth:`State.digest`."""
        return self._state.digest(*parts)

    def previous_input(self, key: str) -> str | None:
        """Return the digest of a file or Secret from the previous refresh, or None."""
        return self._state.inputs.get(key)

    def previous_origin(self, path: str) -> str | None:
        """Return the UID of the record that a folder's file came from in the previous refresh, or None."""
        return self._state.origins.get(path)

    def previous_item(self, path: str) -> str | None:
        """Return the item that an environment variable came from in the previous refresh, or None."""
        return self._state.variables.get(path)

    def note_items(self, path: str, items: Mapping[str, str]) -> None:
        """Note the item that each variable of the environment at *path* came from, by name."""
        _restore(self.variables, {f"{path}/{name}": item for name, item in items.items()}, path)

    def keep_previous(self, directory: str) -> None:
        """Take back what was found out about the files of *directory*, because they could not be written.

        Otherwise the next refresh would take the old files for the new ones, whose input it knows.
        """
        _restore(self.inputs, self._state.inputs, directory)
        _restore(self.origins, self._state.origins, directory)
        _restore(self.variables, self._state.variables, directory)

    def commit(self) -> None:
        """Leave inputs, origins and freshness in the state, for the next refresh, and count the targets that changed."""
        self._state.inputs, self._state.origins = self.inputs, self.origins
        self._state.variables = self.variables
        self._state.count("changes", len(self._state.freshness.update(self.results)))


def _restore(new: dict[str, str], old: Mapping[str, str], directory: str) -> None:
    """Replace the entries of *new* below *directory* by those of *old*."""
    for path in [path for path in new if path.startswith(f"{directory}/")]:
        del new[path]
    new.update({path: value for path, value in old.items() if path.startswith(f"{directory}/")})


def previous_file(files: Mapping[str, File], name: str, mode: int) -> File | None:
    """Return the file called *name* of the previous refresh, with the plan's *mode*, or None if it does not exist."""
    return File(files[name].content, mode) if name in files else None


def record_digest(record: Record) -> bytes:
    """Return a record's content in one canonical form, as input of a digest."""
    fields = [[field.name, field.values, field.fault] for field in record.fields]
    attachments = [attrs.astuple(item) for item in record.attachments]
    unreadable = record.unreadable_attachments
    return json.dumps([record.uid, record.title, record.type, fields, record.notes, attachments, unreadable]).encode()
