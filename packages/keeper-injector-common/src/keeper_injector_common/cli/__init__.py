"""The ``keeper-injector`` command line, for people and pipelines that check manifests before a cluster sees them.

``program`` parses the arguments, ``commands`` lists the commands, and each command has its own module or folder.
"""

from keeper_injector_common.cli.program import main

__all__ = ["main"]
