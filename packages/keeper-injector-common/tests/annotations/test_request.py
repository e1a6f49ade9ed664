"""The request: its settings, and the paths and formats of files that set none."""

import typing

import attrs
import pytest
from annotation_requests import request_of

from keeper_injector_common.annotations.request import PodSettings, Resources, default_path, format_for
from keeper_injector_common.annotations.table import BY_NAME
from keeper_injector_common.plan.model import Plan
from keeper_injector_common.references import parse_reference

SHARED = sorted(attrs.fields_dict(PodSettings).keys() & attrs.fields_dict(Plan).keys())


@pytest.mark.parametrize("name", attrs.fields_dict(PodSettings))
def test_a_setting_is_the_annotation_of_the_same_name(name: str) -> None:
    """Each setting has the value of its annotation, and without one the default of the table."""
    annotation = BY_NAME[name.replace("_", "-")]
    assert getattr(request_of(secret="a"), name) == annotation.default_value
    assert getattr(request_of(secret="a", **{name: annotation.example}), name) == annotation.parse(annotation.example)


@pytest.mark.parametrize("name", attrs.fields_dict(Resources))
def test_resources_are_annotations_of_the_agent(name: str) -> None:
    """Each amount is that of the annotation ``agent-…`` of the same name."""
    found = request_of(secret="a", **{f"agent_{name}": "64Mi"}).resources
    assert attrs.asdict(found) == {**dict.fromkeys(attrs.fields_dict(Resources)), name: "64Mi"}


@pytest.mark.parametrize("name", SHARED)
def test_settings_that_travel_to_the_plan_agree_with_it(name: str) -> None:
    """A setting that the plan has too has the same type there; if the plan has a default, it is that of the table."""
    assert typing.get_type_hints(PodSettings)[name] == typing.get_type_hints(Plan)[name]
    assert attrs.fields_dict(Plan)[name].default in (attrs.NOTHING, BY_NAME[name.replace("_", "-")].default_value)


@pytest.mark.parametrize(
    ("source", "path", "form"),
    [
        ("db", "/app/db", "json"),
        ("db", "/app/db.YAML", "yaml"),
        ("db", "/app/db.pfx", "pkcs12"),
        ("db", "/app/.env", "env"),
        ("db[password]", "/app/password.json", "raw"),
        ("keeper://db/file/x.json", "/app/x.json", "raw"),
    ],
)
def test_the_suffix_chooses_the_format(source: str, path: str, form: str) -> None:
    """A record has the format of its suffix, or JSON; a single value is written as it is."""
    assert format_for(path, parse_reference(source)) == form


@pytest.mark.parametrize(
    ("source", "name", "path"),
    [
        ("Production/My DB", "", "/keeper/secrets/My DB.json"),
        ("db[password]", "", "/keeper/secrets/password"),
        ("db[password]", "pw", "/keeper/secrets/pw"),
        ("keeper://db/file/ca.pem", "pw", "/keeper/secrets/ca.pem"),
        ("keeper://db/notes", "", "/keeper/secrets/notes"),
        ("keeper://db/notes", "pw", "/keeper/secrets/pw"),
    ],
)
def test_the_default_path(source: str, name: str, path: str) -> None:
    """A record is named after its title, an attachment after itself, and a single value after its annotation or field."""
    assert default_path(parse_reference(source), name) == path
