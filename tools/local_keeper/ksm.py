"""Keeper's command line ``ksm`` against local Keeper: ``python tools/local_keeper/ksm.py secret list``.

``ksm`` (1.5) ignores the server's public key in the configuration and uses key 10 of a built-in table, whose
private half only Keeper has. This puts local Keeper's key there (serve with ``--key-id 10``) and changes nothing else.
"""

import base64
import json
import os
import sys


def main() -> int:
    """Run ``ksm`` with the arguments of this process."""
    # This runs as a file, so that ksm's environment does not need our packages. ksm must not import from this directory.
    del sys.path[0]
    from keeper_secrets_manager_cli.__main__ import main as ksm  # type: ignore[import-not-found] # installed beside ksm
    from keeper_secrets_manager_core.keeper_globals import keeper_public_keys

    configuration = os.environ.get("KSM_CONFIG")
    if not configuration:
        print(
            "ksm.py: KSM_CONFIG is not set; set it to the output of: python -m local_keeper config",
            file=sys.stderr,
        )
        return 64
    keeper_public_keys["10"] = json.loads(base64.b64decode(configuration))["serverPublicKey"]
    ksm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
