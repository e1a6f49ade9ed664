"""``envfile``: ``NAME='value'`` lines for the kubelet of Kubernetes 1.35 and later (``fileKeyRef``, KEP-3721).

A record with the fields login and password::

    LOGIN='admin'
    PASSWORD='s3cret'

Everything between the quotes is literal, including line breaks, and there are no escapes. A value that contains a single
quote cannot be written, nor one with a carriage return before a line break, which the kubelet's parser removes. Both are
errors that name the variable and recommend ``env-mode: exec``. Kubernetes 1.34 has another syntax and is not supported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.interface import Format
from keeper_injector_common.records.formats.variable_lines import variables_of
from keeper_injector_common.records.formats.variable_names import check_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records.formats.interface import RecordContent

# KEP-3721, "Limits".
_FILE_BYTES = 64 * 1024
_NAME_CHARACTERS = 128
_VALUE_BYTES = 32 * 1024
_ADVICE = "set keeper.security/env-mode: exec"


def write_envfile(variables: Mapping[str, str]) -> bytes:
    """Return *variables*, by their final names, as a file for the kubelet.

    Raises FormatError, with the variable's name, if a name or a value cannot be written or a size limit is exceeded.
    """
    written = b"".join(_line(name, value) for name, value in variables.items())
    if len(written) > _FILE_BYTES:
        raise FormatError(f"variables: more than 64 KiB in total, the limit of the kubelet; {_ADVICE}")
    return written


def read_envfile(content: bytes) -> dict[str, str]:
    """Return the variables that :func:`write_envfile` has written."""
    return dict(_ENTRY.findall(content.decode()))


_ENTRY = pattern(r"([^=\n]+)='([^']*)'\n")


def _write_record(content: RecordContent) -> bytes:
    return write_envfile(variables_of(content))


def _line(name: str, value: str) -> bytes:
    check_variable(name, value)
    for text, description in (("'", "a single quote"), ("\r\n", "a carriage return")):
        if text in value:
            raise FormatError(f"variable {name}: contains {description}, which an EnvFile cannot hold; {_ADVICE}")
    if len(value.encode()) > _VALUE_BYTES or len(name) > _NAME_CHARACTERS:
        raise FormatError(
            f"variable {name}: the name is over 128 characters or the value over 32 KiB, the limits of the kubelet; "
            f"{_ADVICE}"
        )
    return f"{name}='{value}'\n".encode()


FORMAT = Format("envfile", _write_record, "NAME='value' lines for the kubelet's EnvFiles")
