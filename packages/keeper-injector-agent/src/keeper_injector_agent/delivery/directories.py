"""The content of a directory: the files that the plan names, and those of its folders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.folders import render_folders
from keeper_injector_agent.delivery.progress import PendingFile, Progress, previous_file
from keeper_injector_common.plan.wire import item_key

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Directory, FileItem
    from keeper_injector_common.records import Renderer


def render_directory(
    directory: Directory, previous: Mapping[str, File], renderer: Renderer, progress: Progress
) -> dict[str, File]:
    """Return the new files of *directory* by name, given the *previous* ones. Problems are reported to *progress*."""
    files: dict[str, File] = {}
    for item in directory.files:
        render = partial(_render_item, directory, item, previous.get(item.name), renderer, progress)
        kept = previous_file(previous, item.name, item.mode)
        file = progress.deliver_or_keep(f"{directory.target}/{item.name}", render, kept=kept, gone=None)
        if file is not None:
            files[item.name] = file
    # The paths of the folders' files are never those of the files above.
    return {**render_folders(directory, previous, renderer, progress), **files} if directory.folders else files


def _render_item(
    directory: Directory, item: FileItem, previous: File | None, renderer: Renderer, progress: Progress
) -> File | None:
    pending = PendingFile(
        path=f"{directory.path}/{item.name}",
        mode=item.mode,
        variant=item_key(item),
        records=[renderer.find_record(source) for source in item.sources],
        render=partial(renderer.render_file, item),
    )
    return progress.reuse_or_render(pending, previous)
