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

import enum
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


def explain(found: str, right: str) -> str:
    """Return the sentence of a message: ``found; right``, or *found* alone when *right* is empty."""
    return f"{found}; {right}" if right else found


class Severity(enum.Enum):
    """Whether a problem prevents the injection (``ERROR``) or is only reported (``WARNING``)."""

    ERROR = "error"
    WARNING = "warning"


@attrs.frozen
class Problem:
    """One thing that is wrong or surprising in one location, and what to write instead.

    A problem stays a value until it is shown: only admission responses, logs and the command line turn it into text.
    """

    where: str
    """The annotation, or the path inside a document: ``keeper.security/config: secrets[0].path``."""
    found: str
    """What was found: ``'5x' is not a duration``."""
    right: str = ""
    """What to do about it: ``write 30s, 5m or 1h30m``. May be empty."""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"

    @property
    def message(self) -> str:
        """The problem without its location, as ``found; right``."""
        return explain(self.found, self.right)


class AnnotationsError(ContractError):
    """The annotations of a pod (or its namespace's or chart's defaults) cannot be followed."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        self.warnings = tuple(warnings)
        """Problems of severity ``WARNING``; an unknown annotation is often the cause of an error."""
        super().__init__("\n".join(map(str, self.problems)))


class InvalidReferenceError(ContractError):
    """The text that should name a secret is not a reference; :attr:`span` is the faulty part of :attr:`source`."""

    def __init__(self, source: str, span: tuple[int, int], fault: str, right: str = "") -> None:
        self.source = source
        self.span = span
        """Start and end (exclusive) in characters; equal where something is missing."""
        self.fault = fault
        """What is wrong there, without the source."""
        self.found = f"{source!r} at character {span[0] + 1}: {fault}"
        self.right = right
        super().__init__(explain(self.found, right))

    def pointed(self) -> str:
        """Return the source with carets under the faulty part, for terminals."""
        start, end = self.span
        return f"{self.source}\n{' ' * start}{'^' * max(1, end - start)} {explain(self.fault, self.right)}"


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

    def __init__(self, found: str, right: str = "") -> None:
        self.found = found
        self.right = right
        super().__init__(explain(found, right))
