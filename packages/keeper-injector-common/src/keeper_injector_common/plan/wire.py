"""The plan as versioned JSON: the webhook writes it into an annotation, and the agent reads it.

Webhook and agent are released separately and meet at run time. The tests therefore keep golden plans of every released
:data:`VERSION`. To change the form, change the metadata of a field in :mod:`keeper_injector_common.plan.model` or
:mod:`keeper_injector_common.plan.delivery`: reading, writing and the schema follow.
"""

from __future__ import annotations

import hashlib
import json

from keeper_injector_common.errors import PlanError, Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.attrs_codec import object_of
from keeper_injector_common.plan.codec import InvalidParts, at
from keeper_injector_common.plan.model import FileItem, Plan
from keeper_injector_common.plan.sharing import restore_parts, schema_with_sharing, shared_items, write_shared

VERSION = 1

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PLAN = object_of(Plan)
_FILE = object_of(FileItem)


def dumps(plan: Plan) -> str:
    """Return *plan* as compact JSON with its keys in a fixed order: equal plans give equal texts."""
    shared = shared_items(plan)
    content = write_shared(plan, shared, to_json) if shared else to_json(plan)
    return _COMPACT.encode(content)


def digest(text: str) -> str:
    """Return the digest of a plan's JSON *text*, by which the agent recognizes the plan that the webhook admitted."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def to_json(plan: Plan) -> Json:
    """Return *plan* as JSON values."""
    return {"version": VERSION, **_PLAN.write(plan)}


def loads(text: str) -> Plan:
    """Read what :func:`dumps` wrote; raises :class:`~keeper_injector_common.errors.PlanError` with every problem."""
    if not text.strip():
        # The kubelet writes an empty file for an annotation that does not exist.
        found = "plan: empty, the pod has no annotation keeper.security/plan"
        raise PlanError(f"{found}; copy pods with kubectl debug --keep-annotations, or inject the pod again")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise PlanError("plan: not JSON; it must be what the webhook wrote") from None
    return from_json(content)


def from_json(content: object) -> Plan:
    """Read a plan from JSON values; raises :class:`~keeper_injector_common.errors.PlanError` with every problem."""
    if not isinstance(content, dict):
        raise PlanError("plan: not a JSON object; it must be what the webhook wrote")
    version = content.get("version")
    # Equality alone would accept true and 1.0.
    if type(version) is not int or version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        fix = "use an agent image as new as the webhook" if newer else "inject the pod again"
        raise PlanError(f"plan: version {version!r} is unknown; this agent reads version {VERSION}; {fix}")
    try:
        return _PLAN.read(restore_parts({key: part for key, part in content.items() if key != "version"}))
    except (InvalidValue, InvalidParts) as error:
        problems = [
            Problem(f"plan: {path.removeprefix('.')}", fault.found, fault.right) for path, fault in at("", error)
        ]
        raise PlanError("\n".join(map(str, problems))) from None


def json_schema() -> Json:
    """Return the JSON Schema of a plan."""
    properties = {"version": {"const": VERSION}, **_PLAN.schema["properties"]}
    return schema_with_sharing(
        {**_PLAN.schema, "properties": properties, "required": ["version", *_PLAN.schema["required"]]}
    )


def item_key(item: FileItem) -> str:
    """Return a text that differs between items that would give different files for the same records."""
    return json.dumps(_FILE.write(item))
