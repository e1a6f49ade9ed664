"""One refresh: fetches the records, renders and writes what changed, and notifies the application.

Theory of operation::

    plan ─fetch→ records ─render→ files ─write→ changed? ─notify→ application

A refresh fetches all records with one request and then works through the plan's items one by one. A problem of one item
(a missing field, a failed download) never affects another: it is reported, and the item keeps its previous file.

The life of a file from one refresh to the next:

=============  ==============================================  =========  ===========================================
a file that …  and the refresh finds …                         is now …   because the agent …
=============  ==============================================  =========  ===========================================
is absent      its record                                      current    renders and writes it
is absent      a problem                                       absent     reports the problem
exists         its record, with the same input as before       current    reuses it, without a download or a template
exists         its record, with another input                  current    renders and writes it
exists         that its record is gone; on_removal: remove     absent     reports that and removes the file
exists         any other problem                               kept       reports it; content stays, the plan's mode applies
=============  ==============================================  =========  ===========================================

``progress.py`` decides between these rows. The plan does not name the files of a folder, so that renamed and removed
records need more thought there: see ``folders.py``.

Each directory is swapped as a whole (``files.py``), so that no reader sees files of two refreshes together. Nothing is
written if nothing changed, and the application is notified after all directories are in place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from keeper_injector_agent.delivery.directories import render_directory
from keeper_injector_agent.delivery.environment import render_environment
from keeper_injector_agent.delivery.files import File, digest_files, read_files, write_files
from keeper_injector_agent.delivery.kubernetes_secret import SyncSecret, clashing_keys, secret_key, sync_if_due
from keeper_injector_agent.delivery.origins import known_origins, note_origins
from keeper_injector_agent.delivery.progress import Progress
from keeper_injector_agent.delivery.restart import provide_program, schedule_restarts
from keeper_injector_agent.delivery.restart_all import schedule_restart_all
from keeper_injector_agent.errors import WriteError
from keeper_injector_agent.keeper.decoding import TOTP_TYPE
from keeper_injector_common.errors import ContractError
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.paths import below_root
from keeper_injector_common.records import Renderer, RenderTemplate
from keeper_injector_common.references import FieldValue, FileContent, RecordText, is_uid

if TYPE_CHECKING:
    from keeper_injector_agent.keeper.vault import Vault
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import Library, Record, Resolution
    from keeper_injector_common.references import RecordName

log = logging.getLogger(__name__)


class Adapters(NamedTuple):
    """The outside world of a refresh, apart from the file system."""

    vault: Vault
    render_template: RenderTemplate
    sync_secret: SyncSecret


class Outcome(NamedTuple):
    """The result of a refresh."""

    changed: tuple[str, ...] = ()
    """What changed: directories by the application's path, environment variables, Secrets by name."""
    changed_volumes: tuple[str, ...] = ()
    """Volumes whose content changed, by their path in the agent's container."""
    problems: tuple[str, ...] = ()
    """Why an item could not be delivered, one message per item; all other items were."""
    delivered: int = 0
    """Number of items that are up to date, in new files or in unchanged ones."""
    write_failed: bool = False
    """Whether a volume or the API server caused a problem, so that nothing needs to change in Keeper."""
    files: int = 0
    size: int = 0
    """Bytes of all files together."""
    sets: Mapping[str, str] = MappingProxyType({})
    """Digest of every set of files by its path in the agent's container."""
    warnings: tuple[str, ...] = ()
    """What was delivered and may surprise, or is incomplete without being a problem."""
    repeatable: bool = False
    """Whether the same answer of Keeper gives the same files at any time: no file contains a one-time code."""


def refresh_secrets(plan: Plan, adapters: Adapters, state: State, *, root: Path, initial: bool) -> Outcome:
    """Fetch the records that *plan* needs, deliver them below *root*, and notify the application of a change.

    *initial* is true in the init container: there is no application to notify yet, and Secrets are always written.
    Raises :class:`VaultError` if the records cannot be fetched; a problem of a single item is in the outcome instead.
    """
    _provide_program(plan, root)
    library = _fetch_records(plan, adapters.vault)
    outcome = _deliver_records(plan, library, adapters, state, root=root, initial=initial)
    if not initial:
        from keeper_injector_agent.delivery.notify import notify_of_change  # here, because init does without

        notify_of_change(plan.notify, state, changed=bool(outcome.changed))
    if outcome.changed and not initial:
        schedule_restarts(plan.restart, outcome.changed_volumes, state, root)
        schedule_restart_all(plan.restart_all, outcome.changed_volumes, state, below_root(root, plan.state))
    return outcome


def _provide_program(plan: Plan, root: Path) -> None:
    try:
        provide_program(plan.restart, root)
    except OSError as error:
        raise WriteError(
            f"{error.filename}: {error.strerror}; the volume for liveness probes is not writable"
        ) from None


def _fetch_records(plan: Plan, vault: Vault) -> Library:
    """Fetch the records of *plan* with one request, filtered if every reference is a UID; folders only if they are used."""
    names = [reference.record for reference in plan.references()]
    with_folders = bool(plan.folders()) or any(len(name.parts) > 1 for name in names)
    uids = sorted({name.title for name in names})
    if not with_folders and uids and all(map(is_uid, uids)):
        library = vault.fetch(uids)
        if plan.strict_lookup or {record.uid for record in library.records} | set(library.unreadable) >= set(uids):
            return library
        # A title can look like a UID, and the filter finds nothing for a title. With strict-lookup, only its UID means a record.
    return vault.fetch(folders=with_folders)


def _deliver_records(
    plan: Plan, library: Library, adapters: Adapters, state: State, *, root: Path, initial: bool
) -> Outcome:
    """Bring every directory of *plan* up to date with *library*, then its Kubernetes Secrets; see the theory above."""
    progress = Progress(state, remove_gone=plan.on_removal == "remove", initial=initial)
    renderer = Renderer(
        library,
        plan.strict_lookup,
        adapters.vault.download,
        adapters.render_template,
        progress.warn,
        known_origins(state),
    )
    sets: dict[str, str] = {}
    changed: list[str] = []
    count = size = 0
    for target, place, files in _file_sets(plan, renderer, progress, root):
        path = below_root(root, place)
        sets[place] = digest_files(files, state.digest)
        count += len(files)
        size += sum(len(file.content) for file in files.values())
        try:
            written = write_files(path, files, volume_size=plan.volume_size)
            changed += [place] if written else []
            progress.finish(target, written=written, present=bool(files))
        except WriteError as error:
            progress.report(target, error)
            progress.keep_previous(place)
            progress.finish(target, written=False, present=False)
    clashes = clashing_keys(plan.kubernetes_secrets, renderer)
    for secret in plan.kubernetes_secrets:
        clash = clashes.get(secret_key(secret))
        written = sync_if_due(secret, renderer, adapters.sync_secret, progress, clash)
        progress.finish(f"Secret {secret.name}", written=written, present=secret_key(secret) in progress.inputs)
    note_origins(plan, renderer.resolutions, state)
    progress.commit()
    return Outcome(
        changed=tuple(name for name, result in progress.results.items() if result.written),
        changed_volumes=tuple(changed),
        problems=tuple(progress.problems),
        delivered=progress.delivered,
        write_failed=progress.write_failed,
        files=count,
        size=size,
        sets=sets,
        warnings=tuple(progress.warnings),
        repeatable=not _has_one_time_code(plan, library, renderer.resolutions),
    )


def _file_sets(
    plan: Plan, renderer: Renderer, progress: Progress, root: Path
) -> Iterator[tuple[str, str, dict[str, File]]]:
    """Yield every set of files: its name for messages, its path in the agent's container, and its new content."""
    for directory in plan.directories:
        previous = read_files(below_root(root, directory.path))
        yield directory.target, directory.path, render_directory(directory, previous, renderer, progress)
    for environment in plan.environments:
        previous = read_files(below_root(root, environment.path))
        whole = progress.initial and plan.fail_on_error
        files = render_environment(environment, previous, renderer, progress, whole=whole)
        yield "environment variables", environment.path, files


def _has_one_time_code(plan: Plan, library: Library, resolutions: Mapping[RecordName, Resolution]) -> bool:
    """Return whether a file, variable or Secret of *plan* may contain a one-time code, which depends on the time."""
    for item in plan.folders():
        try:
            records = library.in_folder(item.folder, recursive=item.recursive)
        except ContractError:  # reported elsewhere
            return True
        if any(_names_of_codes(record) for record in records):
            return True
    templated = {
        source
        for directory in plan.directories
        for item in directory.files
        if isinstance(item.content, Templated)
        for source in item.sources
    }
    for reference in plan.references():
        found = resolutions.get(reference.record)
        if found is None:  # reported elsewhere
            return True
        codes = _names_of_codes(found.record)
        without = isinstance(reference, FileContent | RecordText) or (
            isinstance(reference, FieldValue) and reference.field not in codes
        )
        if codes and (reference in templated or not without):
            return True
    return False


def _names_of_codes(record: Record) -> set[str]:
    """Return all names of the fields of *record* that contain one-time codes."""
    return {
        name for field in record.fields if field.type == TOTP_TYPE for name in (field.name, field.label, field.type)
    }


def is_complete(plan: Plan, root: Path, state: State) -> bool:
    """Return whether everything in *plan* was delivered before and is present, so that the pod can restart with it."""
    if not state.plan or any(secret_key(secret) not in state.inputs for secret in plan.kubernetes_secrets):
        return False
    for directory in plan.directories:
        present = read_files(below_root(root, directory.path))
        if any(item.name not in present for item in directory.files) or (directory.folders and not present):
            return False
    return all(read_files(below_root(root, environment.path)) for environment in plan.environments)
