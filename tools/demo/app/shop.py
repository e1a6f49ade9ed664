"""The demo's application: it reads its password from a file and notices when the file says something new.

It knows nothing of Keeper. POD_ROOT stands for the container's root directory, as the demo runs it without a container.
"""

import hashlib
import json
import os
import sys
import time
from pathlib import Path


def password(path: Path) -> str:
    """Return the password in the file."""
    return str(json.loads(path.read_text(encoding="utf-8"))["password"])


def fingerprint(secret: str) -> str:
    """Return what may be shown of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


def main() -> None:
    """Say which password is in use, at the start and whenever it changes."""
    path = Path(os.environ.get("POD_ROOT", "/")) / sys.argv[1].lstrip("/")
    current = ""
    while True:
        found = fingerprint(password(path))
        if found != current:
            print(json.dumps({"pid": os.getpid(), "password": found, "first": not current}), flush=True)
            current = found
        time.sleep(0.1)


if __name__ == "__main__":
    main()
