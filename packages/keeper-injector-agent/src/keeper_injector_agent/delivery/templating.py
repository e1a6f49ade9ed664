"""Renders templates in a child process that can open no file and no socket, and that ends at its deadline.

The child imports the engine, then lowers its limits, and only then receives source and data through a pipe. A hostile or
broken template can use up the child's own seconds and memory, but it cannot read anything or send it anywhere.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from typing import TYPE_CHECKING

from keeper_injector_agent.hardening import harden_process
from keeper_injector_common.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records import JsonValue

DEADLINE = 15.0
"""Seconds for one template, including the start of its process."""
_CPU_SECONDS = 10
_MEMORY_BYTES = 512 * 1024 * 1024
_LARGEST_OUTPUT = 8 * 1024 * 1024


def render_in_child(source: str, data: Mapping[str, JsonValue]) -> str:
    """Return the output of the template *source* for *data*; raises TemplateError with line and function but no value."""
    request = json.dumps({"source": source, "data": data}).encode()
    command = [sys.executable, "-I", "-m", __name__]
    try:
        child = subprocess.run(command, input=request, capture_output=True, timeout=DEADLINE, check=False, env={})
    except subprocess.TimeoutExpired:
        raise TemplateError(f"template, rendering: not finished within {DEADLINE:.0f} s", "simplify it") from None
    try:
        result = json.loads(child.stdout)
    except ValueError:
        raise TemplateError(
            f"template, rendering: used more than {_MEMORY_BYTES >> 20} MiB or {_CPU_SECONDS} s of CPU", "simplify it"
        ) from None
    if "error" in result:
        raise TemplateError(result["error"])
    return str(result["text"])


def main() -> int:
    """Render one template as the child: read JSON with source and data from stdin, write JSON with the result to stdout."""
    from keeper_injector_common.records import templates

    templates.load_engine()
    restrict_process()
    request = json.loads(sys.stdin.buffer.read())
    try:
        result = {"text": templates.render_template(request["source"], request["data"])}
    except TemplateError as error:
        result = {"error": str(error)}
    if len(result.get("text", "")) > _LARGEST_OUTPUT:
        result = {"error": f"template, rendering: more than {_LARGEST_OUTPUT >> 20} MiB of output; simplify it"}
    sys.stdout.write(json.dumps(result))
    return 0


def restrict_process() -> None:
    """Irrevocably give up opening files and sockets, starting processes, and using more than a bounded amount of memory."""
    harden_process()
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
