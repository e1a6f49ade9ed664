"""Fetches secrets from Keeper Secrets Manager into a pod, and keeps them up to date.

The public interface is the command ``keeper-injector-agent``; modules may change in every release.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return ``__version__`` from the installed metadata. It is read only on access, because that takes 20 ms."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("keeper-injector-agent")
