"""The functions of templates: Go's own and Sprig's, guarded, without those that would not render the same twice."""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import TYPE_CHECKING

from gotpl.funcs.sprig import text_func_map
from gotpl.runtime.callables import call_spec
from gotpl.runtime.results import unwrap_function_result
from gotpl.runtime.sync_vm import _builtin_functions
from gotpl.runtime.values import INVALID, UNTYPED_NIL

from keeper_injector_common.records.templates.go_values import FunctionError, MissingField, to_template_value
from keeper_injector_common.records.templates.limits import check_call, check_result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = Callable[..., object]

MACHINE = frozenset({"env", "expandenv", "getHostByName"})
CHANGING = frozenset(
    {"now", "date", "dateInZone", "date_in_zone", "dateModify", "date_modify", "mustDateModify", "must_date_modify"}
    | {"htmlDate", "htmlDateInZone", "ago", "toDate", "mustToDate", "unixEpoch", "durationRound"}
    | {"randAlpha", "randAlphaNum", "randAscii", "randBytes", "randInt", "randNumeric", "shuffle", "uuidv4"}
    | {"bcrypt", "htpasswd", "derivePassword", "encryptAES", "decryptAES", "buildCustomCert"}
    | {"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey"}
    | {"genSignedCert", "genSignedCertWithKey"}
)
NEVER_WAS = {"md5sum": "sha256sum", "htmlEscape": "html"}
"""What Keeper's Go injector documents and never had → what it may have meant."""
HELM = frozenset({"include", "tpl", "lookup", "toToml", "fromToml", "fromYamlArray", "fromJsonArray"})
FORGIVING = frozenset(
    {"default", "coalesce", "empty", "required", "eq", "ne", "not", "all", "any"}
    | {"kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike"}
)
"""Functions by which a template says what happens when a field is missing."""
PRINTING = frozenset({"print", "println", "printf"})


@cache
def allowed_functions() -> Mapping[str, Function]:
    """Return every function that a template may call, by name."""
    sprig = {name: call for name, call in text_func_map().items() if name not in MACHINE | CHANGING}
    # Sprig's own give an empty text for what JSON cannot hold.
    strict = {name: sprig[f"must{name[0].upper()}{name[1:]}"] for name in ("toJson", "toPrettyJson", "toRawJson")}
    builtins = {name: call for name, call in _builtin_functions("go").items() if name != "call"}
    return {name: _guarded(name, call) for name, call in {**builtins, **sprig, **strict, **_OWN}.items()}


def explain_unavailable(name: str) -> tuple[str, str] | None:
    """Say why there is no function *name*, and what would be right; None for a name that no list has."""
    if name in MACHINE:
        return "reads the machine, which templates cannot", "put the value into the record or the template"
    if name in CHANGING:
        return "would not give the same text twice, so that every refresh would be a change", "leave it out"
    if name in NEVER_WAS:
        return "is in the documentation of Keeper's Go injector, but never was in it", f"use {NEVER_WAS[name]}"
    if name in HELM:
        return "is Helm's", "there is one template here, use define and template"
    return None


def _guarded(name: str, function: Function) -> Function:
    spec = call_spec(function)

    def call(*arguments: object) -> object:
        values = [_argument(name, value) for value in arguments]
        if spec is not None and spec.arity_error(name, len(values)):
            raise FunctionError("it has a wrong number of arguments; see Sprig's documentation", function=name)
        if spec is not None and spec.type_error(name, values):
            raise FunctionError("a value is not of the type it takes; convert it, as with toString", function=name)
        check_call(name, values)
        result = to_template_value(unwrap_function_result(function(*values)))
        check_result(name, values, result)
        return result

    return call


def _argument(name: str, value: object) -> object:
    if isinstance(value, MissingField) and name not in FORGIVING:
        raise value.refused(name)
    if isinstance(value, MissingField) or _is_nil(value):
        return UNTYPED_NIL if name in PRINTING else None
    return value


def _is_nil(value: object) -> bool:
    return value is None or value is UNTYPED_NIL or value is INVALID


def _equal(first: object, *others: object) -> bool:
    """Compare as Go does: nil equals nil and nothing else, never an error."""
    if not others:
        raise FunctionError("it has one argument; give it two or more", function="eq")
    equal = _builtin_functions("go")["eq"]
    return any(first is other if first is None or other is None else bool(equal(first, other)) for other in others)


def _not_equal(left: object, right: object) -> bool:
    return not _equal(left, right)


def _index(value: object, *keys: object) -> object:
    found = _builtin_functions("go")["index"](value, *keys)
    return MissingField(key=str(keys[-1])) if found is INVALID and keys else found


def _find_all(pattern: str, text: str, count: int) -> object:
    """Find every match; none is an empty list, as in Go."""
    return text_func_map()["regexFindAll"](pattern, text, count) or []


def _required(message: str, value: object) -> object:
    if value is None or value == "":
        raise FunctionError(
            "a value is required and is not there; add it to the record", function="required", quoted=message
        )
    return value


def _fail(message: str) -> object:
    raise FunctionError("it stops the template; see the condition before it", function="fail", quoted=message)


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except binascii.Error:
        raise FunctionError("it is given something that is no base64; check the value", function="base64dec") from None
    except UnicodeDecodeError:
        raise FunctionError(
            "it gives bytes that are no text; deliver binary values by themselves", function="base64dec"
        ) from None


def _to_yaml(value: object) -> str:
    from keeper_injector_common.records.templates.yaml_functions import to_yaml

    return to_yaml(value)


def _from_yaml(text: str) -> object:
    from keeper_injector_common.records.templates.yaml_functions import from_yaml

    return from_yaml(text)


_OWN: dict[str, Function] = {
    "eq": _equal,
    "ne": _not_equal,
    "index": _index,
    "regexFindAll": _find_all,
    "required": _required,
    "fail": _fail,
    "base64enc": _encode,
    "base64dec": _decode,
    "toYaml": _to_yaml,
    "mustToYaml": _to_yaml,
    "fromYaml": _from_yaml,
    "mustFromYaml": _from_yaml,
}
