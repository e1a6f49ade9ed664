"""The table of annotations."""

import pytest

from keeper_injector_common.annotations.table import ANNOTATIONS, BY_NAME, FAMILIES, PREFIX, Annotation, find, nearest


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=lambda item: item.name)
def test_every_row_is_complete(annotation: Annotation) -> None:
    """Each annotation has a group, a help text that is a sentence, and an example and default that its parser accepts."""
    assert annotation.group
    assert annotation.help.endswith(".")
    assert annotation.parse(annotation.example) is not None
    assert annotation.default_value == (annotation.parse(annotation.default) if annotation.default else None)
    assert not (annotation.stem and annotation.default)
    assert not (annotation.default and annotation.chart_value)


def test_names_are_unique() -> None:
    """No two annotations have the same name."""
    assert len(BY_NAME) + len(FAMILIES) == len(ANNOTATIONS)


def test_references_between_rows() -> None:
    """A new name and an alternative are annotations too, and an alternative is one in both directions."""
    for annotation in ANNOTATIONS:
        assert not annotation.replaced_by or annotation.replaced_by in BY_NAME
        assert not annotation.alternative or BY_NAME[annotation.alternative].alternative == annotation.name


@pytest.mark.parametrize(
    ("name", "found", "member"),
    [("secret", "secret", ""), ("secret-db", "secret-<name>", "db"), ("env-PASSWORD", "env-<NAME>", "PASSWORD")],
)
def test_finding_an_annotation(name: str, found: str, member: str) -> None:
    """A single annotation is found by its name, and a member of a family by the stem."""
    result = find(name)
    assert result is not None
    assert (result[0].name, result[1]) == (found, member)


def test_single_annotations_take_precedence_over_families() -> None:
    """``env-prefix`` and ``env-mode`` are not members of ``env-<NAME>``."""
    assert [find(name) for name in ("env-prefix", "env-mode")] == [
        (BY_NAME["env-prefix"], ""),
        (BY_NAME["env-mode"], ""),
    ]


def test_unknown_annotations() -> None:
    """A stem alone is unknown; the most similar annotation is suggested for a misspelled one."""
    assert (find("secret-"), find("sekret")) == (None, None)
    assert nearest("sekret") == f"{PREFIX}secret"
    assert nearest("zzz") is None
