"""Annotations with several names: every name means the same, and names with different values are a problem."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.annotations.parser import parse_request, read_request
from keeper_injector_common.annotations.policy import read as read_policies
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import ANNOTATIONS, BY_ANY_NAME, PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.yaml_document import Section

FOLDER = {"folder": "Databases"}
PAIRS = [
    ({}, "records", "secret", "db", "api"),
    ({}, "records", "secrets", "db, api", "db"),
    ({}, "record-a", "secret-a", "db:/app/secrets/a.json", "api:/app/secrets/a.json"),
    ({}, "record-a", "secret-a", "db[password]:/app/secrets/a", "db[login]:/app/secrets/a"),
    (FOLDER, "folder-output-path", "folder-path", "/app/db", "/app/other"),
]
"""Other annotations, the preferred name, another name, a value for both, and another value."""


def request_of(texts: dict[str, str]) -> InjectionRequest:
    """Return the request, without where each of its parts comes from."""
    request = parse_request({f"{PREFIX}{name}": text for name, text in texts.items()})
    assert not request.warnings
    return attrs.evolve(
        request,
        files=tuple(attrs.evolve(item, where="") for item in request.files),
        variables=tuple(attrs.evolve(item, where="") for item in request.variables),
        folders=tuple(attrs.evolve(item, where="") for item in request.folders),
    )


def problems_of(texts: dict[str, str]) -> list[str]:
    _, problems = read_request({f"{PREFIX}{name}": text for name, text in texts.items()})
    return [str(problem).replace(PREFIX, "") for problem in problems]


@pytest.mark.parametrize(("others", "preferred", "alias", "value", "_other"), PAIRS)
def test_both_names_mean_the_same(others: dict[str, str], preferred: str, alias: str, value: str, _other: str) -> None:
    """A pod may set either name, or both with one value. None of it causes a warning."""
    wanted = request_of({**others, preferred: value})
    assert request_of({**others, alias: value}) == wanted
    assert request_of({**others, alias: value, preferred: value}) == wanted


@pytest.mark.parametrize(("others", "preferred", "alias", "value", "other"), PAIRS)
def test_names_with_different_values_are_a_problem(
    others: dict[str, str], preferred: str, alias: str, value: str, other: str
) -> None:
    """The problem names both annotations."""
    expected = f"{alias}: {preferred} is the same setting, and has another value; keep one of the two"
    assert problems_of({**others, preferred: value, alias: other}) == [expected]


def test_secret_and_secrets_add_up() -> None:
    """The records of both older names are delivered, as before there was ``records``."""
    assert request_of({"secret": "db", "secrets": "api"}) == request_of({"records": "db, api"})
    assert problems_of({"secret": "db", "secrets": "api", "records": "db, api"}) == [
        f"{name}: records is the same setting, and has another value; keep one of the two"
        for name in ("secret", "secrets")
    ]


def test_a_handle_is_never_a_title() -> None:
    """``secret-<name>`` with a path alone takes its name as the title. ``record-<handle>`` asks for the record."""
    assert str(request_of({"secret-db": "/app/secrets/db.json"}).files[0].sources[0]) == "db"
    assert problems_of({"record-db": "/app/secrets/db.json"})[0] == (
        "record-db: '/app/secrets/db.json' is a path without a record; "
        "write the record before it, as in db:/app/secrets/db.json"
    )


@pytest.mark.parametrize("name", ["record-a", "secret-a"])
def test_details_apply_to_both_names(name: str) -> None:
    """``format-<name>``, ``fields-<name>`` and the others refer to the handle, whichever name sets it."""
    found = request_of(
        {
            name: "db:/app/secrets/a",
            "format-a": "env",
            "fields-a": "login",
            "inject-env-vars": "true",
            "env-prefix-a": "A_",
        }
    )
    assert found == request_of(
        {
            "record-a": "db:/app/secrets/a",
            "format-a": "env",
            "fields-a": "login",
            "inject-env-vars": "true",
            "env-prefix-a": "A_",
        }
    )


@pytest.mark.parametrize("mode", ["env-files", "file-ref", "FILE-REF"])
def test_env_files_has_an_older_name(mode: str) -> None:
    """``file-ref`` is the older name of the mode ``env-files``."""
    assert request_of({"env-A": "db[login]", "env-mode": mode}).env_mode == "env-files"


@pytest.mark.parametrize("locked", ["records", "secret", "secrets", "record-<handle>", "secret-<name>", "folder-path"])
def test_a_lock_holds_for_every_name(locked: str) -> None:
    """Whichever name a policy lists, no other name of the same annotation gets around it."""
    problems: list[Problem] = []
    policy = read_policies(Section({"policy": {"locked": [locked]}}, "", problems)).within("shop")
    assert not problems
    preferred = BY_ANY_NAME[locked].preferred_name
    names = [item.name for item in ANNOTATIONS if item.preferred_name == preferred]
    keys = [f"{PREFIX}{name.partition('<')[0]}{'x' if '<' in name else ''}" for name in names]
    assert len(names) > 1
    assert [problem.where for problem in policy.problems_of_annotations(keys)] == sorted(keys)


@given(
    st.sampled_from(PAIRS),
    st.text(st.sampled_from("ab[],:/\\ é"), min_size=1, max_size=8),
    st.text(st.sampled_from("ab[],:/\\ é"), min_size=1, max_size=8),
)
def test_any_two_values(pair: tuple[dict[str, str], str, str, str, str], first: str, second: str) -> None:
    """Two names with any values: either both read alike, or there is a problem. Neither value wins silently."""
    others, preferred, alias, _, _ = pair
    texts = {f"{PREFIX}{name}": text for name, text in {**others, preferred: first, alias: second}.items()}
    alone = {f"{PREFIX}{name}": text for name, text in {**others, preferred: first}.items()}
    try:
        both = parse_request(texts)
    except AnnotationsError:
        return
    one = parse_request(alone)
    assert both.files == one.files
    assert both.folders == one.folders
    older = parse_request({f"{PREFIX}{name}": text for name, text in {**others, alias: second}.items()})
    assert {(item.sources, item.path) for item in older.files} == {(item.sources, item.path) for item in one.files}
