"""Restrictions that a process puts on itself before it handles a secret."""

from __future__ import annotations

import ctypes
import resource

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""


def harden_process() -> None:
    """Disable core dumps, and keep other processes of the same user from reading this one's memory and environment.

    The core size limit alone is not enough: it does not apply to a core pattern that pipes to a program (core(5)). A
    process that is not dumpable writes no core at all, and its files in /proc belong to root (proc(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
