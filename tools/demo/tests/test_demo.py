"""The demo as its user sees it, and its pod runner's strictness."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo.console import StepFailedError
from demo.pods import PodRunner

TOOLS = Path(__file__).parents[2]
README = TOOLS.parent / "README.md"


def test_every_step_is_verified() -> None:
    """The demo exits with 0 and shows the rotated value reaching the application under the same PID."""
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    command = [sys.executable, "-m", "demo"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"shop \(PID (\d+), the same\) uses [0-9a-f]{12}", result.stdout)
    assert result.stdout.count(" ok ") == 8
    assert "\033[" not in result.stdout
    assert without_numbers(result.stdout) == without_numbers(transcript())


def transcript() -> str:
    """Return what the demo prints, as the README shows it."""
    (found,) = re.findall(
        r"^```console\n\$ \./tools/run demo\n(.+?)^```$", README.read_text(), re.DOTALL | re.MULTILINE
    )
    return str(found)


def without_numbers(text: str) -> str:
    """Return *text* without what differs between runs and users: ports, times, process and user IDs, sizes."""
    return re.sub(r"\d+(\.\d+)?", "#", text)


def pod(command: list[str]) -> dict[str, object]:
    """Return a pod with one init container and one container that sleeps."""
    return {
        "metadata": {},
        "spec": {
            "initContainers": [{"name": "first", "image": "none", "command": command}],
            "containers": [{"name": "second", "image": "none", "command": ["sleep", "60"]}],
        },
    }


def test_a_failed_init_container_keeps_the_application_from_starting() -> None:
    """What the init container said is in the message, and nothing runs."""
    runner = PodRunner(pod(["sh", "-c", "echo no secret today; exit 3"]), {}, {})
    with pytest.raises(StepFailedError, match=r"first ended with 3:\nno secret today"):
        runner.start()
    assert runner.processes == []
    runner.stop()


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    """Directories and processes of a pod are gone after it stopped."""
    runner = PodRunner(pod(["touch", str(tmp_path / "ran")]), {}, {})
    runner.start()
    process = runner.process("second").popen
    codes = runner.stop()
    assert (tmp_path / "ran").exists()
    assert codes == {"second": -15}
    assert process.poll() is not None
    assert not runner.directory.exists()
    assert not runner.memory.exists()
