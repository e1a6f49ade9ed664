"""Requests and problems of annotations that a test writes as keyword arguments."""

import pytest

from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import AnnotationsError

ONE_SECRET = {f"{PREFIX}inject": "true", f"{PREFIX}secret": "db"}


def request_of(**annotations: str) -> InjectionRequest:
    """Return the request of annotations whose names have ``_`` for ``-``; ``inject`` is true unless set."""
    return parse_request(keys(**{"inject": "true", **annotations}))


def problems_of(**annotations: str) -> list[str]:
    """Return the problems of annotations whose names have ``_`` for ``-``, without the prefix; ``inject`` is true unless set."""
    with pytest.raises(AnnotationsError) as caught:
        request_of(**annotations)
    return [str(problem).removeprefix(PREFIX) for problem in caught.value.problems]


def keys(**annotations: str) -> dict[str, str]:
    """Return annotations by their whole keys."""
    return {PREFIX + name.replace("_", "-"): text for name, text in annotations.items()}
