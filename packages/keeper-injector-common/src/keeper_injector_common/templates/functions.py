"""The functions of templates: Go's own and Sprig's, guarded, without those that would not render the same twice."""

from __future__ import annotations

import base64
import binascii
from functools import cache
from typing import TYPE_CHECKING

from gotpl.funcs.sprig import text_func_map
from gotpl.runtime.callables import TemplateCallArityError, TemplateCallTypeError, invoke_template_function
from gotpl.runtime.results import unwrap_function_result
from gotpl.runtime.sync_vm import _builtin_functions
from gotpl.runtime.values import INVALID, UNTYPED_NIL

from keeper_injector_common.templates.guards import check
from keeper_injector_common.templates.values import MOST, Missing, Refused, own, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
LOST = "\ufffd"
"""What stands where bytes were no text."""


@cache
def functions() -> Mapping[str, Function]:
    """Return every function that a template may call, by name."""
    sprig = {name: call for name, call in text_func_map().items() if name not in MACHINE | CHANGING}
    builtins = {name: call for name, call in _builtin_functions("go").items() if name != "call"}
    return {name: _guarded(name, call) for name, call in {**builtins, **sprig, **_OWN}.items()}


def why_not(name: str) -> str:
    """Say why there is no function *name*, and what would be right."""
    if name in MACHINE:
        return "reads the machine, which templates cannot; put the value into the record or the template"
    if name in CHANGING:
        return "would not give the same text twice, so that every refresh would be a change; leave it out"
    if name in NEVER_WAS:
        return f"is in the documentation of Keeper's Go injector, but never was in it; use {NEVER_WAS[name]}"
    if name in HELM:
        return "is Helm's; there is one template here, use define and template"
    return ""


def _guarded(name: str, function: Function) -> Function:
    def call(*arguments: object) -> object:
        values = [_argument(name, value) for value in arguments]
        check(name, values)
        try:
            result = own(unwrap_function_result(invoke_template_function(name, function, values)))
        except TemplateCallArityError:
            raise Refused("it has a wrong number of arguments; see Sprig's documentation", function=name) from None
        except TemplateCallTypeError:
            raise Refused("a value is not of the type it takes; convert it, as with toString", function=name) from None
        return _checked(name, values, result)

    return call


def _argument(name: str, value: object) -> object:
    if isinstance(value, Missing):
        if name not in FORGIVING:
            raise value.refused(name)
        return None
    if value is None and name in PRINTING:
        return UNTYPED_NIL
    return value


def _checked(name: str, values: Sequence[object], result: object) -> object:
    if isinstance(result, str | list | dict) and weight(result) > MOST:
        raise Refused("it makes more than a million characters; deliver large values by themselves", function=name)
    if (
        isinstance(result, str)
        and LOST in result
        and not any(LOST in value for value in values if isinstance(value, str))
    ):
        raise Refused("it cuts a character apart or gives bytes; deliver binary values by themselves", function=name)
    if (
        name == "printf"
        and isinstance(result, str)
        and "%!" in result
        and any(isinstance(v, list | dict) for v in values)
    ):
        raise Refused("it can write a list or an object with %v only; use that, join or toJson", function=name)
    return result


def _equal(first: object, *others: object) -> bool:
    """Compare as Go does: nil equals nil and nothing else, never an error."""
    equal = _builtin_functions("go")["eq"]
    if not others:
        raise Refused("it has one argument; give it two or more", function="eq")
    return any(
        _is_nil(first) and _is_nil(other) if _is_nil(first) or _is_nil(other) else bool(equal(first, other))
        for other in others
    )


def _not_equal(left: object, right: object) -> bool:
    return not _equal(left, right)


def _is_nil(value: object) -> bool:
    return value is None or value is UNTYPED_NIL or value is INVALID


def _index(value: object, *keys: object) -> object:
    found = _builtin_functions("go")["index"](value, *keys)
    return Missing(key=str(keys[-1])) if found is INVALID and keys else found


def _find_all(pattern: str, text: str, count: int) -> object:
    """Find every match; none is an empty list, as in Go."""
    return text_func_map()["regexFindAll"](pattern, text, count) or []


def _required(message: str, value: object) -> object:
    if _is_nil(value) or value == "":
        raise Refused("a value is required and is not there; add it to the record", function="required", quoted=message)
    return value


def _fail(message: str) -> object:
    raise Refused("it stops the template; see the condition before it", function="fail", quoted=message)


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except binascii.Error:
        raise Refused("it is given something that is no base64; check the value", function="base64dec") from None
    except UnicodeDecodeError:
        raise Refused(
            "it gives bytes that are no text; deliver binary values by themselves", function="base64dec"
        ) from None


def _to_yaml(value: object) -> str:
    from keeper_injector_common.templates.yaml import to_yaml

    return to_yaml(own(value))


def _from_yaml(text: str) -> object:
    from keeper_injector_common.templates.yaml import from_yaml

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
