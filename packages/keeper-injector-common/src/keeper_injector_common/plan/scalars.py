"""The texts and numbers of a plan: one codec for each kind."""

from __future__ import annotations

from keeper_injector_common import parsers
from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.codec import integer, number, text
from keeper_injector_common.references import RecordName, Reference, WholeRecord, parse_folder, parse_reference


def _relative_path(path: str) -> str:
    if parsers.absolute_path(f"/{path}")[1:] != path or any(part.startswith("..") for part in path.split("/")):
        raise InvalidValue(f"{path!r} is not a path below a directory", "write names with '/' between them")
    return path


def _reference(content: str) -> Reference:
    try:
        return parse_reference(content)
    except InvalidReferenceError as error:
        raise InvalidValue(error.found, error.right) from None


def _whole_record(content: str) -> WholeRecord:
    reference = _reference(content)
    if not isinstance(reference, WholeRecord):
        raise InvalidValue(f"{content!r} names a part of a record", "write the record's title or UID")
    return reference


def _folder(content: str) -> RecordName:
    try:
        return parse_folder(content)
    except InvalidReferenceError as error:
        raise InvalidValue(error.found, error.right) from None


TEXT = text(parsers.text)
BLOCK = text(parsers.block)
"""Text whose white space matters."""
ABSOLUTE_PATH = text(parsers.absolute_path)
RELATIVE_PATH = text(_relative_path)
FILE_MODE = text(parsers.file_mode, lambda mode: f"{mode:04o}", pattern="^0?[0-7]{3}$")
"""An int in Python and octal digits in JSON, such as ``"0440"``."""
OBJECT_NAME = text(parsers.object_name)
DATA_KEY = text(parsers.data_key)
VARIABLE_NAME = text(parsers.variable_name)
VARIABLE_PREFIX = text(parsers.variable_prefix)
SIGNAL = text(parsers.signal_name, enum=list(parsers.SIGNALS))
LOOPBACK_URL = text(parsers.loopback_url)
REFERENCE = text(_reference, str)
WHOLE_RECORD = text(_whole_record, str)
FOLDER = text(_folder, str)
SECONDS = number(0, parsers.LONGEST_INTERVAL)
VOLUME_BYTES = integer(parsers.SMALLEST_VOLUME, parsers.LARGEST_VOLUME)
PORT = integer(parsers.LOWEST_PORT, parsers.HIGHEST_PORT)
