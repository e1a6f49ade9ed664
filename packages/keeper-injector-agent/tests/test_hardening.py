"""Hardening: what a process can no longer do, and what others can no longer see of it."""

from __future__ import annotations

import subprocess
import sys

ASK = """
import ctypes, resource
from keeper_injector_agent.hardening import harden_process
harden_process()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_hardened_process_dumps_no_core() -> None:
    """The process is not dumpable (PR_GET_DUMPABLE is 0), and its core size limit is zero."""
    assert subprocess.check_output([sys.executable, "-c", ASK], text=True).strip() == "0 (0, 0)"
