"""What Keeper Injector's annotations mean: grammar, injection plan and secret file formats."""


def __getattr__(name: str) -> str:
    """Serve ``__version__`` from the installed metadata, read only when somebody asks: it costs 20 ms."""
    if name != "__version__":
        raise AttributeError(name)
    from importlib.metadata import version

    return version("keeper-injector-common")
