"""What commands read: manifests from files or standard input, and the annotation defaults of a chart."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from keeper_injector_common.annotations import defaults, policy
from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.annotations.policy import Policies, Policy
from keeper_injector_common.cli.console import CommandError, print_error, visible
from keeper_injector_common.cli.manifest_yaml import ManifestError
from keeper_injector_common.cli.manifests import Workload, workloads
from keeper_injector_common.errors import Problem, explain
from keeper_injector_common.limits import LARGEST_CONFIG_MAP
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import Section, load_yaml

_SUFFIXES = (".yaml", ".yml", ".json")
_STDIN = Path("-")


class UnreadableFileError(CommandError):
    """A file cannot be read; the message has the form ``FILE: FOUND; WHAT TO DO``."""

    def __init__(self, path: Path, found: str, right: str) -> None:
        self.found = found
        self.right = right
        super().__init__(f"{visible(str(path))}: {explain(found, right)}")


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the argument ``FILE...`` to a parser; :func:`manifest_files` reads it."""
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="manifest, directory, or - for standard input"
    )


def add_defaults(parser: argparse.ArgumentParser) -> None:
    """Add the options ``--defaults`` and ``--namespace`` to a parser; :func:`read_chart` reads them."""
    parser.add_argument(
        "--defaults",
        type=Path,
        metavar="FILE",
        help="read annotation defaults, the policy and what else concerns pods from this chart values or webhook settings file",
    )
    parser.add_argument(
        "--namespace", default="default", help="namespace of workloads that do not set one (default: default)"
    )


@attrs.frozen(eq=False)
class ChartSettings:
    """What the values of the injector's chart say about pods."""

    defaults: Defaults = attrs.field(factory=Defaults)
    policies: Policies = attrs.field(factory=Policies)
    values: Mapping[str, object] = attrs.field(factory=dict)
    """The whole file. The package of the webhook reads the rest of it."""
    file: str = ""
    """Its name, for messages."""


def read_chart(options: argparse.Namespace) -> ChartSettings:
    """Return the annotation defaults and policies of the file in ``--defaults``; they are empty without that option.

    Raises :class:`~keeper_injector_common.cli.console.CommandError` with every problem of the file.
    """
    if options.defaults is None:
        return ChartSettings()
    problems: list[Problem] = []
    try:
        content = load_yaml(read_text(options.defaults), LARGEST_CONFIG_MAP)
    except InvalidValue as error:
        raise CommandError(f"{options.defaults}: {error}") from None
    if not isinstance(content, dict | None):
        raise CommandError(f"{options.defaults}: not a mapping; write defaults: and below it names and values")
    ours = {key: value for key, value in (content or {}).items() if key in {*defaults.KEYS, policy.KEY}}
    section = Section(ours, f"{options.defaults}: ", problems)
    found = ChartSettings(defaults.read(section), policy.read(section), content or {}, str(options.defaults))
    policy.report_defaults(section, found.policies, found.defaults)
    if problems:
        raise CommandError("\n".join(map(str, problems)))
    return found


def rules_for(workload: Workload, found: ChartSettings, namespace: str) -> tuple[Mapping[str, str], Policy]:
    """Return the annotation defaults and the policy for *workload*, whose own namespace overrides *namespace*."""
    metadata = workload.manifest.get("metadata")
    own = metadata.get("namespace") if isinstance(metadata, dict) else None
    where = str(own or namespace)
    return found.defaults.within(where), found.policies.within(where)


def manifest_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Iterate over *paths*, with each directory replaced by the YAML and JSON files below it.

    The templates of a Helm chart are not YAML until Helm has rendered them. They are skipped, with a message.
    """
    for path in paths:
        if path == _STDIN or not path.is_dir():
            yield path
            continue
        found = sorted(item for item in path.rglob("*") if item.suffix in _SUFFIXES and item.is_file())
        templates = {item.parent / "templates" for item in found if item.name == "Chart.yaml"}
        for folder in sorted(templates):
            if folder.is_dir():
                print_error(f"{folder}: skipped; check it with: helm template {folder.parent} | keeper-injector lint -")
        yield from (item for item in found if not templates.intersection(item.parents))


def read_text(path: Path) -> str:
    """Return the text of a file, or of standard input if *path* is ``-``.

    Raises :class:`UnreadableFileError` if the file cannot be read or is not UTF-8.
    """
    try:
        content = sys.stdin.buffer.read() if path == _STDIN else path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UnreadableFileError(path, reason, "name a file that can be read") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(path, f"byte {error.start + 1} is not UTF-8", "write the file as UTF-8") from None


@attrs.define
class Failures:
    """Prints the files and workloads that a command cannot read, so that it can continue with the others."""

    count: int = 0

    def report(self, error: CommandError) -> None:
        """Print why something cannot be read."""
        self.count += 1
        print_error(str(error))


def read_workloads(paths: Iterable[Path], failures: Failures) -> Iterator[tuple[Path, Workload]]:
    """Iterate over the workloads of all files, each with the file that it is in.

    A file that cannot be read is reported to *failures*, and the others are read.
    """
    for path in manifest_files(paths):
        try:
            for workload in workloads(read_text(path)):
                yield path, workload
        except ManifestError as error:
            failures.report(located(path, error))
        except CommandError as error:
            failures.report(error)


def located(path: Path, error: ManifestError) -> CommandError:
    """Return an error whose message begins with the file, line and column of a YAML error."""
    return CommandError(f"{visible(str(path))}:{error.position.line}:{error.position.column}: {error}")
