"""The declarations of the keys of ``keeper.security/config``."""

import jsonschema
import pytest

from keeper_injector_common.annotations.config_keys import FolderKeys, SecretKeys, json_schema

SCHEMA = json_schema()
SECRET = SCHEMA["properties"]["secrets"]["items"]
FOLDER = SCHEMA["properties"]["folders"]["items"]


def test_every_declared_key_is_in_the_schema() -> None:
    """Names and other names are properties, in the order of the declarations."""
    assert list(SECRET["properties"])[:5] == ["record", "notation", "records", "file", "fileName"]
    assert list(FOLDER["properties"])[:4] == ["path", "folderPath", "uid", "folderUid"]
    assert FOLDER["properties"]["folderUid"]["description"] == "Another name for `uid`."
    assert SECRET["properties"][SecretKeys.SECRET_MODE.name]["enum"] == ["overwrite", "merge", "skip-if-exists", "fail"]
    assert FolderKeys.RECURSIVE.name in FOLDER["properties"]


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        ({"record": "a"}, True),
        ({"record": "a", "notation": "b"}, False),
        ({"path": "/a"}, False),
        ({"record": "a", "mode": "0440", "containers": ["app"]}, True),
        ({"record": "a", "mode": 440}, False),
        ({"record": "a", "containers": []}, False),
        ({"record": "a", "k8sSecretKeys": {"a": 1}}, False),
        ({"record": "a", "recrd": "a"}, False),
    ],
)
def test_an_entry_has_one_source_and_known_keys(entry: dict[str, object], valid: bool) -> None:
    """The schema marks in an editor what the webhook would reject."""
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid({"secrets": [entry]}) is valid
