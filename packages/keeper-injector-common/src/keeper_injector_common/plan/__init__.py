"""The plan tells the agent what to do. The webhook writes it as versioned JSON; it contains no secret.

:mod:`.model`, :mod:`.delivery` and :mod:`.credentials` define its values, and the metadata of their fields declares the JSON. :mod:`.wire`
reads and writes it. :mod:`.paths` has the paths in the agent's containers. :mod:`.attrs_codec`, :mod:`.codec` and :mod:`.scalars`
convert values to and from JSON.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.plan.wire import dumps, loads

__all__ = ["Plan", "dumps", "loads"]


def __getattr__(name: str) -> object:
    """Import the public names when they are first used: the startup probe imports only :mod:`.paths`, every second."""
    if name not in __all__:
        raise AttributeError(name)
    from keeper_injector_common.plan import wire

    return getattr(wire, name)
