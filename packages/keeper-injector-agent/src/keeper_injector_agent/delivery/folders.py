"""The files of Keeper folders: one for each record, named after it, and what becomes of a file whose record changed.

The plan names the folder but not its files. The state therefore remembers each file's *origin*, the UID of its record. A record keeps
the name of its file while another one has the same title (``records.folder_names``), and its path while a record of another folder
wants it too (``records.directory_files``).

If another record gets the name of a file nevertheless, because the one before is gone or has another title, that is logged as
``reference.changed``. With ``strict-lookup``, the other record gets its UID into the name of its file instead.

After the folders are rendered, every file of the previous refresh that was not written again is kept or removed, depending on its
record:

===============================================  ===========================================
the record of the file …                         the file is …
===============================================  ===========================================
has another file now: it was renamed             removed
cannot have a file under its present name        kept, and reported
was sent by Keeper but cannot be decrypted       kept, and reported
is gone: deleted, moved or not shared any more   kept and reported, or removed (on_removal)
is unknown, while some record is undecryptable   kept and reported: it may be that record
===============================================  ===========================================

The file of a record that cannot be decrypted and had no file is missing, and its title is unknown. With ``strict-lookup``, that is a
problem of the folder; otherwise it is a warning, and the folder is stale.

A file that is kept has an old value. So it is reported at every refresh, and the time of the last success does not advance. Only the
init container reports it as a warning, because a new pod would start without that file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.progress import PendingFile, Progress
from keeper_injector_common.records import FolderFile, assign_paths, describe_clash, describe_overridden
from keeper_injector_common.uniqueness import Named

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Directory, FolderItem
    from keeper_injector_common.records import Renderer

_MOST_SHOWN = 5
"""UIDs in a message."""
_GONE = (
    "its record is not in the folder any more (deleted, moved, or not shared), and the file keeps the old content; restore the record, "
    "set keeper.security/on-removal: remove, or replace the pod"
)
_UNWRITTEN = (
    "its record cannot be written under its present name, as another message says, and the file keeps the old content"
)
_UNREADABLE = "its record cannot be decrypted; share it with the application again"
_MALFORMED = (
    "the content of its record is not as Keeper's clients write it; correct it in Keeper, as the agent's log says"
)


def render_folders(
    directory: Directory, previous: Mapping[str, File], renderer: Renderer, progress: Progress
) -> dict[str, File]:
    """Return the files of all folders of *directory* by name, given the *previous* files. Problems are reported to *progress*.

    A record that cannot be written in its folder's format keeps its previous file; so do those of a folder that cannot be read.
    """
    owners = {name: uid for name in previous if (uid := progress.previous_origin(f"{directory.path}/{name}"))}
    of_folders = _files_of_folders(directory, previous)
    wanted: list[Named[FolderFile]] = []
    kept: dict[str, File] = {}
    nothing: list[Named[FolderFile]] | None = []
    for folder in directory.folders:
        where = f"{directory.target}/{folder.below}".rstrip("/")
        find = partial(_wanted, folder, owners, renderer)
        found = progress.deliver_or_keep(where, find, kept=None, gone=nothing)
        if found is None:
            kept.update({name: file for name, file in of_folders.items() if name.rpartition("/")[0] == folder.below})
        else:
            wanted += found
            _report_unreadable(where, folder, owners, renderer, progress)
    assigned = assign_paths([item.name for item in directory.files], wanted, owners)
    for entry in assigned.overridden:
        progress.warn(f"{directory.target}/{entry.name}: {describe_overridden(entry.origin)}")
    for clash in assigned.clashes:
        progress.report(f"{directory.target}/{clash.name}", describe_clash(clash))
        if clash.name in of_folders and clash.name not in assigned.files:
            kept[clash.name] = of_folders[clash.name]
    files: dict[str, File] = {}
    for name, wanted_file in assigned.files.items():
        pending = _pending(directory, name, wanted_file, renderer)
        file = _deliver(f"{directory.target}/{name}", pending, previous.get(name), progress)
        if file is not None:
            files[name] = file
    delivered = {progress.origins[f"{directory.path}/{name}"] for name in files}
    files = {**{name: file for name, file in kept.items() if owners.get(name) not in delivered}, **files}
    present = {entry.value.record.uid for entry in wanted}
    library = renderer.library
    why_kept = dict.fromkeys(present, _UNWRITTEN) | dict.fromkeys(library.unreadable, _UNREADABLE)
    why_kept |= dict.fromkeys(library.malformed, _MALFORMED)
    return {**_leftover_files(directory, of_folders, files, why_kept, progress), **files}


def _wanted(folder: FolderItem, owners: Mapping[str, str], renderer: Renderer) -> list[Named[FolderFile]] | None:
    found = renderer.folder_files(folder, owners)
    return [Named(entry.name, FolderFile(folder, entry.value), entry.origin) for entry in found]


def _report_unreadable(
    where: str, folder: FolderItem, owners: Mapping[str, str], renderer: Renderer, progress: Progress
) -> None:
    """Report the records of *folder* that cannot be read and have no previous file: their files are missing."""
    library, strict = renderer.library, renderer.strict
    unreadable = library.unreadable_in(folder.folder, recursive=folder.recursive, strict=strict)
    uids = [uid for uid in unreadable if uid not in owners.values()]
    if not uids:
        return
    shown = ", ".join(uids[:_MOST_SHOWN]) + (" …" if len(uids) > _MOST_SHOWN else "")
    records = "1 record of it" if len(uids) == 1 else f"{len(uids)} records of it"
    problem = (
        f"folder {folder.folder.title!r}: {records} cannot be decrypted or read ({shown}), so files are missing; "
        "share the records with the application again"
    )
    if strict:
        progress.report(where, problem)
    else:
        progress.report_unreadable(where, problem, uids)


def _pending(directory: Directory, name: str, wanted: FolderFile, renderer: Renderer) -> PendingFile:
    return PendingFile(
        path=f"{directory.path}/{name}",
        mode=wanted.folder.mode,
        variant=f"{wanted.folder.format} of {name}",
        records=[wanted.record],
        render=partial(renderer.render_record, wanted.record, wanted.folder.format),
    )


def _deliver(where: str, pending: PendingFile, previous: File | None, progress: Progress) -> File | None:
    uid = pending.records[0].uid
    # If the record cannot be rendered, the file of another record must not take its place.
    origin = progress.previous_origin(pending.path)
    is_own = origin in {uid, None}
    if origin is not None and not is_own and previous is not None:
        progress.note_replaced(where, pending.records[0], origin)
    progress.origins[pending.path] = uid
    render = partial(progress.reuse_or_render, pending, previous)
    kept = File(previous.content, pending.mode) if previous is not None and is_own else None
    return progress.deliver_or_keep(where, render, kept=kept, gone=None)


def _leftover_files(
    directory: Directory,
    previous: Mapping[str, File],
    files: Mapping[str, File],
    why_kept: Mapping[str, str],
    progress: Progress,
) -> dict[str, File]:
    """Return the *previous* files of folders that have no successor in *files* and stay nevertheless (see above).

    *why_kept* has the problems of records that are not gone, by UID.
    """
    for name in files:
        path = f"{directory.path}/{name}"
        origin = progress.previous_origin(path)
        if origin is not None:
            progress.origins.setdefault(path, origin)  # a file that was kept because of a problem
    delivered = {progress.origins.get(f"{directory.path}/{name}") for name in files}
    leftover: dict[str, File] = {}
    for name, file in previous.items():
        path = f"{directory.path}/{name}"
        uid = progress.previous_origin(path) or ""
        if name in files or uid in delivered:
            continue
        if problem := why_kept.get(uid):
            progress.report(f"{directory.target}/{name}", problem)
        elif progress.remove_gone and (uid or {_UNREADABLE, _MALFORMED}.isdisjoint(why_kept.values())):
            continue
        else:
            progress.report_stale(f"{directory.target}/{name}", _GONE)
        leftover[name] = file
        if uid:
            progress.origins[path] = uid
    return leftover


def _files_of_folders(directory: Directory, files: Mapping[str, File]) -> dict[str, File]:
    """Return those of *files* that came from a folder: all that the plan does not name."""
    named = {item.name for item in directory.files}
    return {name: file for name, file in files.items() if name not in named}
