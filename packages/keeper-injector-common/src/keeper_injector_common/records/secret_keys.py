"""The keys of a Kubernetes Secret, made from the names of fields and attachments."""

from __future__ import annotations

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue, data_key
from keeper_injector_common.patterns import pattern

_NOT_IN_KEYS = pattern(r"[^-._a-zA-Z0-9]")
"""Characters that a key of a Secret cannot have (Kubernetes, ``validation.IsConfigMapKey``)."""


def secret_key(origin: str, name: str) -> str:
    """Return the key of a Secret for the value called *name*; characters that keys cannot have become ``_``.

    Raises FormatError if there is no such key. *origin* says where the value comes from.

    >>> secret_key("field 'API key' of record 'db'", "API key")
    'API_key'
    """
    try:
        return data_key(_NOT_IN_KEYS.sub("_", name))
    except InvalidValue as error:
        raise FormatError(f"{origin} cannot be a key, because {error.found}") from None
