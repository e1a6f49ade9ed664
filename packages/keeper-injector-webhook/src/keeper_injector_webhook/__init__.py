"""Admission webhook that injects Keeper secrets into annotated pods."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return ``__version__`` from the installed metadata, read on demand because that takes 20 ms."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("keeper-injector-webhook")
