"""What a process gives up before it holds a secret."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Leave no core dump, not even through a pipe, and let no other process of the user look into this one.

    The limit alone does not stop a core pattern that is a program (core(5)); a process that is not dumpable has no core, and
    its memory, environment and root belong to root (proc(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
