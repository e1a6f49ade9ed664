"""The files of Keeper folders: one for each record, named after it, and what becomes of a file whose record changed.

The plan names the folder but not its files. The state therefore remembers each file's *origin*, the UID of its record.
After the folder is rendered, every file of the previous refresh that was not written again is kept or removed, depending on its
record:

===============================================  =============================
the record of the file …                         the file is …
===============================================  =============================
has another file now: it was renamed             removed
was sent by Keeper but cannot be decrypted       kept, and reported
is gone: deleted, moved or not shared any more   kept or removed (on_removal)
is unknown, while some record is undecryptable   kept: it may be that record
===============================================  =============================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.progress import PendingFile, Progress, previous_file

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Directory, FolderItem
    from keeper_injector_common.records import Renderer


def render_folder(
    directory: Directory, folder: FolderItem, previous: Mapping[str, File], renderer: Renderer, progress: Progress
) -> dict[str, File]:
    """Return one file for each record of *folder*; raises ContractError if the folder has no readable record.

    A record that cannot be written in the folder's format is reported to *progress* and keeps its previous file.
    """
    files: dict[str, File] = {}
    for name, record in renderer.folder_files(folder).items():
        pending = PendingFile(
            path=f"{directory.path}/{name}",
            mode=folder.mode,
            variant=f"{folder.format} of {name}",
            records=[record],
            render=partial(renderer.render_record, record, folder.format),
        )
        kept = previous_file(previous, name, folder.mode)
        render = partial(progress.reuse_or_render, pending, previous.get(name))
        file = progress.deliver_or_keep(f"{directory.target}/{name}", render, kept=kept, gone=None)
        if file is not None:
            files[name] = file
        progress.origins[pending.path] = record.uid
    return files


def files_below(directory: Directory, folder: FolderItem, files: Mapping[str, File]) -> dict[str, File]:
    """Return those of *files* that are in the sub-directory of *folder* and that the plan does not name itself."""
    of_folders = _files_of_folders(directory, files)
    return {name: file for name, file in of_folders.items() if name.rpartition("/")[0] == folder.below}


def leftover_files(
    directory: Directory,
    previous: Mapping[str, File],
    files: Mapping[str, File],
    unreadable: Collection[str],
    progress: Progress,
) -> dict[str, File]:
    """Return the *previous* files of folders that have no successor in *files* and stay nevertheless (see above)."""
    for name in files:
        path = f"{directory.path}/{name}"
        origin = progress.previous_origin(path)
        if origin is not None:
            progress.origins.setdefault(path, origin)  # a file that was kept because of a problem
    delivered = {progress.origins.get(f"{directory.path}/{name}") for name in files}
    leftover: dict[str, File] = {}
    for name, file in _files_of_folders(directory, previous).items():
        uid = progress.previous_origin(f"{directory.path}/{name}") or ""
        if name in files or uid in delivered:
            continue
        if uid in unreadable:
            where = f"{directory.target}/{name}"
            progress.report(where, "its record cannot be decrypted; share it with the application again")
        elif progress.remove_gone and (uid or not unreadable):
            continue
        leftover[name] = file
        if uid:
            progress.origins[f"{directory.path}/{name}"] = uid
    return leftover


def _files_of_folders(directory: Directory, files: Mapping[str, File]) -> dict[str, File]:
    """Return those of *files* that came from a folder: all that the plan does not name."""
    named = {item.name for item in directory.files}
    return {name: file for name, file in files.items() if directory.folders and name not in named}
