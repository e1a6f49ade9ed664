"""What can go wrong by contract, as a tree of exceptions whose class says what the caller should do.

::

    KeeperInjectorError
    ├─ ContractError                 the user's input is wrong; trying again cannot help
    │  ├─ AnnotationsError           a pod's annotations: every problem of it at once
    │  ├─ InvalidReferenceError      the name of a secret cannot be read
    │  ├─ SelectionError             the name is readable, but Keeper has nothing (or too much) under it
    │  │  └─ RecordGoneError         … not even the record or a record of the folder: deleted, or not shared any more
    │  ├─ UnreadableRecordError      what the name means may be a record that Keeper sent and no key opens
    │  ├─ PlanError                  a plan is damaged, or of a version unknown here
    │  ├─ FormatError                these fields cannot be written in this format
    │  └─ TemplateError              a template that cannot be parsed or rendered
    ├─ VaultError                    Keeper could not serve us                     (package agent)
    ├─ DeliveryError                 files, notification or Secret not delivered    (package agent)
    └─ ReviewError                   not a usable AdmissionReview                   (package webhook)

Every message reads ``where: what was found; what would be right`` and never holds the value of a secret.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeeperInjectorError(Exception):
    """Anything that Keeper Injector raises on purpose."""

    exit_code: ClassVar[int] = os.EX_SOFTWARE
    """Exit code (sysexits.h) of a command that ends with this error."""


class ContractError(KeeperInjectorError):
    """The user's input is wrong: trying again cannot help, changing the input does."""

    exit_code: ClassVar[int] = os.EX_CONFIG


@attrs.frozen
class Problem:
    """One thing wrong in one place, and what would be right there."""

    where: str
    """The annotation, or the path inside a document: ``keeper.security/config: secrets[0].path``."""
    message: str
    """What was found and what would be right, as ``found; right``."""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


class AnnotationsError(ContractError):
    """The annotations of a pod (or its namespace's or chart's defaults) cannot be followed."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[str] = ()) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        """What is odd beside: an unknown annotation is often the reason of a problem."""
        super().__init__("\n".join(map(str, self.problems)))


class InvalidReferenceError(ContractError):
    """The text that should name a secret is not a reference; :attr:`span` is the faulty part of :attr:`source`."""

    def __init__(self, source: str, span: tuple[int, int], expected: str) -> None:
        self.source = source
        self.span = span
        """Start and end (exclusive) in characters; equal where something is missing."""
        self.expected = expected
        super().__init__(f"{source!r} at character {span[0] + 1}: {expected}")

    def pointed(self) -> str:
        """Return the source with carets under the faulty part, for terminals."""
        start, end = self.span
        return f"{self.source}\n{' ' * start}{'^' * max(1, end - start)} {self.expected}"


class SelectionError(ContractError):
    """A reference that no record, field, file or folder answers to, or too many do."""


class RecordGoneError(SelectionError):
    """No record of that name, or none in that folder, is shared: what was delivered of it may go, if the pod wants that."""


class UnreadableRecordError(ContractError):
    """Keeper sent records that cannot be decrypted, and what was asked for may be one of them: it is not gone."""


class PlanError(ContractError):
    """A plan that this version cannot read."""


class FormatError(ContractError):
    """Fields that cannot be written in the format asked for without changing their meaning."""


class TemplateError(ContractError):
    """A template that does not parse, or fails on the records at hand."""
