"""The command line: start local Keeper, and change, break and observe it from another shell."""

from __future__ import annotations

import argparse
import json
import os
import signal
import ssl
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from local_keeper.control import FAULTS
from local_keeper.server import LocalKeeper

STATE = Path(os.environ.get("XDG_RUNTIME_DIR", tempfile.gettempdir())) / f"local-keeper-{os.getuid()}"
ADDRESS = "address.json"

EXAMPLES = """\
examples:
  local-keeper serve                                   with the sample vault, until Ctrl-C
  local-keeper page                                    the address of the web page, for a browser on this machine
  export KSM_CONFIG=$(local-keeper config)             what Keeper's own clients need ...
  export REQUESTS_CA_BUNDLE=$(local-keeper ca)         ... and the CA that they must trust
  local-keeper set database-credentials password new   a rotation
  local-keeper fault throttled --operation get_secret --times 3
  local-keeper outage 30                               every request is answered with 503 for half a minute
  local-keeper stats                                   requests by operation
"""


class ControlError(Exception):
    """The server is not running, or it rejects a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _serve(options) if options.command == "serve" else _control(options)
    except ControlError as error:
        print(f"local-keeper: {error}", file=sys.stderr)
        return 69
    except (OSError, ValueError) as error:
        print(f"local-keeper: {error}", file=sys.stderr)
        return 74


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="local-keeper",
        description="A local server that speaks Keeper Secrets Manager's protocol.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, default=STATE, help="where the server leaves its address (%(default)s)")
    parser.add_argument("--output", choices=["text", "json"], default="text", help="for people or for programs")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve",
        help="start a server with a web page, until Ctrl-C",
        description="Start a server, until Ctrl-C. The web page is at http://127.0.0.1:PORT/, for browsers on this machine "
        "only: it shows records, faults and the requests of clients, and changes them. serve prints the address at the start, "
        "and `local-keeper page` prints it again.",
    )
    serve.add_argument("--vault", type=Path, help="YAML file with the vault's contents (default: a sample)")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    serve.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    serve.add_argument("--name", action="append", default=[], help="another name of the server; the first is announced")
    page = serve.add_mutually_exclusive_group()
    page.add_argument("--page-port", type=int, default=0, help="port of the web page (default: a free one)")
    page.add_argument("--no-page", action="store_const", dest="page_port", const=None, help="serve no web page")
    serve.add_argument("--key-id", type=int, default=99, help="id of the server's key (%(default)s; for ksm: 10)")

    config = commands.add_parser("config", help="print a bound KSM configuration (base64)")
    config.add_argument("device", nargs="?", default="default", help="one device for each name (%(default)s)")
    commands.add_parser("ca", help="print the path of the CA that clients must trust")
    commands.add_parser("page", help="print the address of the web page")
    commands.add_parser("token", help="print a fresh one-time token")
    commands.add_parser("stats", help="print how many requests came, by operation")
    commands.add_parser("clear", help="forget all faults and end an outage")
    commands.add_parser("rotate-key", help="ask clients for another key of the server")

    change = commands.add_parser("set", help="change a field of a record")
    change.add_argument("record", help="title or UID")
    change.add_argument("field", help="label or type")
    change.add_argument("value", help="the new value")
    renew = commands.add_parser("renew", help="give a record's server.pem and server.key new content")
    renew.add_argument("record", help="title or UID")
    remove = commands.add_parser("remove", help="remove a record, or stop sharing it")
    remove.add_argument("record", help="title or UID")

    fault = commands.add_parser("fault", help="let the next requests fail")
    fault.add_argument("fault", choices=sorted(FAULTS))
    fault.add_argument(
        "arguments", nargs="*", type=float, help="throttled: status [seconds]; status: code; slow: seconds"
    )
    fault.add_argument("--operation", default="*", help="such as get_secret, get_folders, file_download (default: any)")
    times = fault.add_mutually_exclusive_group()
    times.add_argument("--times", type=int, default=1, help="how many requests (%(default)s)")
    times.add_argument("--always", action="store_const", dest="times", const=None, help="until clear")

    outage = commands.add_parser("outage", help="answer everything with 503 for some time")
    outage.add_argument("seconds", type=float)
    rule = commands.add_parser("throttle-rule", help="switch Keeper's rule on: so many requests in 10 s; none: off")
    rule.add_argument("limit", type=int, nargs="?")
    return parser


def _serve(options: argparse.Namespace) -> int:
    vault: Path | None = options.vault
    if unknown := [name for name in options.name if "$(" in name]:
        # A kubelet leaves variables as they are that it does not know yet; a restart is what helps.
        raise ValueError(f"--name {unknown[0]}: is not a name; it is probably a variable without a value")
    with LocalKeeper.start(
        vault,
        host=options.host,
        port=options.port,
        names=options.name,
        directory=options.state,
        key_id=options.key_id,
        page_port=options.page_port,
    ) as keeper:
        address = {"url": f"https://127.0.0.1:{keeper.port}", "token": keeper.control_token, "page": keeper.page_url}
        _write_private(options.state / ADDRESS, json.dumps(address))
        _write_private(options.state / "config", keeper.config())
        if options.output == "json":
            ready = {"url": keeper.url, "config": keeper.config(), "ca": str(keeper.ca_file), "page": keeper.page_url}
            print(json.dumps(ready), flush=True)
        else:
            records = ", ".join(sorted(set(keeper.vault.titles())))
            print(f"local Keeper at {keeper.url}")
            if keeper.page_url:
                print(f"web page: {keeper.page_url}")
            print(f"\nrecords: {records}\n\nIn another shell:")
            print("  export KSM_CONFIG=$(local-keeper config)")
            print(f"  export REQUESTS_CA_BUNDLE={keeper.ca_file}\n\nKSM configuration:\n{keeper.config()}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    (options.state / ADDRESS).unlink(missing_ok=True)
    return 0


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123 - an open descriptor
        stream.write(text)


def _control(options: argparse.Namespace) -> int:
    if options.command == "ca":
        result: Any = str(options.state / "ca.crt")
    elif options.command == "page":
        result = _address(options.state)["page"]
        if result is None:
            raise ControlError("the server has no web page; start it without --no-page")
    else:
        skipped = {"state", "output", "command"}
        given = {name: value for name, value in vars(options).items() if name not in skipped}
        if options.command == "fault":
            # Counts and statuses are whole numbers, times are not: 403 and 403.0 differ in JSON.
            given["arguments"] = [int(item) if item.is_integer() else item for item in options.arguments]
        result = _order(options.state, options.command, given)
    if options.output == "json":
        print(json.dumps(result))
    elif isinstance(result, dict):
        width = max((len(name) for name in result), default=0)
        for name, count in sorted(result.items()):
            print(f"{name:{width}}  {count}")
    elif result is not None:
        print(result)
    return 0


def _address(state: Path) -> dict[str, str]:
    try:
        address: dict[str, str] = json.loads((state / ADDRESS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ControlError(f"no server left its address in {state}; start one: local-keeper serve") from None
    return address


def _order(state: Path, order: str, given: dict[str, Any]) -> Any:
    address = _address(state)
    request = urllib.request.Request(
        f"{address['url']}/control",
        json.dumps({"do": order, "with": given}).encode(),
        {"Authorization": f"Bearer {address['token']}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(state / "ca.crt"))
    try:
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return json.load(answer)["result"]
    except urllib.error.HTTPError as error:
        raise ControlError(json.load(error)["error"]) from None
    except urllib.error.URLError:
        raise ControlError(f"the server at {address['url']} does not answer; start one: local-keeper serve") from None
