"""Keeper's command line ``ksm`` against local Keeper: ``python tools/local_keeper/ksm.py secret list``.

``ksm`` (1.5) ignores the server's public key in the configuration and uses key 10 of a built-in table, whose
private half only Keeper has. This puts local Keeper's key there (serve with ``--key-id 10``) and changes nothing else. The key comes
from ``KSM_CONFIG``, or from the file that a server on this machine leaves in its state directory (``LOCAL_KEEPER_STATE``).
"""

import base64
import json
import os
import sys
import tempfile
from pathlib import Path

STATE = Path(os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir())) / f"local-keeper-{os.getuid()}"
"""Where ``local-keeper serve`` leaves its files, as in ``cli.py``: this file runs without local Keeper's package."""


def insert_key() -> None:
    """Put local Keeper's key into the SDK's table. Raises ValueError with what to do."""
    from keeper_secrets_manager_core.keeper_globals import keeper_public_keys

    left = Path(os.environ.get("LOCAL_KEEPER_STATE", STATE)) / "config"
    try:
        encoded = os.environ.get("KSM_CONFIG") or left.read_text(encoding="ascii")
    except FileNotFoundError:
        raise ValueError(
            f"there is no KSM_CONFIG, and no server left {left}; run: local-keeper serve --key-id 10"
        ) from None
    try:
        configuration = json.loads(base64.b64decode(encoded))
        key_id, key = configuration["serverPublicKeyId"], configuration["serverPublicKey"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            "KSM_CONFIG is not a configuration of local Keeper; set it to the output of: local-keeper config"
        ) from None
    if key_id != "10":
        raise ValueError(f"ksm knows key 10, and the server has key {key_id}; run: local-keeper serve --key-id 10")
    keeper_public_keys["10"] = key


def main() -> int:
    """Run ``ksm`` with the arguments of this process."""
    # This runs as a file, so that ksm's environment does not need our packages. ksm must not import from this directory.
    del sys.path[0]
    try:
        insert_key()
    except ValueError as error:
        print(f"ksm.py: {error}", file=sys.stderr)
        return 64
    from keeper_secrets_manager_cli.__main__ import main as ksm  # type: ignore[import-not-found] # installed beside ksm

    ksm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
