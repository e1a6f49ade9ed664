"""A local server that speaks Keeper Secrets Manager's protocol, for the demo, tests and experiments.

Unmodified clients work against it: the SDKs for Python 17.3, JavaScript 17.5, Go 1.7, Java 17.1 and Rust 17.3, and the command
line ksm 1.5. It is not a vault: keys are lost when the process ends.
"""

from local_keeper.faults import Fault
from local_keeper.server import LocalKeeper
from local_keeper.vault import Vault

__all__ = ["Fault", "LocalKeeper", "Vault"]
