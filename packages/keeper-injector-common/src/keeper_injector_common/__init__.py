"""What the agent, the webhook and the ``keeper-injector`` command share: annotations, plans, records and file formats."""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Return ``__version__`` from the metadata of the installed package, only on request because it takes 20 ms."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("keeper-injector-common")
