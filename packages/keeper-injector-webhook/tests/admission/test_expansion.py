"""Expansion: a container does not get the text `$(NAME)` instead of a secret."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import denial, pod, respond
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_webhook.admission.expansion import references

ASKED = {"inject": "true", "env-X": "db[a]"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("$(X)", ["X"]),
        ("a$(X)b$(Y)", ["X", "Y"]),
        ("$$(X)", []),
        ("$$$(X)", ["X"]),
        ("$$$$(X)", []),
        ("$x$(X)", ["X"]),
        ("$(X", []),
        ("$($(X)", ["$(X"]),
        ("${X} $X $", []),
        ("$()", [""]),
    ],
)
def test_references_are_those_of_kubernetes(text: str, names: list[str]) -> None:
    """The names are those that Kubernetes' own tests of the expansion expect."""
    assert list(references(text)) == names


def expand(text: str) -> list[str]:
    """Return the names in *text*, read like Kubernetes' loop over characters."""
    found, cursor = [], 0
    while cursor < len(text):
        if text[cursor] == "$" and cursor + 1 < len(text):
            rest = text[cursor + 1 :]
            if rest[0] == "(" and ")" in rest:
                found.append(rest[1 : rest.index(")")])
                cursor += rest.index(")") + 1
            else:
                cursor += 1
        cursor += 1
    return found


@given(st.text(alphabet="$()X ", max_size=30))
def test_references_follow_the_reference_algorithm(text: str) -> None:
    """For every text, the names are those of Kubernetes' algorithm."""
    assert list(references(text)) == expand(text)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"command": ["/app", "$(X)"]}, "command[1]"),
        ({"args": ["--p=$(X)"]}, "args[0]"),
        ({"env": [{"name": "URL", "value": "x:$(X)"}]}, "env URL"),
    ],
)
def test_a_variable_that_stays_literal_is_rejected(more: dict[str, Any], place: str) -> None:
    """Each place with `$(NAME)` of a variable that keeper-exec sets is a problem that names the place."""
    app = {"name": "app", "command": ["/app"], **more}
    assert f"env-X: {place} of container 'app' has $(X)" in denial(pod(annotations=ASKED, containers=[app]))


@pytest.mark.parametrize(
    "more",
    [
        {"args": ["$$(X)"]},
        {"args": ["$(Y) ${X}"]},
        {"args": ["$(X)"], "env": [{"name": "X", "value": "own"}]},
    ],
)
def test_what_kubernetes_expands_or_leaves_is_accepted(more: dict[str, Any]) -> None:
    """Escaped references, other names and the container's own variables work as they did."""
    assert respond(pod(annotations=ASKED, containers=[{"name": "app", "command": ["/app"], **more}]))["allowed"]


def test_a_record_with_listed_fields_has_known_names() -> None:
    """Variables of listed fields are found too."""
    config = "secrets: [{record: db, injectAsEnvVars: true, envPrefix: DB_, fields: [password]}]"
    app = {"name": "app", "command": ["/app"], "args": ["$(DB_PASSWORD)"]}
    assert "args[0] of container 'app'" in denial(
        pod(annotations={"inject": "true", "config": config}, containers=[app])
    )


def test_a_probe_that_sets_the_variables_itself_has_no_warning() -> None:
    """A probe that begins with keeper-exec sees the variables."""
    exec_probe = {"exec": {"command": ["/keeper/env/keeper-exec", "--file", "/keeper/env/variables", "--", "/live"]}}
    app = {"name": "app", "command": ["/app"], "livenessProbe": exec_probe, "readinessProbe": {"httpGet": {"port": 80}}}
    assert "warnings" not in respond(pod(annotations=ASKED, containers=[app]))


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({"args": ["$(DB_PASSWORD)"]}, True),
        ({"args": ["$(OTHER)"]}, False),
        ({"args": ["$(DB_SERVICE_HOST)"]}, False),
        ({"args": ["$(DB_PASSWORD)"], "env": [{"name": "DB_PASSWORD", "value": "own"}]}, False),
        ({"args": ["$(DB_PASSWORD)"], "envFrom": [{"configMapRef": {"name": "c"}}]}, False),
    ],
)
def test_a_name_that_a_field_may_have_is_a_warning(more: dict[str, Any], warned: bool) -> None:
    """If the names of the variables are unknown, a name that nothing else sets causes a warning."""
    asked = {"inject": "true", "secret": "db", "inject-env-vars": "true", "env-prefix": "DB_"}
    response = respond(pod(annotations=asked, containers=[{"name": "app", "command": ["/app"], **more}]))
    assert ("args[0] of container 'app' has $(DB_PASSWORD)" in str(response.get("warnings"))) == warned
