"""The errors and problems that all packages share, as a tree that tells the caller what to do.

::

    KeeperInjectorError
    ├─ ContractError                 the user's input is wrong; a retry cannot help
    │  ├─ AnnotationsError           the annotations of a pod, with every problem in them
    │  ├─ InvalidReferenceError      a text is not a reference to a secret
    │  ├─ SelectionError             a reference is valid, but matches no record, or several
    │  │  └─ RecordGoneError         … because the record was deleted or is no longer shared
    │  ├─ UnreadableRecordError      a record that may be meant cannot be decrypted
    │  ├─ UnreadableFieldError       the value of a field cannot be computed
    │  ├─ ConfigurationError         a KSM configuration cannot be used
    │  ├─ PlanError                  a plan is damaged, or has an unknown version
    │  ├─ FormatError                fields cannot be written in a format
    │  └─ TemplateError              a template cannot be parsed or rendered
    ├─ VaultError                    Keeper did not serve the agent                  (package agent)
    ├─ DeliveryError                 a fetched secret could not be delivered         (package agent)
    ├─ ReviewError                   a request is not a valid AdmissionReview        (package webhook)
    ├─ SettingsError                 the webhook's settings are invalid              (package webhook)
    └─ ClusterError                  the certificate could not be reconciled         (package webhook)

Every message has the form ``WHERE: FOUND; WHAT TO DO`` and never contains the value of a secret. Each class has an exit code.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from keeper_injector_common.limits import MOST_SHOWN, and_more, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeeperInjectorError(Exception):
    """Base class of all errors that Keeper Injector raises on purpose."""

    exit_code: ClassVar[int] = os.EX_SOFTWARE
    """Exit code (sysexits.h) of a command that ends with this error."""


class ContractError(KeeperInjectorError):
    """The user's input is wrong. A retry cannot help; a change of the input can."""

    exit_code: ClassVar[int] = os.EX_CONFIG


def explain(found: str, right: str) -> str:
    """Return the text of a message without its location: ``found; right``, or *found* alone if *right* is empty.

    Both parts are shortened, because they may quote what a user wrote.
    """
    return f"{shortened(found)}; {shortened(right)}" if right else shortened(found)


class Severity(enum.Enum):
    """What a problem causes."""

    ERROR = "error"
    """The webhook rejects the pod."""
    WARNING = "warning"
    """The webhook reports the problem and accepts the pod."""


class Problem(NamedTuple):  # not attrs: refreshes of the agent that find nothing changed do without it
    """One thing that is wrong or surprising, where it is, and what to do about it.

    A problem stays a value until someone reads it: only admission responses, logs and the command line turn it into text. Its
    text is ``keeper.security/refresh-interval: '5x' is not a duration; write 30s, 5m or 1h30m``, for example.
    """

    where: str
    """The annotation, with the path inside its YAML document: ``keeper.security/config: secrets[0].path``."""
    found: str
    """What was found: ``'5x' is not a duration``."""
    right: str = ""
    """What to do about it: ``write 30s, 5m or 1h30m``. May be empty."""
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{shortened(self.where)}: {self.message}"

    @property
    def message(self) -> str:
        """The problem without its location, as ``found; right``."""
        return explain(self.found, self.right)


class AnnotationsError(ContractError):
    """The annotations of a pod, or the defaults of its namespace or chart, are invalid."""

    def __init__(self, problems: Iterable[Problem], warnings: Iterable[Problem] = ()) -> None:
        self.problems = tuple(problems)
        """Problems of severity ``ERROR``, at least one."""
        self.warnings = tuple(warnings)
        """Problems of severity ``WARNING``. An unknown annotation is often the cause of an error."""
        lines = [*map(str, self.problems[:MOST_SHOWN]), and_more(len(self.problems))]
        super().__init__("\n".join(filter(None, lines)))


class InvalidReferenceError(ContractError):
    """The text that should refer to a secret is not a reference; :attr:`span` is the faulty part of :attr:`source`."""

    def __init__(self, source: str, span: tuple[int, int], fault: str, right: str = "") -> None:
        self.source = source
        self.span = span
        """Start and end (exclusive) in characters; equal if something is missing there."""
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
    """No record, field, file or folder matches a reference, or more than one does."""


class RecordGoneError(SelectionError):
    """No record of this name is shared with the application, or none in this folder.

    If the pod sets ``on-removal: remove``, the agent then removes what it delivered of the record.
    """


class UnreadableRecordError(ContractError):
    """Keeper sent records that cannot be decrypted, and one of them may be the one that is meant. It is not gone."""


class UnreadableFieldError(ContractError):
    """The value of a field cannot be computed, such as that of a one-time code without a secret. It is not empty."""


class ConfigurationError(ContractError):
    """A KSM configuration cannot be used: it is not bound, or damaged."""


class PlanError(ContractError):
    """A plan cannot be used: it is damaged, its version is unknown, or it is not the plan that the webhook admitted."""


class FormatError(ContractError):
    """Fields cannot be written in a format without a change of their meaning."""


class TemplateError(ContractError):
    """A template cannot be parsed, or cannot be rendered with the records."""

    def __init__(self, found: str, right: str = "") -> None:
        self.found = found
        self.right = right
        super().__init__(explain(found, right))
