"""Parsers for the values of annotations, of the ``config`` document and of plans: each reads one kind of text.

A parser takes text and returns a value. For text that is not valid it raises :class:`InvalidValue`, which says what was found and what
to write instead.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import attrs

from keeper_injector_common.errors import explain
from keeper_injector_common.limits import LONGEST_PATH, LONGEST_URL, MOST_PARTS, MOST_SECRETS
from keeper_injector_common.patterns import pattern

T = TypeVar("T")
Parse = Callable[[str], T]

_SECONDS = 1.0
_MINUTES = 60 * _SECONDS
_HOURS = 60 * _MINUTES
_SHORTEST_INTERVAL = 10 * _SECONDS
"""Seconds. Keeper allows a device (one KSM configuration) about 100 requests in 10 seconds, and throttles a device that sends more."""
LONGEST_INTERVAL = 7 * 24 * _HOURS


class InvalidValue(ValueError):  # noqa: N818 - named for what it is, like packaging.version.InvalidVersion
    """A text that its parser does not accept: what was *found* and what to do to make it *right*, as ``found; right``."""

    def __init__(self, found: str, right: str = "") -> None:
        self.found = found
        self.right = right
        super().__init__(explain(found, right))


def switch(text: str) -> bool:
    """Read a boolean: ``true/false``, ``yes/no``, ``on/off`` or ``1/0``, in any case."""
    match text.strip().lower():
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0":
            return False
        case _:
            raise InvalidValue(f"{text!r} is neither true nor false", "write true or false")


_DURATION = pattern(r"(?:(\d{1,5})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)


def duration(text: str) -> float:
    """Read a duration such as ``30s``, ``5m`` or ``1h30m``; the result is in seconds, from ten seconds to seven days."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise InvalidValue(f"{text!r} is not a duration", "write 30s, 5m or 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = hours * _HOURS + minutes * _MINUTES + seconds * _SECONDS
    if not _SHORTEST_INTERVAL <= total <= LONGEST_INTERVAL:
        raise InvalidValue(f"{text!r} is out of range", "write a duration from 10s to 168h")
    return total


_MODE = pattern(r"0?[0-7]{3}", re.ASCII)
_WRITABLE_BY_OTHERS = 0o002


def file_mode(text: str) -> int:
    """Read a file mode in octal, such as ``0440`` or ``440``. Other users must not be able to write the file."""
    if not _MODE.fullmatch(text.strip()):
        raise InvalidValue(f"{text!r} is not a file mode", "write three octal digits such as 0440")
    mode = int(text.strip(), 8)
    if mode & _WRITABLE_BY_OTHERS:
        raise InvalidValue(f"{text!r} lets every user write the file", "write 0440 or 0444")
    if not mode & 0o400:
        # The agent owns the file and must be able to read it back to detect changes.
        raise InvalidValue(f"{text!r} does not let the file's owner read it", "write 0400, 0440 or 0444")
    return mode


_CONTROL = pattern(r"[\x00-\x1f]")


def absolute_path(text: str) -> str:
    """Read an absolute path below the root directory. ``.`` and double slashes are removed; ``..`` is an error."""
    path = text.strip()
    if len(path) > LONGEST_PATH or path.count("/") > MOST_PARTS:
        raise InvalidValue(
            f"{path!r} is too long", f"write at most {LONGEST_PATH} characters and at most {MOST_PARTS} slashes"
        )
    if _CONTROL.search(path):
        raise InvalidValue("the path has control characters", "write printable ones only")
    if not path.startswith("/"):
        raise InvalidValue(f"{path!r} is not an absolute path", "begin it with '/'")
    if ".." in path.split("/"):
        raise InvalidValue(f"{path!r} has '..' in it", "write the path without")
    clean = "/" + posixpath.normpath(path).lstrip("/")
    if clean == "/":
        raise InvalidValue(f"{path!r} is the root directory", "write a path below it")
    return clean


def file_path(text: str) -> str:
    """Read the absolute path of a file: as :func:`absolute_path`, but without a slash at the end and not directly in ``/``."""
    if text.strip().endswith("/"):
        raise InvalidValue(f"{text.strip()!r} is a directory", "add the name of the file")
    path = absolute_path(text)
    if posixpath.dirname(path) == "/":
        raise InvalidValue(f"{path!r} is in the root directory, which cannot be a volume", f"use /keeper/secrets{path}")
    if any(part.startswith("..") for part in path.split("/")):
        raise InvalidValue(
            f"{path!r} has a name that begins with '..', which is reserved for atomic updates", "rename it"
        )
    return path


_QUANTITY = pattern(r"\d{1,15}(?:\.\d{1,9})?(?:m|k|[KMGT]i?|[PE]i?)?", re.ASCII)
_MULTIPLES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def quantity(text: str) -> str:
    """Read a Kubernetes quantity of CPU or memory, such as ``50m`` or ``64Mi``, or the word ``none``."""
    amount = text.strip()
    if amount.lower() == "none":
        return "none"
    if not _QUANTITY.fullmatch(amount) or amount in {"0", "0m"} or amount.endswith("K"):
        raise InvalidValue(f"{text!r} is not a quantity", "write 50m, 64Mi or none")
    return amount


SMALLEST_VOLUME = 64 * 1024
LARGEST_VOLUME = 1024**3


def volume_size(text: str) -> int:
    """Read the size of a memory volume, such as ``16Mi``, from 64Ki to 1Gi; the result is in bytes."""
    match = re.fullmatch(r"(\d{1,10})(k|M|G|Ki|Mi|Gi)?", text.strip(), re.ASCII)
    if match is None:
        raise InvalidValue(f"{text!r} is not a size", "write 16Mi")
    size = int(match[1]) * _MULTIPLES[match[2] or ""]
    if not SMALLEST_VOLUME <= size <= LARGEST_VOLUME:
        raise InvalidValue(f"{text!r} is out of range", "write a size from 64Ki to 1Gi")
    return size


def binary_quantity(size: int) -> str:
    """Return *size*, in bytes, as a Kubernetes quantity with the largest binary suffix that is exact: ``16Mi``."""
    for suffix, unit in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
        if size % unit == 0:
            return f"{size // unit}{suffix}"
    return str(size)


@attrs.frozen
class Choice:
    """A parser that accepts one of its words, in any case. The documentation lists the words."""

    words: tuple[str, ...]
    aliases: Mapping[str, str] = attrs.field(factory=dict)
    """Other names of words, each with its word. Messages do not list them."""

    def __call__(self, text: str) -> str:
        """Read one of the words."""
        word = text.strip().lower()
        word = self.aliases.get(word, word)
        if word not in self.words:
            raise InvalidValue(f"{text!r} is unknown", f"write {', '.join(self.words[:-1])} or {self.words[-1]}")
        return word


def choice(*words: str, aliases: Mapping[str, str] | None = None) -> Choice:
    """Return a parser that accepts one of *words*, in any case, or one of the *aliases* of words."""
    return Choice(words, aliases or {})


def whole(lowest: int, highest: int) -> Parse[int]:
    """Return a parser for whole numbers from *lowest* to *highest*."""

    def parse(text: str) -> int:
        # int() must get the stripped text: it strips fewer characters than str.strip() does.
        digits = text.strip()
        number = int(digits) if re.fullmatch(r"[0-9]{1,18}", digits, re.ASCII) else -1
        if not lowest <= number <= highest:
            raise InvalidValue(f"{text!r} is not a number from {lowest} to {highest}", "write one")
        return number

    return parse


LOWEST_PORT = 1024
"""Lower ports need a capability that the agent does not have."""
HIGHEST_PORT = 65535
port: Parse[int] = whole(LOWEST_PORT, HIGHEST_PORT)
"""Reads a port that the agent can open."""


def text(value: str) -> str:
    """Read any text that is not empty."""
    if not value.strip():
        raise InvalidValue("the value is empty", "write one or remove the annotation")
    if "\0" in value:
        raise InvalidValue("the value has a NUL character", "remove it")
    return stripped(value)


def target(value: str) -> str:
    """Read the value of ``record-<handle>``: text that names a record, and not only the path of its file."""
    found = text(value)
    if found.startswith("/"):
        raise InvalidValue(f"{found!r} is a path without a record", f"write the record before it, as in db:{found}")
    return found


def stripped(value: str) -> str:
    """Return *value* without the blanks at its ends. A blank after a backslash belongs to a name, and stays."""
    inside = value.strip()
    backslashes = len(inside) - len(inside.rstrip("\\"))
    return value.lstrip()[: len(inside) + backslashes % 2]


def block(value: str) -> str:
    """Read any text that is not empty and keep its white space, as a template needs."""
    text(value)
    return value


_TOKEN = pattern(r"\\.|[^\\,]+|.", re.DOTALL)
"""An escape, a run of ordinary characters, a comma, or a backslash at the end."""


def items(value: str) -> tuple[str, ...]:
    r"""Read a comma-separated list. A comma inside a title is written ``\,``; other escapes stay as they are."""
    if value.count(",") >= MOST_SECRETS:
        raise InvalidValue(f"{value.count(',') + 1} items found", f"write at most {MOST_SECRETS}")
    parts = [""]
    for match in _TOKEN.finditer(value):
        if match[0] == ",":
            parts.append("")
        else:
            parts[-1] += "," if match[0] == "\\," else match[0]
    parts = [stripped(part) for part in parts]
    if not all(parts):
        raise InvalidValue(f"{value!r} has an empty item", "write names with one comma between them")
    if len(set(parts)) != len(parts):
        raise InvalidValue(f"{value!r} names something twice", "name each once")
    return tuple(parts)


def pairs(value: str) -> dict[str, str]:
    """Read a comma-separated list of ``name=other name``. The first ``=`` of an item separates the two."""
    found: dict[str, str] = {}
    for item in items(value):
        name, equals, other = (part.strip() for part in item.partition("="))
        if not (name and equals and other):
            raise InvalidValue(f"{item!r} is not a pair of names", "write login=user, password=secret")
        if name in found:
            raise InvalidValue(f"{value!r} names {name!r} twice", "name each once")
        found[name] = other
    return found


_DNS_SUBDOMAIN = pattern(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)


def object_name(value: str) -> str:
    """Read the name of a Kubernetes object (RFC 1123 subdomain)."""
    name = value.strip()
    if not _DNS_SUBDOMAIN.fullmatch(name) or ".." in name:
        raise InvalidValue(
            f"{value!r} is not a name of a Kubernetes object", "write lower-case letters, digits, '-' and '.'"
        )
    return name


LONGEST_DATA_KEY = 253
"""Characters of a key of a Secret or ConfigMap."""
_DATA_KEY = pattern(r"[-._a-zA-Z0-9]+", re.ASCII)


def data_key(value: str) -> str:
    """Read a key in the data of a Secret or ConfigMap (Kubernetes, ``validation.IsConfigMapKey``)."""
    key = value.strip()
    if len(key) > LONGEST_DATA_KEY:
        raise InvalidValue(f"the key has {len(key)} characters", f"write at most {LONGEST_DATA_KEY}")
    if not _DATA_KEY.fullmatch(key) or key == "." or key.startswith(".."):
        right = "write letters, digits, '-', '_' and '.', but not '..' at the start"
        raise InvalidValue(f"{value!r} is not a key of a Secret", right)
    return key


_VARIABLE = pattern(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def variable_name(value: str) -> str:
    """Read the name of an environment variable."""
    if not _VARIABLE.fullmatch(value):
        raise InvalidValue(f"{value!r} is not a name of a variable", "write letters, digits and '_', no digit first")
    return value


def variable_prefix(value: str) -> str:
    """Read a prefix of the names of environment variables."""
    return variable_name(value.strip())


SIGNALS = {
    "SIGHUP": 1,
    "SIGINT": 2,
    "SIGQUIT": 3,
    "SIGUSR1": 10,
    "SIGUSR2": 12,
    "SIGTERM": 15,
    "SIGCONT": 18,
    "SIGWINCH": 28,
}
"""The signals that make applications reload or stop, with their numbers on Linux (signal(7))."""


def signal_name(value: str) -> str:
    """Read a signal such as ``SIGHUP``, ``HUP`` or ``1``; the result is the long form."""
    word = value.strip().upper()
    for name, number in SIGNALS.items():
        if word in {name, name.removeprefix("SIG"), str(number)}:
            return name
    raise InvalidValue(f"{value!r} is not a signal to reload on", f"write one of {', '.join(SIGNALS)}")


def loopback_url(value: str) -> str:
    """Read an ``http`` URL of a server in the same pod."""
    if len(value) > LONGEST_URL:
        raise InvalidValue(f"the URL has {len(value)} characters", f"write at most {LONGEST_URL}")
    try:
        url = urlsplit(value.strip())
        host, port = url.hostname, url.port
    except ValueError:
        host, port, url = None, None, urlsplit("")
    if url.scheme != "http" or not host or url.username or url.password or port == 0 or re.search(r"\s", value.strip()):
        raise InvalidValue(f"{value!r} is not a URL to notify", "write http://127.0.0.1:8080/reload")
    if not value.isascii():
        raise InvalidValue(f"{value!r} has characters outside of ASCII", "write them percent-encoded, such as %C3%A4")
    if not _is_loopback(host):
        raise InvalidValue(f"{value!r} leaves the pod", f"write http://127.0.0.1:{port or 80}{url.path or '/'}")
    return value.strip()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
