"""Names of environment variables: from field names to ``UPPER_CASE``, without names that could take over a process.

Also what every variable must satisfy, in whatever format it is delivered.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.patterns import pattern
from keeper_injector_common.uniqueness import Named, unique

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = pattern(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
FORBIDDEN_VARIABLES = ("GLIBC_TUNABLES", "LD_*")
"""Variables that control the program loader; not even an explicit ``env-<NAME>`` sets them. ``*`` ends a prefix."""
# fmt: off
PROTECTED_VARIABLES = (
    # shells
    "BASHOPTS", "BASH_ENV", "CDPATH", "ENV", "FPATH", "GLOBIGNORE", "HOME", "IFS", "PATH", "PROMPT_COMMAND", "PS4",
    "SHELLOPTS", "ZDOTDIR",
    # libc
    "GCONV_PATH", "GETCONF_DIR", "HOSTALIASES", "LOCALDOMAIN", "LOCPATH", "MALLOC_*", "NIS_PATH", "NLSPATH",
    "RESOLV_HOST_CONF", "RES_OPTIONS", "TMPDIR", "TZDIR",
    # trust
    "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "KUBERNETES_*", "NO_PROXY", "OPENSSL_CONF", "OPENSSL_ENGINES",
    "OPENSSL_MODULES", "SSL_CERT_DIR", "SSL_CERT_FILE", "all_proxy", "http_proxy", "https_proxy", "no_proxy",
    # languages
    "CLASSPATH", "CORECLR_*", "COR_*", "DOTNET_STARTUP_HOOKS", "GEM_*", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS",
    "LUA_CPATH*", "LUA_INIT*", "LUA_PATH*", "NODE_OPTIONS", "NODE_PATH", "PERL5DB", "PERL5LIB", "PERL5OPT",
    "PERLIO_DEBUG", "PERLLIB", "PHPRC", "PHP_INI_SCAN_DIR", "PYTHON*", "RUBYLIB", "RUBYOPT", "_JAVA_OPTIONS",
)
# fmt: on
"""Variables that control shells, libc, language runtimes or whom a process trusts.

Only an explicit ``env-<NAME>`` sets them, because permission to edit a record in Keeper must not be permission to run code
in a pod. ``keeper-exec.c`` has the same two tables; a test compares them.
"""


def to_variable_name(field: str, *, prefix: str = "") -> str:
    """Return the name of the variable for a field: upper case, ``_`` for everything except letters A to Z and digits.

    The *prefix* is put first and is not changed. A name that would begin with a digit gets a leading ``_``.

    >>> to_variable_name("API key"), to_variable_name("2fa"), to_variable_name("login", prefix="Db_")
    ('API_KEY', '_2FA', 'Db_LOGIN')
    """
    name = prefix + re.sub(r"[^A-Z0-9]", "_", field.upper())
    return f"_{name}" if not name or name[0].isdigit() else name


def is_protected_variable(name: str) -> bool:
    """Return whether only an explicit ``env-<NAME>`` sets the variable *name*, or nothing at all."""
    return _matches(name, PROTECTED_VARIABLES) or is_forbidden_variable(name)


def is_forbidden_variable(name: str) -> bool:
    """Return whether the variable *name* can never be set from a secret."""
    return _matches(name, FORBIDDEN_VARIABLES)


def to_variable_names(title: str, values: Mapping[str, str], *, prefix: str = "") -> dict[str, tuple[str, str]]:
    """Return each field in *values* of the record *title*, and its value, by the name of the field's variable.

    Raises FormatError if two fields get the same variable, or if a variable is forbidden or protected.
    """
    variables = unique(
        (Named(to_variable_name(field, prefix=prefix), (field, value), repr(field)) for field, value in values.items()),
        lambda clash: FormatError(
            f"record {title!r}: fields {clash} become the same variable {clash.name}; rename one in Keeper, or list the fields "
            "you want"
        ),
    )
    for name, (field, _) in variables.items():
        if is_protected_variable(name):
            raise FormatError(
                f"record {title!r}, field {field!r}: the variable {name} controls more than the application; list the other "
                "fields, or rename the field in Keeper"
            )
    return variables


def check_variable(name: str, value: str) -> None:
    """Raise FormatError if no variable can be called *name*, if *name* is forbidden, or if no variable can hold *value*."""
    if not _NAME.fullmatch(name):
        raise FormatError(
            f"variable {name!r}: is not the name of a variable; write letters, digits and '_', not starting with a digit"
        )
    if is_forbidden_variable(name):
        raise FormatError(
            f"variable {name}: controls the program loader and cannot be set from a secret; choose another name"
        )
    if "\0" in value:
        raise FormatError(
            f"variable {name}: contains a NUL character, which no variable can hold; deliver the value as a file"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FormatError(
            f"variable {name}: contains a lone surrogate, which is not valid text; enter the value again in Keeper"
        ) from None


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns)
