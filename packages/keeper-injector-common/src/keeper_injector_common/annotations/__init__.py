"""The annotations of a pod: which there are, how to read them, and the request that they make.

::

    annotations + defaults ─Reader→ values ─sources, config→ files, folders, variables, Secrets ─parse_request→ InjectionRequest

``table`` declares every annotation, and is the only place that does. The agent does not import this package: it reads a plan.
"""

from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.annotations.parser import parse_request, wants_injection
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import ANNOTATIONS, PREFIX, Annotation

__all__ = [
    "ANNOTATIONS",
    "PREFIX",
    "Annotation",
    "Defaults",
    "InjectionRequest",
    "parse_request",
    "wants_injection",
]
