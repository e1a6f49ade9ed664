"""Access to Keeper: the vault port, its implementation on Keeper's SDK, and the binding of one-time tokens.

Import from the modules: the SDK takes 0.2 s to import, and only a process that speaks to Keeper may pay for it.
"""

__all__: list[str] = []
