"""``python -m cluster.watch NAME "PID STARTED" OWNER``: stop a cluster when its owner has ended for any reason."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cluster import node
from cluster.places import existing
from cluster.processes import Process, wait_for_any


def main(arguments: Sequence[str]) -> int:
    """Wait for the owner, then stop the cluster unless one with the same name was started since."""
    name, text, owner_pid = arguments
    process, owner = Process.parse(text), Process.of(int(owner_pid))
    if owner is not None:
        wait_for_any(process, owner)
    place = existing(name)
    if place is not None and node.process_of(place) == process:
        node.down(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
