"""Renders templates in processes that can open no file and no socket, and that end at their deadline.

A refresh whose plan has templates forks a template server before it fetches anything, so that no secret is in its memory.
The server imports the engine when the first template is to be rendered, and forks for each template. That child
lowers its limits, and only then renders. A hostile or broken template can use up the child's own seconds and memory, but it
cannot read anything or send it anywhere. No process executes a program, because exec would make it dumpable again: until it
had hardened itself, other processes of its user could read the KSM configuration through /proc.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keeper_injector_agent.delivery.container_memory import available_memory, own_data
from keeper_injector_agent.hardening import harden_process
from keeper_injector_common.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keeper_injector_common.records import JsonValue, RenderTemplate

DEADLINE = 15.0
"""Seconds for one template."""
_CPU_SECONDS = 10
_MEMORY_BYTES = 512 * 1024 * 1024
_RESERVED_BYTES = 16 * 1024 * 1024
# What stays free of the container's memory limit while a template is rendered: for the pages that the child shares with its parent
# until one of them writes, and for the output in the parent.
_LARGEST_OUTPUT = 8 * 1024 * 1024
_BLOCK = 65536
_MOST_DESCRIPTORS = 4096


@contextmanager
def template_server() -> Iterator[RenderTemplate]:
    """Yield a function that renders templates in a process without secrets; call this before any secret is in memory."""
    request_in, request_out = os.pipe()
    result_in, result_out = os.pipe()
    server = os.fork()
    if server == 0:
        _become_server(request_in, result_out)
    os.close(request_in)
    os.close(result_out)
    with os.fdopen(request_out, "wb") as requests, os.fdopen(result_in, "rb") as results:
        try:
            yield lambda source, data: _render(requests, results, source, data)
        finally:
            os.kill(server, signal.SIGKILL)  # it renders nothing now, or something that nobody will read
            os.waitpid(server, 0)


def _render(requests: Any, results: Any, source: str, data: Mapping[str, JsonValue]) -> str:
    """Return the output of the template *source* for *data*; raises TemplateError with line and function but no value."""
    try:
        requests.write(json.dumps({"source": source, "data": data}).encode() + b"\n")
        requests.flush()
        result = json.loads(results.readline())
    except (OSError, ValueError):
        raise TemplateError("template, rendering: its process has ended; it may be out of memory") from None
    if "error" in result:
        raise TemplateError(result["error"])
    return str(result["text"])


def _become_server(requests: int, results: int) -> None:
    """Render one template for each line of JSON from *requests*, and write one line of JSON to *results* for each."""
    try:
        os.dup2(requests, 0)
        os.dup2(results, 1)
        os.closerange(3, _MOST_DESCRIPTORS)
        harden_process()
        with os.fdopen(0, "rb") as lines:
            for line in lines:
                _write(1, _result_of_child(line) + b"\n")
    finally:
        os._exit(0)


def _result_of_child(request: bytes) -> bytes:
    """Fork a child that renders one template, and return what it writes; it has until the deadline."""
    from keeper_injector_common.records import templates

    until = time.monotonic() + DEADLINE
    templates.load_engine()
    memory = _memory_of_child()
    result_in, result_out = os.pipe()
    child = os.fork()
    if child == 0:
        _become_child(request, result_out, memory)
    os.close(result_out)
    result = b""
    while select.select([result_in], [], [], max(0.0, until - time.monotonic()))[0]:
        block = os.read(result_in, _BLOCK)
        if not block:
            break
        result += block
    else:
        result = _error(f"not finished within {DEADLINE:.0f} s; simplify it")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(result_in)
    return result or _error(
        f"used more than {memory >> 20} MiB or {_CPU_SECONDS} s of CPU; "
        "simplify it, or raise keeper.security/agent-limits-memory"
    )


def _memory_of_child() -> int:
    """Return the bytes that a child may use besides what it has from its parent.

    They are fewer than what is left of the container's memory limit. The kernel would kill all processes of the container for a
    template that exceeds it, and the agent could not report why.
    """
    available = available_memory()
    return _MEMORY_BYTES if available is None else min(_MEMORY_BYTES, max(0, available - _RESERVED_BYTES))


def _become_child(request: bytes, result: int, memory: int) -> None:
    """Render one template as the child, write the result as JSON, and exit."""
    from keeper_injector_common.records import templates

    try:
        restrict_process(memory)
        given = json.loads(request)
        try:
            text = templates.render_template(given["source"], given["data"])
        except TemplateError as error:
            _write(result, json.dumps({"error": str(error)}).encode())
        else:
            small = len(text) <= _LARGEST_OUTPUT
            more = _error(f"more than {_LARGEST_OUTPUT >> 20} MiB of output; simplify it")
            _write(result, json.dumps({"text": text}).encode() if small else more)
    finally:
        os._exit(0)  # without a traceback, which might contain a value


def _error(cause: str) -> bytes:
    return json.dumps({"error": f"template, rendering: {cause}"}).encode()


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def restrict_process(memory: int = _MEMORY_BYTES) -> None:
    """Irrevocably give up opening files and sockets, starting processes, and using more than *memory* further bytes."""
    harden_process()
    data = own_data() + memory
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
