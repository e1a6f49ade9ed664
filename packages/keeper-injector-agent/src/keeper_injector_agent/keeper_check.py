"""The command ``check``: finds what prevents this machine from reading the records of an application, and changes nothing.

It fetches the records once, as a refresh does, without retries, and shows names and types, never a value. With a plan, it also
finds what the plan refers to.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from keeper_injector_agent.credentials import load_configuration
from keeper_injector_agent.credentials.proxy import proxy_environment
from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientVaultError, VaultError
from keeper_injector_agent.keeper import proxied
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_agent.state import load_state
from keeper_injector_common.cli.findings import Finding, Group, failed, ok, run_checks, warning, write_report
from keeper_injector_common.errors import KeeperInjectorError, RecordGoneError, UnreadableRecordError
from keeper_injector_common.plan.credentials import FileCredentials
from keeper_injector_common.plan.paths import below_root
from keeper_injector_common.records import formats
from keeper_injector_common.records.rendering import Renderer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_agent.keeper.responses import Response
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import Attachment, Library, Record

_SECONDS = 30.0
"""For all requests together."""
_LARGEST_SKEW = 30.0
"""Seconds; one-time codes, which are computed here, are valid for that long."""
_PAGE = "troubleshooting.md"
_SHARE = "share it with the application in Keeper, or correct the name in the annotation"
_CHECKS = {
    "connection": "keeper-host",
    "timeout": "keeper-host",
    "tls": "keeper-certificate",
    "proxy": "proxy",
    "throttled": "keeper-throttle",
}
"""The check that has failed, by the result that the transport counts; any other result is about the KSM configuration."""


@attrs.frozen(kw_only=True)
class Target:
    """What to check: the KSM configuration, the way to Keeper, and the plan, if there is one."""

    root: Path
    config: Path | None
    """File with the KSM configuration; None for the one that the plan names."""
    ca_file: Path | None
    plan: Plan | None


class _ObservedTransport(Transport):
    """Remembers when Keeper answered first, and the clock of its server."""

    answered_after: float | None = None
    """Seconds from the start of the first request to the end of its response."""
    ahead: float | None = None
    """Seconds by which the clock of this machine is ahead of the server's."""

    def post(self, url: str, headers: dict[str, str], body: bytes) -> Response:
        """Send one API request; see :meth:`Transport.post`."""
        start = time.monotonic()
        response = super().post(url, headers, body)
        if self.answered_after is None:
            self.answered_after = time.monotonic() - start
            if date := response.headers.get("Date"):
                self.ahead = time.time() - parsedate_to_datetime(date).timestamp()
        return response


def check_keeper(target: Target, output: str) -> int:
    """Print what works and what does not, as *output* (``text`` or ``json``); return the exit code: 1 if a check failed."""
    logging.disable(logging.CRITICAL)  # everything that a refresh logs is a finding here
    shown = output == "text"
    return write_report(run_checks(_groups(target), shown=shown), output, shown=shown)


def _groups(target: Target) -> Iterator[Group]:
    fetched: list[Library] = []
    yield "way to Keeper", _way(target, fetched.append)
    if fetched:
        yield "records of the application", _records(fetched[0])
        if target.plan:
            yield "plan", _plan(target.plan, fetched[0])


def _way(target: Target, keep: Callable[[Library], None]) -> Iterator[Finding]:
    plan, root = target.plan, target.root
    credentials = plan.credentials if plan else FileCredentials()
    if target.config:
        # The root is for the paths of a pod; this path is one of the person who runs the command.
        credentials, root = FileCredentials(str(target.config.absolute())), Path("/")
    where = credentials.path if isinstance(credentials, FileCredentials) else credentials.secret
    try:
        configuration = load_configuration(credentials, root)
    except VaultError as error:
        right = "create a configuration file in Keeper, and name it with --config"
        yield _failed("ksm-configuration", error, right)
        return
    yield ok("ksm-configuration", f"{where} holds a KSM configuration")
    if plan and (seconds := load_state(below_root(target.root, plan.state)).throttled_for()):
        yield failed(
            "keeper-throttle", f"Keeper throttles this pod for another {seconds:.0f} s", "wait, then check again"
        )
        return
    proxy_file = below_root(target.root, plan.proxy_file) if plan and plan.proxy_file else None
    try:
        with proxy_environment(proxy_file):
            yield from _fetch(target, configuration, keep)
    except VaultError as error:
        yield _failed("proxy", error, "correct the URL of the proxy")


def _fetch(target: Target, configuration: Mapping[str, str], keep: Callable[[Library], None]) -> Iterator[Finding]:
    from keeper_injector_agent.keeper.client import connect
    from keeper_injector_agent.keeper.sdk import KeeperVault

    host = configuration.get("hostname", "")
    proxy = proxied.proxy_for(f"https://{host}/")
    way = f"through the proxy {proxy.place}" if proxy else "without a proxy"
    ca_file = target.ca_file or (
        below_root(target.root, target.plan.ca_file) if target.plan and target.plan.ca_file else None
    )
    try:
        transport = _ObservedTransport(ca_file=ca_file, deadline=time.monotonic() + _SECONDS)
    except PermanentVaultError as error:
        yield _failed("keeper-certificate", error, "")
        return
    try:
        library = KeeperVault(connect(configuration, transport)).fetch(folders=True)
    except PermanentVaultError as error:
        yield _failed(_failed_check(transport.counts), error, "")
        return
    except ThrottledError as error:
        yield failed(
            "keeper-throttle",
            f"{error}; all pods with this device share Keeper's limit",
            "use a device for each application, or a longer keeper.security/refresh-interval",
            f"{_PAGE}#keeper-throttled-no-request-for--s",
        )
        return
    except TransientVaultError as error:
        yield _failed(_failed_check(transport.counts), error, f"check that this machine can reach {host} {way}")
        return
    seconds = transport.answered_after or 0.0
    yield ok(
        "keeper-host", f"{host} answers {way} in {seconds * 1000:.0f} ms, with a certificate that is trusted", seconds
    )
    yield _clock(transport.ahead)
    yield ok("keeper-access", "Keeper accepts the key of this configuration, and does not throttle it")
    keep(library)


def _failed_check(counts: Mapping[str, int]) -> str:
    return next((_CHECKS[result] for result in counts if result in _CHECKS), "keeper-access")


def _failed(check: str, error: KeeperInjectorError, right: str) -> Finding:
    """Return the finding of an error, whose text has the form ``FOUND; WHAT TO DO``."""
    found, _, advice = str(error).partition("; ")
    return failed(check, found, advice or right, f"{_PAGE}#the-init-container-fails")


def _clock(ahead: float | None) -> Finding:
    if ahead is None:
        return ok("clock", "Keeper did not say what time it is")
    if abs(ahead) > _LARGEST_SKEW:
        direction = "ahead of" if ahead > 0 else "behind"
        found = f"the clock of this machine is {abs(ahead):.0f} s {direction} Keeper's, so one-time codes are wrong"
        return warning("clock", found, "synchronise the clock of the node (NTP)")
    return ok("clock", f"the clock of this machine differs by {abs(ahead):.0f} s from Keeper's")


def _records(library: Library) -> Iterator[Finding]:
    """List the records by title, with the names and types of their fields."""
    titles = Counter(record.title for record in library.records)
    if not library.records and not library.unreadable:
        right = "share a folder or a record with the application in Keeper"
        yield warning("record", "no record is shared with the application", right, "installation.md#connect-to-keeper")
    for record in sorted(library.records, key=lambda item: (item.title, item.uid)):
        yield ok("record", _description(library.load(record)))
    for title in sorted(title for title, count in titles.items() if count > 1):
        uids = ", ".join(sorted(record.uid for record in library.records if record.title == title))
        yield warning("ambiguous-title", f"{titles[title]} records have the title {title!r}", f"use a UID: {uids}")
    for uid in library.unreadable:
        how = "has damaged content" if uid in library.malformed else "cannot be decrypted"
        yield warning("unreadable-record", f"record {uid} {how}", "share it with the application again")


def _description(record: Record) -> str:
    folders = sorted("/".join(name or "?" for name in folder.names) for folder in record.folders)
    fields = ", ".join(
        f"{field.name} ({field.type})" if field.type != field.name else field.name for field in record.fields
    )
    files = ", ".join(attachment.name for attachment in record.attachments)
    parts = (
        f"{record.title!r} ({record.uid}), type {record.type}",
        f"in {', '.join(filter(None, folders))}" if any(folders) else "",
        f"fields: {fields or 'none'}",
        f"files: {files}" if files else "",
    )
    return "; ".join(filter(None, parts))


def _plan(plan: Plan, library: Library) -> Iterator[Finding]:
    """Find what the plan refers to. Attachments are not downloaded, and templates not rendered."""
    warnings: list[str] = []
    renderer = Renderer(library, plan.strict_lookup, _no_content, lambda *_: "", warnings.append)
    for what, find in _items(plan, renderer):
        try:
            find()
        except KeeperInjectorError as error:
            report = warning if isinstance(error, UnreadableRecordError) else failed
            if isinstance(error, RecordGoneError):
                found, right, page = str(error), _SHARE, f"{_PAGE}#not-shared-with-this-application"
            else:
                found, _, right = str(error).partition("; ")
                right, page = right or "correct the annotation or the record", _PAGE
            yield report("plan-item", f"{what}: {found}", right, page)
        else:
            yield ok("plan-item", f"{what}: found")
    for text in warnings:
        yield warning("plan-item", text)


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error


def _no_content(_record: Record, _attachment: Attachment) -> bytes:
    return b""


def _items(plan: Plan, renderer: Renderer) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield a name for each item of the plan, and a function that raises an error if it cannot be delivered."""
    for directory in plan.directories:
        for file in directory.files:
            yield f"file {directory.target}/{file.name}", partial(renderer.render_file, file)
        for folder in directory.folders:
            yield f"folder {folder.folder.title!r} in {directory.target}", partial(renderer.folder_files, folder)
    for environment in plan.environments:
        problems = dict(renderer.variables(environment, formats.ENVIRONMENT_WRITERS[environment.style]).problems)
        names = [f"variable {item.name}" for item in environment.variables]
        names += [f"variables of {item.source}" for item in environment.records]
        for what in dict.fromkeys([*names, *problems]):
            yield what, partial(_raise, problems.get(what))
    for secret in plan.kubernetes_secrets:
        yield f"Kubernetes Secret {secret.name!r}", partial(renderer.secret_origins, secret)
