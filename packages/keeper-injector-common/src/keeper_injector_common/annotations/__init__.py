"""The annotations of a pod: which there are, how to read them, and the request that they make.

::

    annotations + defaults ─Reader→ values ─sources, config→ files, folders, variables, Secrets ─parse_request→ InjectionRequest

``table`` declares every annotation with its parser and default, ``config_keys`` the keys of the ``config`` document. ``request`` has the
values that follow from them. ``directories`` and ``identity`` answer two questions about a request that the webhook and ``explain``
both ask: which container receives which files, and as which user the agent writes them.

The agent does not import this package: it reads a plan.
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
