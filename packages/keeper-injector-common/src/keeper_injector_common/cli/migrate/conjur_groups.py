"""Groups of secrets of CyberArk's Secrets Provider → entries of ``config``: one file for each group.

Source: ``PUSH_TO_FILE.md`` of secrets-provider-for-k8s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import attrs

from keeper_injector_common.annotations.config_keys import SecretKeys
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.json_values import Json, as_object
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.yaml_document import load_yaml

_FORMATS = MappingProxyType(
    {"yaml": "yaml", "json": "json", "dotenv": "env", "bash": "shell", "properties": "properties"}
)
_SUFFIXES = MappingProxyType(
    {"yaml": "yaml", "json": "json", "dotenv": "env", "bash": "sh", "properties": "properties"}
)
_LINES = MappingProxyType(
    {
        "yaml": ("", '"{}": {} | toYaml', "\n", "\n"),
        "json": ("{", '"{}": {} | toJson', ", ", "}\n"),
        "dotenv": ("", "{}={} | toEnv", "\n", "\n"),
        "bash": ("", "export {}={} | toShell", "\n", "\n"),
        "properties": ("", "{}={} | toProperties", "\n", "\n"),
    }
)
"""For each format: what comes first, each line, what divides two, and what comes last."""
_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_SECRET = re.compile(r'secret\s+"([^"]+)"(?:\s*\|\s*(b64enc|b64dec|html|urlquery))?')
_FUNCTIONS = MappingProxyType({"b64enc": "base64enc", "b64dec": "base64dec"})
_PERMISSIONS = re.compile(r"-?((?:[r-][w-][x-]){3})")
_PLAIN = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class UntranslatableError(Exception):
    """The group has no counterpart; the message has the form ``FOUND; WHAT TO DO``."""


@attrs.frozen
class Variable:
    """One variable of Conjur."""

    alias: str
    """Its name in the file or Secret."""
    record: str
    """The path of the policy that it is in."""
    field: str
    is_base64: bool = False


@attrs.frozen(kw_only=True)
class Group:
    """The annotations of one group."""

    name: str
    secrets: str
    policy_path: str = ""
    path: str = ""
    format: str = "yaml"
    template: str = ""
    permissions: str = ""

    def file(self) -> str:
        """Return the path of the file below the directory of the secrets."""
        path = self.path.strip().removeprefix("./").lstrip("/")
        default = f"{self.name}.{_SUFFIXES.get(self.format, 'out')}"
        return f"{path}{default}" if not path or path.endswith("/") else path

    def entry(self, path: str, titles: Titles) -> Json:
        """Return the entry of ``config`` for the file at *path*; raise :class:`UntranslatableError`."""
        variables = read_variables(self.secrets, self.policy_path)
        records = list(dict.fromkeys(item.record for item in variables))
        references = {record: titles.of(record) for record in records}
        template = self._template(variables, references)
        content: Json = {SecretKeys.RECORD.name: references[records[0]]}
        if len(records) > 1:
            content = {SecretKeys.RECORDS.name: list(references.values())}
        content[SecretKeys.PATH.name] = path
        if template:
            content[SecretKeys.TEMPLATE.name] = template
        else:
            content[SecretKeys.FORMAT.name] = _FORMATS[self.format]
            content[SecretKeys.KEYS.name] = {item.field: item.alias for item in variables}
        if self.permissions:
            content[SecretKeys.MODE.name] = _mode(self.permissions)
        return content

    def _template(self, variables: Sequence[Variable], references: Mapping[str, str]) -> str:
        """Return the template for the file; empty if a format does the same."""
        if len({reference.rpartition("/")[2] for reference in references.values()}) < len(references):
            raise UntranslatableError("several records would have one title; write a file for each")
        values = {item.alias: _expression(item, references) for item in variables}
        if self.format == "template":
            if not self.template:
                raise UntranslatableError("its template is in a ConfigMap; write it as template: of config")
            return _ACTION.sub(lambda action: _translated(action, values), self.template)
        if self.format not in _FORMATS:
            raise UntranslatableError(f"secret-file-format {self.format!r} is unknown; choose another format")
        is_plain = len(references) == 1 and not any(item.is_base64 for item in variables)
        if is_plain and len({item.field for item in variables}) == len(variables):
            return ""
        first, line, between, last = _LINES[self.format]
        prefix, action = line.rsplit("{}", 1)
        parts = [prefix.format(alias) + f"{{{{ {value}{action} }}}}" for alias, value in values.items()]
        return f"{first}{between.join(parts)}{last}"


def read_variables(text: str, policy_path: str = "") -> list[Variable]:
    """Return the variables that a list, or the mapping ``conjur-map`` of a Secret, names; raise :class:`UntranslatableError`."""
    try:
        content = None if text.strip() == "*" else load_yaml(text)
    except InvalidValue as error:
        raise UntranslatableError(f"not a list of variables: {error}") from None
    items = [{key: value} for key, value in content.items()] if isinstance(content, dict) else content
    if not isinstance(items, list) or not items:
        raise UntranslatableError("it reads all variables; list the records")
    return [_variable(item, policy_path) for item in items]


def _variable(item: object, policy_path: str) -> Variable:
    alias, path, kind = "", item, ""
    if isinstance(item, dict):
        named = {str(key): value for key, value in item.items() if key != "content-type"}
        if len(named) != 1:
            raise UntranslatableError("an item has several names; write one of them")
        ((alias, path),) = named.items()
        kind = str(item.get("content-type") or "")
        if inner := as_object(path):
            path, kind = inner.get("id"), str(inner.get("content-type") or "")
    if not isinstance(path, str) or not path.strip("/ ") or "*" in path:
        raise UntranslatableError("it reads all variables; list the records")
    whole = "/".join(part for part in (policy_path.strip().strip("/"), path.strip().strip("/")) if part)
    record, _, field = whole.rpartition("/")
    if not record:
        raise UntranslatableError(f"the variable {field!r} is in no policy; name the record that has it")
    return Variable(alias or field, record, field, kind == "base64")


def _expression(item: Variable, references: Mapping[str, str]) -> str:
    """Return what a template writes for a variable."""
    field = f".{item.field}" if _PLAIN.fullmatch(item.field) else ""
    if len(references) == 1:
        value = field or f"(index . {json.dumps(item.field)})"
    else:
        record = f"(index . {json.dumps(references[item.record].rpartition('/')[2])})"
        value = record + field if field else f"(index {record} {json.dumps(item.field)})"
    return f"{value} | base64dec" if item.is_base64 else value


def _translated(action: re.Match[str], values: Mapping[str, str]) -> str:
    match = _SECRET.fullmatch(action[2])
    if match is None or match[1] not in values:
        raise UntranslatableError("its template does more than insert values; write it as template: of config")
    function = f" | {_FUNCTIONS.get(match[2], match[2])}" if match[2] else ""
    return f"{{{{{action[1]} {values[match[1]]}{function} {action[3]}}}}}"


def _mode(permissions: str) -> str:
    match = _PERMISSIONS.fullmatch(permissions.strip())
    if match is None:
        raise UntranslatableError(f"secret-file-permissions {permissions!r}: write mode: of config")
    bits = "".join("0" if character == "-" else "1" for character in match[1])
    return f"0{int(bits, 2):03o}"
