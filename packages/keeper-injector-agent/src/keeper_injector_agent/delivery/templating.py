"""Templates rendered in a child process that can open neither file nor socket, and that ends at its deadline.

The child imports the engine first, then lowers its limits, and only then gets source and data through a pipe: a hostile or
mistaken template can spend its own few seconds and its own memory, read nothing, and tell nobody.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from keeper_injector_agent.hardening import harden
from keeper_injector_common.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records import JsonValue

DEADLINE = 15.0
"""Seconds for one template, the imports of its process included."""
CPU_SECONDS = 10
MEMORY_BYTES = 512 * 1024 * 1024
LARGEST_OUTPUT = 8 * 1024 * 1024


def render(source: str, data: Mapping[str, JsonValue]) -> str:
    """Render *source* with *data*; raises TemplateError that names line and function and no value."""
    order = json.dumps({"source": source, "data": data}).encode()
    command = [sys.executable, "-I", "-m", __name__]
    try:
        child = subprocess.run(command, input=order, capture_output=True, timeout=DEADLINE, check=False, env={})
    except subprocess.TimeoutExpired:
        raise TemplateError(f"template, rendering: not done within {DEADLINE:.0f} s; simplify it") from None
    try:
        answer = json.loads(child.stdout)
    except ValueError:
        raise TemplateError(
            f"template, rendering: went beyond {MEMORY_BYTES >> 20} MiB or {CPU_SECONDS} s of CPU; simplify it"
        ) from None
    if "error" in answer:
        raise TemplateError(answer["error"])
    return str(answer["text"])


def main() -> int:
    """Render one template as a child: the order on standard input, the answer on standard output, both JSON."""
    from keeper_injector_common.records import templates

    templates.load_engine()
    close_doors()
    order = json.loads(sys.stdin.buffer.read())
    try:
        answer = {"text": templates.render_template(order["source"], order["data"])}
    except TemplateError as error:
        answer = {"error": str(error)}
    if len(answer.get("text", "")) > LARGEST_OUTPUT:
        answer = {"error": f"template, rendering: more than {LARGEST_OUTPUT >> 20} MiB of output; simplify it"}
    sys.stdout.write(json.dumps(answer))
    return 0


def close_doors() -> None:
    """Give up, for good, the right to open anything, to start processes, and to grow without bound."""
    harden()
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
