"""The functions that templates can call: Go's own and Sprig's, each with a check of its arguments and its result.

Left out are functions that read the machine, and functions that do not give the same text twice: their files would change
with every refresh.
"""

from __future__ import annotations

import base64
import binascii
import json
from functools import cache
from typing import TYPE_CHECKING

from gotpl.funcs.sprig import text_func_map
from gotpl.runtime.callables import call_spec
from gotpl.runtime.results import unwrap_function_result
from gotpl.runtime.sync_vm import _builtin_functions
from gotpl.runtime.values import INVALID, UNTYPED_NIL

from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records.templates.go_values import FunctionError, MissingField, to_template_value
from keeper_injector_common.records.templates.limits import check_call, check_result
from keeper_injector_common.records.templates.quoting import QUOTING_FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keeper_injector_common.records.formats import Quote
    from keeper_injector_common.records.record import JsonValue

    _Function = Callable[..., object]

_READS_MACHINE = frozenset({"env", "expandenv", "getHostByName"})
_NOT_REPEATABLE = frozenset(
    {"now", "date", "dateInZone", "date_in_zone", "dateModify", "date_modify", "mustDateModify", "must_date_modify"}
    | {"htmlDate", "htmlDateInZone", "ago", "toDate", "mustToDate", "unixEpoch", "durationRound"}
    | {"randAlpha", "randAlphaNum", "randAscii", "randBytes", "randInt", "randNumeric", "shuffle", "uuidv4"}
    | {"bcrypt", "htpasswd", "derivePassword", "encryptAES", "decryptAES", "buildCustomCert"}
    | {"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey"}
    | {"genSignedCert", "genSignedCertWithKey"}
)
_NEVER_EXISTED = {"md5sum": "sha256sum", "htmlEscape": "html"}
"""Functions that Keeper's Go injector documents but does not have, with the functions that may be meant."""
_HELM_ONLY = frozenset({"include", "tpl", "lookup", "fromToml", "fromYamlArray", "fromJsonArray"})
_ACCEPTS_MISSING = frozenset(
    {"default", "coalesce", "empty", "required", "eq", "ne", "not", "all", "any"}
    | {"kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike"}
)
"""Functions with which a template handles a missing field."""
_WRITES_NIL = frozenset({"print", "println", "printf"})
"""Functions that write a nil as Go does; the others receive None."""


@cache
def allowed_functions() -> Mapping[str, _Function]:
    """Return every function that a template may call, by name."""
    sprig = {name: call for name, call in text_func_map().items() if name not in _READS_MACHINE | _NOT_REPEATABLE}
    # Without "must", Sprig's functions return an empty text for values that JSON cannot hold.
    strict = {name: sprig[f"must{name[0].upper()}{name[1:]}"] for name in ("toJson", "toPrettyJson", "toRawJson")}
    builtins = {name: call for name, call in _builtin_functions("go").items() if name != "call"}
    # Sprig's toJson takes precedence over ours: it escapes < and > as Go does, which is the same value.
    quoting = {name: _quoting(name, quote) for name, quote in QUOTING_FUNCTIONS.items()}
    every = {**quoting, "mustToYaml": quoting["toYaml"], **builtins, **sprig, **strict, **_REPLACEMENTS}
    return {name: _checked(name, call) for name, call in every.items()}


def explain_unavailable(name: str) -> tuple[str, str] | None:
    """Return why the function *name* is unavailable and what to do instead; None if nothing is known about it."""
    if name == "env":
        return "reads the machine, which templates cannot do", "write toEnv to quote a value for a .env file"
    if name in _READS_MACHINE:
        return "reads the machine, which templates cannot do", "put the value into the record or the template"
    if name in _NOT_REPEATABLE:
        return "does not give the same text twice, so that every refresh would be a change", "remove it"
    if name in _NEVER_EXISTED:
        return "is documented by Keeper's Go injector, but does not exist there either", f"use {_NEVER_EXISTED[name]}"
    if name in _HELM_ONLY:
        return "exists in Helm only", "use define and template"
    return None


def _checked(name: str, function: _Function) -> _Function:
    spec = call_spec(function)

    def call(*arguments: object) -> object:
        values = [_argument(name, value) for value in arguments]
        if spec is not None and spec.arity_error(name, len(values)):
            raise FunctionError("the number of arguments is wrong", "see Sprig's documentation", function=name)
        if spec is not None and spec.type_error(name, values):
            raise FunctionError(
                "an argument has the wrong type", "convert it, for example with toString", function=name
            )
        check_call(name, values)
        result = to_template_value(unwrap_function_result(function(*values)))
        check_result(name, values, result)
        return result

    return call


def _argument(name: str, value: object) -> object:
    if isinstance(value, MissingField) and name not in _ACCEPTS_MISSING:
        raise value.error(name)
    if isinstance(value, MissingField) or _is_nil(value):
        return UNTYPED_NIL if name in _WRITES_NIL else None
    return value


def _is_nil(value: object) -> bool:
    return value is None or value is UNTYPED_NIL or value is INVALID


def _equal(first: object, *others: object) -> bool:
    """Return whether *first* equals any of *others*. As in Go, nil equals only nil, and comparing it is not an error."""
    if not others:
        raise FunctionError("there is one argument", "write two or more", function="eq")
    equal = _builtin_functions("go")["eq"]
    return any(first is other if first is None or other is None else bool(equal(first, other)) for other in others)


def _not_equal(left: object, right: object) -> bool:
    return not _equal(left, right)


def _index(value: object, *keys: object) -> object:
    found = _builtin_functions("go")["index"](value, *keys)
    return MissingField(key=str(keys[-1])) if found is INVALID and keys else found


def _find_all(pattern: str, text: str, count: int) -> object:
    """Return every match; without a match an empty list, as in Go."""
    return text_func_map()["regexFindAll"](pattern, text, count) or []


def _required(message: str, value: object) -> object:
    if value is None or value == "":
        raise FunctionError(
            "a required value is missing",
            "add it to the record",
            function="required",
            literal=message,
            if_literal=(message, ""),
        )
    return value


def _fail(message: str) -> object:
    raise FunctionError(
        "the template stops itself",
        "see the condition before it",
        function="fail",
        literal=message,
        if_literal=(message, ""),
    )


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True).decode()
    except binascii.Error:
        raise FunctionError("the argument is not base64", "check the value", function="base64dec") from None
    except UnicodeDecodeError:
        raise FunctionError(
            "the result is not text", "deliver binary values by themselves", function="base64dec"
        ) from None


def _quoting(name: str, quote: Quote) -> _Function:
    def call(value: JsonValue) -> str:
        try:
            json.dumps(value, ensure_ascii=False).encode()
            return quote(value)
        except UnicodeEncodeError:
            found, right = "the value contains a lone surrogate, which is not valid text", "enter it again in Keeper"
            raise FunctionError(found, right, function=name) from None
        except InvalidValue as error:
            raise FunctionError(error.found, error.right, function=name) from None

    return call


def _from_yaml(text: str) -> object:
    from keeper_injector_common.records.templates.yaml_functions import from_yaml

    return from_yaml(text)


_REPLACEMENTS: dict[str, _Function] = {
    "eq": _equal,
    "ne": _not_equal,
    "index": _index,
    "regexFindAll": _find_all,
    "required": _required,
    "fail": _fail,
    "base64enc": _encode,
    "base64dec": _decode,
    "fromYaml": _from_yaml,
    "mustFromYaml": _from_yaml,
}
"""Functions that replace the engine's, because theirs differ from Go or lack a message without values."""
