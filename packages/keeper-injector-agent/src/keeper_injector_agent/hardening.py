"""Restrictions that a process puts on itself before it handles a secret. Imports only C modules, so that nothing delays it."""

from __future__ import annotations

import _ctypes  # the Python module around it takes 2 ms, in which the process could be inspected
import resource

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""


def harden_process() -> None:
    """Disable core dumps, and keep other processes of the same user from reading this one's memory, environment and files.

    The core size limit alone is not enough: it does not apply to a core pattern that pipes to a program (core(5)). A
    process that is not dumpable writes no core at all, and its files in /proc belong to root (proc(5)). Children inherit
    that from fork, but not through exec.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: this program itself
    _ctypes.call_cdeclfunction(prctl, (_PR_SET_DUMPABLE, 0, 0, 0, 0))
