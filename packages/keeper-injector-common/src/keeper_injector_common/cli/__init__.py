"""The ``keeper-injector`` command line, for people and pipelines that check manifests before a cluster sees them.

``program`` parses the arguments, ``commands`` lists the commands, and each command is a module or a folder of its own.
"""

from keeper_injector_common.cli.program import main

__all__ = ["main"]
