"""Fetch secrets from Keeper Secrets Manager into a pod, and keep them fresh."""


def __getattr__(name: str) -> str:
    """Serve ``__version__`` from the installed metadata, read only when somebody asks: it costs 20 ms."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("keeper-injector-agent")
