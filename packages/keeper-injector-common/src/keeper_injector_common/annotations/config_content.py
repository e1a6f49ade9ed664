"""What the file of an entry of ``config`` holds: the output of a template, or fields under their names in a format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.annotations import request
from keeper_injector_common.annotations.config_keys import BY_TEMPLATE, SecretKeys
from keeper_injector_common.plan.delivery import Content, Formatted, Templated
from keeper_injector_common.records.formats import problems_of_keys
from keeper_injector_common.references import Reference, WholeRecord

if TYPE_CHECKING:
    from keeper_injector_common.yaml_document import Section


def read_content(entry: Section, path: str | None, sources: tuple[Reference, ...]) -> Content | None:
    """Return what the file of *entry*, at *path*, holds of *sources*; None for a problem, which is then reported."""
    fields = SecretKeys.FIELDS.read(entry) or ()
    keys = SecretKeys.KEYS.read(entry)
    chosen = SecretKeys.FORMAT.read(entry)
    has_template = entry.has(SecretKeys.TEMPLATE.name)
    template = SecretKeys.TEMPLATE.read(entry)
    if chosen == BY_TEMPLATE:
        # Documents for the Go injector have it beside the template. Alone it has no meaning.
        chosen = None
        if not has_template:
            entry.report(
                SecretKeys.FORMAT.name,
                "format is 'template', but template: is missing",
                "add template:, or remove the format",
            )
    if has_template:
        for key, given in ((SecretKeys.FORMAT, chosen), (SecretKeys.FIELDS, fields), (SecretKeys.KEYS, keys)):
            if given:
                entry.report(key.name, "the template already says what the file holds", "keep one of the two")
        return None if template is None else Templated(template)
    if not sources:
        return None
    if len(sources) > 1:
        entry.report(SecretKeys.RECORDS.name, "several records need a template", "add template:")
        return None
    form = chosen or request.format_for(path or request.default_path(sources[0]), sources[0])
    content = Formatted(form, fields, keys)
    _check_selection(entry, sources[0], content)
    return content


def _check_selection(entry: Section, source: Reference, content: Formatted) -> None:
    if not isinstance(source, WholeRecord):
        for key, given in ((SecretKeys.FIELDS, content.fields), (SecretKeys.KEYS, content.keys)):
            if given:
                entry.report(key.name, "the source is one value already", "name the record alone")
        return
    if content.fields and content.keys:
        entry.report(SecretKeys.FIELDS.name, "keys: already chooses the fields", "keep one of the two")
    for field, problem in problems_of_keys(content.format, content.keys):
        entry.report(f"{SecretKeys.KEYS.name}.{field}", problem.found, problem.right)
