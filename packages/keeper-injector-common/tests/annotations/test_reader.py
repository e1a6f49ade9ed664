"""Values and problems of single annotations."""

import pytest
from annotation_requests import keys, request_of

from keeper_injector_common.annotations.reader import Member, Reader
from keeper_injector_common.annotations.request import SecretCredentials
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.references import RecordName, WholeRecord


def test_an_annotation_overrides_a_default_which_overrides_the_table() -> None:
    """A value comes from the pod, otherwise from the chart or namespace, otherwise from the table."""
    assert Reader({}, {}).get("refresh-interval") == 300
    assert Reader({}, {"refresh-interval": "1h"}).get("refresh-interval") == 3600
    assert Reader(keys(refresh_interval="30s"), {"refresh-interval": "1h"}).get("refresh-interval") == 30


def test_annotations_that_nobody_sets() -> None:
    """An annotation that nobody sets is not in the reader, even if the table has a default for it."""
    reader = Reader(keys(signal="HUP"), {})
    assert (reader.get("signal"), reader.get("metrics-port")) == ("SIGHUP", None)
    assert "signal" in reader
    assert "refresh-interval" not in reader


def test_a_name_that_is_not_in_the_table_is_a_bug() -> None:
    """A misspelled name in the code raises instead of looking like an annotation that is not set."""
    with pytest.raises(KeyError):
        Reader({}, {}).get("refresh-intervall")


def test_members_of_a_family_are_in_the_order_of_their_keys() -> None:
    """The reader collects the members of a family, with the parts of their names after the stem."""
    assert Reader(keys(env_B="b[x]", env_A="a[x]"), {}).family("env-") == [
        Member(f"{PREFIX}env-A", "A", "a[x]"),
        Member(f"{PREFIX}env-B", "B", "b[x]"),
    ]


def test_an_invalid_value_is_a_problem_and_not_set() -> None:
    """A problem has the parser's two halves; the annotation counts as not set."""
    reader = Reader(keys(refresh_interval="5x"), {"file-mode": "0440", "log-level": "loud"})
    assert reader.problems == [
        Problem("default file-mode", "this annotation cannot have a default", "remove it"),
        Problem("default log-level", "'loud' is unknown", "write debug, info, warning or error"),
        Problem(f"{PREFIX}refresh-interval", "'5x' is not a duration", "write 30s, 5m or 1h30m"),
    ]
    assert "refresh-interval" not in reader


@pytest.mark.parametrize(
    ("name", "right"),
    [("refresh_intervall", "did you mean keeper.security/refresh-interval?"), ("zzz", "check its name, or remove it")],
)
def test_unknown_annotations_are_warnings(name: str, right: str) -> None:
    """A misspelled annotation causes a warning that suggests the most similar one."""
    (warning,) = request_of(secret="a", **{name: "5m"}).warnings
    assert warning.right == right


def test_the_old_name_of_the_credentials_works() -> None:
    """``auth-secret`` is accepted as ``ksm-config``, with a warning."""
    found = request_of(secret="a", auth_secret="mine")
    assert found.credentials == SecretCredentials("mine")
    assert found.warnings[0].right == "write keeper.security/ksm-config"


def test_annotations_of_others_are_ignored() -> None:
    """Annotations with another prefix, and those that the webhook sets, are neither values nor warnings."""
    reader = Reader({"example.com/secret": "a", f"{PREFIX}injected": "true", f"{PREFIX}plan": "{}"}, {})
    assert (reader.problems, reader.warnings, "secret" in reader) == ([], [], False)


def test_references_and_paths() -> None:
    """A valid reference or path is returned; an invalid one is reported where it was found."""
    reader = Reader({}, {})
    assert reader.reference("here", "db") == WholeRecord(RecordName(("db",)))
    assert reader.path("here", "/app/db") == "/app/db"
    assert (reader.reference("here", "db["), reader.reference("here", "db:./app/x"), reader.path("here", "x")) == (
        None,
        None,
        None,
    )
    assert list(map(str, reader.problems)) == [
        "here: 'db[' at character 4: ']' is missing; add it",
        "here: the path './app/x' is relative; write /app/x, or db\\:./app/x for a title",
        "here: 'x' is not an absolute path; begin it with '/'",
    ]
