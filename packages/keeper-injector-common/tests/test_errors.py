"""Errors and problems."""

import os

import pytest

from keeper_injector_common import errors
from keeper_injector_common.errors import (
    AnnotationsError,
    ContractError,
    InvalidReferenceError,
    KeeperInjectorError,
    Problem,
    Severity,
    TemplateError,
)
from keeper_injector_common.parsers import InvalidValue


def test_the_text_of_a_problem() -> None:
    """A problem reads ``where: found; right``, and ``where: found`` if there is no advice."""
    problem = Problem("keeper.security/file-mode", "'9' is not a file mode", "write 0440")
    assert str(problem) == "keeper.security/file-mode: '9' is not a file mode; write 0440"
    assert problem.message == "'9' is not a file mode; write 0440"
    assert problem.severity is Severity.ERROR
    assert str(Problem("here", "it is odd")) == "here: it is odd"


@pytest.mark.parametrize("kind", [InvalidValue, TemplateError])
def test_errors_carry_both_halves_of_their_message(kind: type[InvalidValue | TemplateError]) -> None:
    """What was found and what would be right are attributes, even if the text contains the separator."""
    error = kind("'a; b' is not a name", "write a; or b")
    assert (error.found, error.right, str(error)) == (
        "'a; b' is not a name",
        "write a; or b",
        "'a; b' is not a name; write a; or b",
    )


def test_an_invalid_reference_points_at_the_fault() -> None:
    """The message names the character, and ``pointed`` puts carets under the part."""
    error = InvalidReferenceError("a[b]c", (4, 5), "nothing but '[' may follow ']'", "remove what follows")
    assert (error.found, error.right) == (
        "'a[b]c' at character 5: nothing but '[' may follow ']'",
        "remove what follows",
    )
    assert error.pointed() == "a[b]c\n    ^ nothing but '[' may follow ']'; remove what follows"


def test_annotations_error_is_one_line_for_each_problem() -> None:
    """All problems are in the message, in their order; warnings are not."""
    error = AnnotationsError(
        [Problem("a", "x", "y"), Problem("b", "z")], [Problem("c", "w", severity=Severity.WARNING)]
    )
    assert str(error) == "a: x; y\nb: z"
    assert [problem.where for problem in error.warnings] == ["c"]


def test_every_error_has_an_exit_code() -> None:
    """Errors in the user's input have the exit code of an invalid configuration (sysexits.h)."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KeeperInjectorError)]
    assert {kind.exit_code for kind in kinds if issubclass(kind, ContractError)} == {os.EX_CONFIG}
    assert KeeperInjectorError.exit_code == os.EX_SOFTWARE
