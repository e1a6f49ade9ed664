"""Templates of vault-k8s (Consul Template) → templates of Keeper Injector, if they only insert fields of one secret."""

from __future__ import annotations

import re

from keeper_injector_common import parsers
from keeper_injector_common.records import templates

_SECRET = re.compile(r"\bsecret\s+[\"`]([^\"`]+)[\"`]")
_WITH = re.compile(
    r"(\s*)\{\{(-?)\s*with\s+secret\s+[\"`][^\"`]+[\"`]\s*(-?)\}\}(.*)\{\{(-?)\s*end\s*(-?)\}\}(\s*)", re.DOTALL
)
_ACTION = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
_FIELD = re.compile(r"\.Data(?:\.data)?\.([A-Za-z_]\w*)", re.ASCII)


def secrets_in(template: str) -> list[str]:
    """Return the paths that a template of vault-k8s reads, each once, in the order of the text."""
    return list(dict.fromkeys(match[1] for match in _SECRET.finditer(template)))


def translate(template: str) -> tuple[str, list[str]] | None:
    """Return the template for one record and the fields that it reads; None if it does more than insert fields.

    >>> translate('{{ with secret "kv/data/db" }}pw={{ .Data.data.password }}{{ end }}')
    ('pw={{ .password }}', ['password'])
    """
    match = _WITH.fullmatch(template)
    if match is None:
        return None
    before, trim_before, trim_start, body, trim_end, trim_after, after = match.groups()
    fields = []
    for action in _ACTION.finditer(body):
        field = _FIELD.fullmatch(action[2])
        if field is None:
            return None
        fields.append(field[1])
    body = _ACTION.sub(_field, body)
    body = body.lstrip() if trim_start else body
    body = body.rstrip() if trim_end else body
    text = ("" if trim_before else before) + body + ("" if trim_after else after)
    try:
        return templates.template_source(text), list(dict.fromkeys(fields))
    except parsers.InvalidValue:
        return None


def _field(action: re.Match[str]) -> str:
    """Return an action that inserts the same field of a record, with the same trimming of blanks."""
    return f"{{{{{action[1]} .{action[2].rpartition('.')[2]} {action[3]}}}}}"
