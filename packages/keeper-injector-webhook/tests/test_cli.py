"""``keeper-injector-webhook``: the command line of the server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

IMPORT_ALL = """
import pkgutil, sys
import keeper_injector_webhook
for module in pkgutil.walk_packages(keeper_injector_webhook.__path__, "keeper_injector_webhook."):
    if module.name.split(".")[1] not in ("preview", "checks", "cluster_check"):
        __import__(module.name)
print(*sys.modules)
"""


def test_the_server_imports_no_commands() -> None:
    """No module of the webhook imports the command line of common, except what ``keeper-injector`` loads from here."""
    imported = subprocess.check_output([sys.executable, "-c", IMPORT_ALL], text=True).split()
    assert "keeper_injector_webhook.serving.server" in imported
    assert [name for name in imported if name.startswith("keeper_injector_common.cli")] == []
    assert not {"keeper_injector_webhook.preview", "keeper_injector_webhook.checks"} & set(imported)


def test_serve_does_not_import_preview(tmp_path: Path) -> None:
    """The process that serves imports neither ``preview`` nor what only it needs."""
    script = "import sys; from keeper_injector_webhook.cli import main; code = main(); print(code, *sys.modules)"
    arguments = ("serve", "--certificates", str(tmp_path), "--settings", str(tmp_path / "missing.yaml"))
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    code, *imported = done.stdout.split()
    assert (int(code), done.stderr.startswith("keeper-injector-webhook: ")) == (os.EX_CONFIG, True)
    assert "keeper_injector_webhook.serving.server" in imported
    assert not {"jsonpatch", "keeper_injector_webhook.preview", "keeper_injector_common.cli"} & set(imported)
