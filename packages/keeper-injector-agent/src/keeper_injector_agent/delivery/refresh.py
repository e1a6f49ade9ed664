"""One refresh: fetch the records, render the files, write each directory as a whole, and tell the application."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent.delivery import environment, files
from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.errors import SecretSyncError, ThrottledError, VaultError, WriteError
from keeper_injector_common.errors import ContractError, RecordGoneError
from keeper_injector_common.plan.paths import below_root
from keeper_injector_common.plan.writer import item_key
from keeper_injector_common.records import Attachment, Download, Record, Renderer, RenderTemplate
from keeper_injector_common.references import is_uid

if TYPE_CHECKING:
    from keeper_injector_agent.keeper.vault import Vault
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Directory, FileItem, FolderItem, Plan
    from keeper_injector_common.records import Library
    from keeper_injector_common.references import Reference

log = logging.getLogger(__name__)


SyncSecret = Callable[["KubernetesSecret", Mapping[str, bytes]], str]
"""Writes a Kubernetes Secret and says what became of it; raises SecretSyncError."""


@attrs.frozen
class Edges:
    """What a delivery needs of the world outside, besides the file system."""

    download: Download
    render_template: RenderTemplate
    sync_secret: SyncSecret


@attrs.frozen
class Outcome:
    """What a refresh did."""

    changed: tuple[str, ...] = ()
    """Directories, as the application sees them, whose content changed."""
    problems: tuple[str, ...] = ()
    """What could not be delivered, and why; everything else was."""
    unwritten: bool = False
    """Whether a problem was that of a volume: nothing to change in Keeper."""
    files: int = 0
    size: int = 0
    """Bytes of all files."""


def fetch(plan: Plan, vault: Vault) -> Library:
    """Fetch what *plan* needs with one request: filtered only when every reference is a UID, folders only when named."""
    references = plan.references()
    names = [reference.record for reference in references]
    with_folders = bool(plan.folders()) or any(len(name.parts) > 1 for name in names)
    uids = sorted({name.title for name in names})
    if not with_folders and uids and all(map(is_uid, uids)):
        library = vault.fetch(uids)
        if {record.uid for record in library.records} | set(library.unreadable) >= set(uids):
            return library
        # A title can look like a UID; then the filter found nothing under it.
    return vault.fetch(folders=with_folders)


def deliver(plan: Plan, library: Library, edges: Edges, state: State, *, root: Path, initial: bool) -> Outcome:
    """Bring every directory of *plan* up to date with *library*, then its Kubernetes Secrets; *initial* is the first time.

    What cannot be had of one item is a problem of that item alone: its old file stays, unless its record is gone and the
    plan says ``remove``. After a download that is throttled none is tried any more, and *state* knows until when.
    """
    return _Delivery(plan, library, edges, state, root=root, initial=initial).outcome()


@attrs.frozen
class _Wanted:
    """A file, what it is made from, and how."""

    name: str
    mode: int
    key: str
    """Differs between files that would be different from the same records."""
    records: Sequence[Record]
    content: Callable[[], bytes]


class _Delivery:
    def __init__(self, plan: Plan, library: Library, edges: Edges, state: State, *, root: Path, initial: bool) -> None:
        self._plan = plan
        self._state = state
        self._root = root
        self._initial = initial
        self._downloads: dict[str, bytes] = {}
        self._throttled: ThrottledError | None = None
        self._edges = edges
        self._renderer = Renderer(library, plan.strict_lookup, self._download, edges.render_template)
        self._problems: list[str] = []
        self._unwritten = False
        self._inputs: dict[str, str] = {}
        self._origins: dict[str, str] = {}

    def outcome(self) -> Outcome:
        self._warn_of_ambiguous(self._plan.references())
        self._warn_of_unreadable()
        changed: list[str] = []
        count = size = 0
        for target, path, new in self._sets():
            count += len(new)
            size += sum(len(file.content) for file in new.values())
            try:
                if files.write(path, new, volume_size=self._plan.volume_size):
                    changed.append(target)
            except WriteError as error:
                self._problems.append(f"{target}: {error}")
                self._unwritten = True
        changed += [f"Secret {secret.name}" for secret in self._plan.kubernetes_secrets if self._sync(secret)]
        self._state.inputs, self._state.origins = self._inputs, self._origins
        return Outcome(tuple(changed), tuple(self._problems), self._unwritten, count, size)

    def _sync(self, secret: KubernetesSecret) -> bool:
        """Write a Secret at first, and later when its data has changed and it shall follow; says whether it was written."""
        key = secret_key(secret)
        known = self._state.inputs.get(key)
        try:
            records = [self._renderer.find_record(source) for source in secret.sources]
            digest = self._state.digest(*(_record_key(record) for record in records))
            wanted = self._initial or known is None or (secret.rotation and known != digest)
            result = self._edges.sync_secret(secret, self._renderer.secret_data(secret)) if wanted else "unchanged"
        except (ContractError, VaultError) as error:
            self._problems.append(f"Secret {secret.name}: {error}")
        except SecretSyncError as error:
            self._problems.append(f"Secret {secret.name}: {error}")
            self._unwritten = True
        else:
            self._inputs[key] = digest if wanted or known is None else known
            return result not in {"unchanged", "kept"}
        if known is not None:
            self._inputs[key] = known
        return False

    def _sets(self) -> Iterable[tuple[str, Path, dict[str, File]]]:
        """Name every set of files, where the application and where this process sees it, and what it should hold."""
        for directory in self._plan.directories:
            path = self._at(directory.path)
            yield directory.target, path, self._directory(directory, files.read(path))
        for item in self._plan.environments:
            path = self._at(item.path)
            old = files.read(path)
            yield "environment variables", path, environment.render(item, self._renderer, old, self._problems)

    def _at(self, path: str) -> Path:
        return below_root(self._root, path)

    def _directory(self, directory: Directory, old: Mapping[str, File]) -> dict[str, File]:
        new: dict[str, File] = {}
        for item in directory.files:
            where = f"{directory.target}/{item.name}"
            kept = {item.name: File(old[item.name].content, item.mode)} if item.name in old else {}
            new.update(self._attempt(where, partial(self._file, directory, item, old), kept))
        for folder in directory.folders:
            where = f"{directory.target}/{folder.below}".rstrip("/")
            kept = {name: file for name, file in _of_folders(directory, old) if name.rpartition("/")[0] == folder.below}
            new.update(self._attempt(where, partial(self._folder, directory, folder, old), kept))
        return {**self._left(directory, old, new), **new}

    def _attempt(self, where: str, make: Callable[[], dict[str, File]], kept: dict[str, File]) -> dict[str, File]:
        """Return what *make* makes. Where it cannot, that is noted and the *kept* files stay, if the plan wants that."""
        try:
            return make()
        except RecordGoneError as error:
            self._problems.append(f"{where}: {error}")
            return {} if self._plan.on_removal == "remove" else kept
        except (ContractError, VaultError) as error:
            self._problems.append(f"{where}: {error}")
            return kept

    def _file(self, directory: Directory, item: FileItem, old: Mapping[str, File]) -> dict[str, File]:
        records = [self._renderer.find_record(source) for source in item.sources]
        wanted = _Wanted(item.name, item.mode, item_key(item), records, partial(self._renderer.render_file, item))
        return self._made(directory, wanted, old)

    def _folder(self, directory: Directory, folder: FolderItem, old: Mapping[str, File]) -> dict[str, File]:
        new: dict[str, File] = {}
        for name, record in self._renderer.folder_files(folder).items():
            content = partial(self._renderer.render_record, record, folder.format)
            wanted = _Wanted(name, folder.mode, f"{folder.format} of {name}", [record], content)
            kept = {name: File(old[name].content, folder.mode)} if name in old else {}
            new.update(self._attempt(f"{directory.target}/{name}", partial(self._made, directory, wanted, old), kept))
            self._origins[f"{directory.path}/{name}"] = record.uid
        return new

    def _made(self, directory: Directory, wanted: _Wanted, old: Mapping[str, File]) -> dict[str, File]:
        """Make one file; what was made from the same input before is taken as it is, without download or template."""
        key = f"{directory.path}/{wanted.name}"
        digest = self._state.digest(wanted.key.encode(), *map(_record_key, wanted.records))
        same = wanted.name in old and self._state.inputs.get(key) == digest
        file = old[wanted.name] if same else File(wanted.content(), wanted.mode)
        self._inputs[key] = digest
        return {wanted.name: file}

    def _left(self, directory: Directory, old: Mapping[str, File], new: Mapping[str, File]) -> dict[str, File]:
        """Return the old files of folders that nothing new stands for, and that stay.

        The record of such a file has another name now, and its file too; or it is gone, which the plan has a word for; or it
        cannot be decrypted any more, which is a problem.
        """
        known = self._state.origins
        for path in (f"{directory.path}/{name}" for name in new):
            if path in known:
                self._origins.setdefault(path, known[path])
        there = {self._origins.get(f"{directory.path}/{name}") for name in new}
        unreadable = self._renderer.library.unreadable
        left: dict[str, File] = {}
        for name, file in _of_folders(directory, old):
            uid = known.get(f"{directory.path}/{name}", "")
            if name in new or uid in there:
                continue
            if uid in unreadable:
                self._problems.append(
                    f"{directory.target}/{name}: its record cannot be decrypted; share it with the application again"
                )
            elif self._plan.on_removal == "remove" and (uid or not unreadable):
                continue
            left[name] = file
            if uid:
                self._origins[f"{directory.path}/{name}"] = uid
        return left

    def _download(self, record: Record, attachment: Attachment) -> bytes:
        key = f"{record.uid}/{attachment.uid}"
        if self._throttled:
            raise self._throttled
        if key not in self._downloads:
            try:
                self._downloads[key] = self._edges.download(record, attachment)
            except ThrottledError as error:
                self._throttled = error
                self._state.throttle(error.until)
                raise
        return self._downloads[key]

    def _warn_of_unreadable(self) -> None:
        """Records that cannot be decrypted have no folder and no title: they may be missing in one that is delivered."""
        unreadable = self._renderer.library.unreadable
        if unreadable and self._plan.folders():
            log.warning("records.unreadable", extra={"uids": sorted(unreadable)})

    def _warn_of_ambiguous(self, references: Iterable[Reference]) -> None:
        if self._plan.strict_lookup:
            return
        for name in {reference.record for reference in references}:
            matches = self._renderer.library.matches(name)
            if len(matches) > 1:
                log.warning(
                    "record.ambiguous", extra={"record": name.title, "count": len(matches), "uid": matches[0].uid}
                )


def secret_key(secret: KubernetesSecret) -> str:
    """Return the name of a Secret's digest in the state."""
    return f"secret {secret.name} of {', '.join(map(str, secret.sources))}"


def is_complete(plan: Plan, root: Path, state: State) -> bool:
    """Say whether all that *plan* names is already there: then an outage need not keep a pod from starting again."""
    if any(secret_key(secret) not in state.inputs for secret in plan.kubernetes_secrets):
        return False
    for directory in plan.directories:
        present = files.read(below_root(root, directory.path))
        if any(item.name not in present for item in directory.files) or (directory.folders and not present):
            return False
    return all(files.read(below_root(root, item.path)) for item in plan.environments)


def _of_folders(directory: Directory, files: Mapping[str, File]) -> list[tuple[str, File]]:
    """Return those of *files* that come from folders."""
    named = {item.name for item in directory.files}
    return [(name, file) for name, file in files.items() if directory.folders and name not in named]


def _record_key(record: Record) -> bytes:
    attachments = [attrs.astuple(item) for item in record.attachments]
    return json.dumps([record.uid, record.title, record.named_values(), attachments]).encode()
