"""``dockerconfigjson`` files contain the login to one registry."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from format_samples import SECRET, VALUES, write_bytes, write_text
from hypothesis import example, given

from keeper_injector_common.errors import FormatError

REGISTRIES = {
    "host": ({"host": {"hostName": "registry.example", "port": "5000"}}, "registry.example:5000"),
    "host without port": ({"host": {"hostName": "registry.example", "port": ""}}, "registry.example"),
    "number as port": ({"host": {"hostName": "registry.example", "port": 443}}, "registry.example:443"),
    "url": ({"url": "https://registry.example/v2/"}, "https://registry.example/v2/"),
    "registry first": ({"url": "https://no.example", "registry": "ghcr.io"}, "ghcr.io"),
    "empty host": ({"host": {}, "url": "quay.io"}, "quay.io"),
    "hub": ({"url": "https://docker.io"}, "https://index.docker.io/v1/"),
    "hub by its key": ({"url": "https://index.docker.io/v1/"}, "https://index.docker.io/v1/"),
}


@pytest.mark.parametrize(("fields", "registry"), REGISTRIES.values(), ids=REGISTRIES.keys())
def test_registry_comes_from_the_usual_fields(fields: dict[str, Any], registry: str) -> None:
    """The registry is read from the fields that Keeper's record types have for it."""
    written = json.loads(write_text("dockerconfigjson", {"login": "u", "password": "p", "email": "e@x", **fields}))
    assert written == {"auths": {registry: {"username": "u", "password": "p", "auth": "dTpw", "email": "e@x"}}}


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"password": SECRET, "url": "r"}, "one value in field login or username"),
        ({"login": "u", "url": "r"}, "one value in field password"),
        ({"login": "u", "password": SECRET}, "one value in field registry or host or url"),
        ({"login": "u", "password": [SECRET, "b"], "url": "r"}, "one value in field password"),
    ],
    ids=["login", "password", "registry", "two passwords"],
)
def test_missing_field_is_named(fields: dict[str, Any], missing: str) -> None:
    """The error for a missing part names the fields that can provide it."""
    with pytest.raises(FormatError, match=rf"^record 'Prod DB': dockerconfigjson needs {missing}; add it in Keeper$"):
        write_text("dockerconfigjson", fields)


@given(VALUES.filter(bool), VALUES.filter(bool))
@example("user", "p:a:s's\"")
def test_user_and_password_are_read_back(user: str, password: str) -> None:
    """A registry receives user and password unchanged; a user that docker would cut is rejected."""
    fields = {"login": user, "password": password, "host": {"hostName": "registry.example", "port": "5000"}}
    if ":" in user:
        with pytest.raises(FormatError, match="':'"):
            write_bytes("dockerconfigjson", fields)
        return
    entry = json.loads(write_bytes("dockerconfigjson", fields))["auths"]["registry.example:5000"]
    assert (entry["username"], entry["password"]) == (user, password)
    assert base64.b64decode(entry["auth"]).decode().split(":", 1) == [user, password]
