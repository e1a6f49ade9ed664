"""The certificate job: runs of the program that fail."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from keeper_injector_webhook.certificates.runner import CertificateJob
from keeper_injector_webhook.metrics import Metrics


def test_a_program_that_cannot_be_started_is_a_failed_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run whose process cannot be started has failed; it is counted and can be retried."""
    metrics = Metrics()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert asyncio.run(CertificateJob([], metrics, lambda: None).run_once()) is None
    assert b'runs_total{result="failed"} 1.0' in metrics.text()
