"""``keeper-injector migrate``: rewrites manifests that were written for other injectors.

One module for each tool that is migrated from. To add a tool:

1. Write a module with a ``TOOL``: a function that returns what a pod gets
   (:class:`~keeper_injector_common.cli.migrate.wanted.Wanted`), or what takes the place of an object
   (:class:`~keeper_injector_common.cli.migrate.wanted.Document`).
2. Add it to ``tools``.
"""

__all__: list[str] = []
