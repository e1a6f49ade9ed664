"""Names of environment variables: from fields to ``UPPER_CASE``, without the ones that would take over a process."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
FORBIDDEN_VARIABLES = ("GLIBC_TUNABLES", "LD_*")
"""What the loader of programs obeys: not even an explicit ``env-<NAME>`` sets it. A star ends a prefix."""
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
"""What steers shells, libc, languages or whom a process trusts: only an explicit ``env-<NAME>`` sets it.

Whoever may edit a record in Keeper must not thereby run code in a pod. ``keeper-exec`` has the same two tables.
"""


def to_variable_name(field: str, *, prefix: str = "") -> str:
    """Make a variable's name of a field's: upper case, ``_`` for all but letters and digits, no digit first.

    The *prefix* stays as it is.
    """
    name = prefix + re.sub(r"[^A-Z0-9]", "_", field.upper())
    return f"_{name}" if not name or name[0].isdigit() else name


def is_forbidden_variable(name: str) -> bool:
    """Say whether nobody may set the variable *name*."""
    return _matches(name, FORBIDDEN_VARIABLES)


def _is_protected(name: str) -> bool:
    """Say whether the variable *name* is set only when asked for by exactly that name."""
    return _matches(name, PROTECTED_VARIABLES) or is_forbidden_variable(name)


def to_variable_names(title: str, values: Mapping[str, str], *, prefix: str = "") -> dict[str, str]:
    """Rename the values of the record *title* from fields' names to variables' names, *prefix* first.

    Raises FormatError when two fields get one name, or when a name would take over the process.
    """
    renamed: dict[str, str] = {}
    origin: dict[str, str] = {}
    for field, value in values.items():
        name = to_variable_name(field, prefix=prefix)
        if name in renamed:
            raise FormatError(
                f"record {title!r}: fields {origin[name]!r} and {field!r} both become {name}; rename one in Keeper "
                "or list the fields you want"
            )
        if _is_protected(name):
            raise FormatError(
                f"record {title!r}, field {field!r}: the variable {name} would steer the whole process; rename "
                "the field in Keeper or list the fields you want"
            )
        renamed[name], origin[name] = value, field
    return renamed


def check_variable_name(name: str) -> None:
    """Raise FormatError unless *name* is a valid name of a variable that may be set."""
    if not _NAME.fullmatch(name):
        raise FormatError(f"variable {name!r}: is no name of a variable; write letters, digits and '_', no digit first")
    if is_forbidden_variable(name):
        raise FormatError(
            f"variable {name}: steers the loader of programs, and no secret may set it; choose another name"
        )


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns)
