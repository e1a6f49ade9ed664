"""What ExternalSecrets read from records, and their keys that have no counterpart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType

from keeper_injector_common.json_values import Json, as_object, as_objects

_MIGRATED_KEYS = MappingProxyType(
    {
        "ClusterExternalSecret.spec": {
            "externalSecretName",
            "externalSecretSpec",
            "namespaceSelector",
            "namespaceSelectors",
            "namespaces",
            "refreshTime",
        },
        "spec": {"data", "dataFrom", "refreshInterval", "refreshPolicy", "target"},
        "spec.target": {"creationPolicy", "name", "template"},
        "spec.target.template": {"data", "type"},
        "spec.data": {"remoteRef", "secretKey"},
        "spec.data.remoteRef": {"key", "property"},
        "spec.dataFrom": {"extract"},
        "spec.dataFrom.extract": {"key"},
    }
)
"""The keys that have a counterpart, by path. All other keys are reported."""
_DEFAULTS = MappingProxyType(
    {
        "conversionStrategy": "Default",
        "decodingStrategy": "None",
        "deletionPolicy": "Retain",
        "engineVersion": "v2",
        "immutable": False,
        "mergePolicy": "Replace",
        "metadataPolicy": "None",
        "nullBytePolicy": "Ignore",
    }
)
"""Defaults that the API server fills in. They mean the same as a missing key, and are not reported."""
_ADVICE = MappingProxyType(
    {
        "secretStoreRef": "",
        "spec.target.template.templateFrom": "a Secret has no templates here; use template: of a file",
        "spec.data.remoteRef.version": "no counterpart; Keeper returns the current version of a record",
        "spec.dataFrom.find": "no counterpart; list the records",
    }
)
"""What to do about keys without a counterpart, by path or name. An empty text means that the key is not needed."""


def unmigrated(path: str, content: Json) -> Iterator[str]:
    """Iterate over the keys of *content* that have no counterpart, with what to do about each."""
    for key, value in content.items():
        if key in _MIGRATED_KEYS[path] or value in (None, "", [], {}) or _DEFAULTS.get(key) == value:
            continue
        if advice := _ADVICE.get(f"{path}.{key}", _ADVICE.get(key, "no counterpart")):
            yield f"{path}.{key}: {advice}"


Part = tuple[str, dict[str, str]]
"""A record, and the keys of the Secret by field. Without keys, all of its fields are written under their own names."""


def read_parts(spec: Json) -> tuple[list[Part], list[str]]:
    """Return the records that are read, and what has no counterpart.

    A record comes twice if one field is written under two keys, or if all of its fields are written beside some keys.
    """
    parts: list[Part] = []
    problems: list[str] = []
    for item in as_objects(spec.get("data")):
        remote = as_object(item.get("remoteRef"))
        problems += [*unmigrated("spec.data", item), *unmigrated("spec.data.remoteRef", remote)]
        key, record = str(item.get("secretKey") or ""), str(remote.get("key") or "")
        if not key or not record:
            problems.append(f"spec.data: {key or 'an item'} names no record or no key; write both, or remove it")
            continue
        if not remote.get("property"):
            problems.append(f"{key} has no property, so the field password is used; set it to a field of the record")
        field = str(remote.get("property") or "password")
        for other, keys in parts:
            if other == record and field not in keys:
                keys[field] = key
                break
        else:
            parts.append((record, {field: key}))
    for item in as_objects(spec.get("dataFrom")):
        extract = as_object(item.get("extract"))
        problems += [*unmigrated("spec.dataFrom", item), *unmigrated("spec.dataFrom.extract", extract)]
        record = str(extract.get("key") or "")
        if record and (record, {}) not in parts:
            parts.append((record, {}))
        elif not record and not {"find", "sourceRef"} & item.keys():
            problems.append("spec.dataFrom: an item names no record; write extract.key")
    return parts, problems


_INSERTED = re.compile(r"\{\{-?\s*\.([A-Za-z_]\w*)\s*-?\}\}", re.ASCII)


def apply_template(parts: list[Part], target: Json) -> list[str]:
    """Rename the keys of *parts* as a template does that only inserts values; otherwise return what has no counterpart."""
    data = as_object(as_object(target.get("template")).get("data"))
    if not data:
        return []
    path = "spec.target.template.data"
    sources = {key: (index, field) for index, (_, keys) in enumerate(parts) for field, key in keys.items()}
    found = {str(name): _INSERTED.fullmatch(str(text).strip()) for name, text in data.items()}
    written = {name: match[1] for name, match in found.items() if match and match[1] in sources}
    is_whole = len(written) == len(data) and all(keys for _, keys in parts)
    if not is_whole or len(set(written.values())) != len(written):
        names = ", ".join(sorted(set(found) - set(written)) or sorted(found))
        return [f"{path}: {names}: a Secret has no templates here; use template: of a file"]
    for name, key in written.items():
        index, field = sources[key]
        parts[index][1][field] = name
    unused = set(sources) - set(written.values())
    for key in unused:
        index, field = sources[key]
        del parts[index][1][field]
    parts[:] = [part for part in parts if part[1]]
    return []
