"""``keeper-injector migrate``: rewrites manifests that were written for other injectors.

One module for each tool that is migrated from. To add a tool:

1. Write a module with a function that returns what takes the place of an annotation
   (:class:`~keeper_injector_common.cli.migrate.counterparts.Annotations`), as in ``vault_k8s``, or of an object
   (:class:`~keeper_injector_common.cli.migrate.counterparts.Document`), as in ``external_secrets``.
2. Add the function to those in ``rewriting``.
"""

__all__: list[str] = []
