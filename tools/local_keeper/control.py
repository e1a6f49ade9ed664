"""Control from outside of the process: one protected address that changes the vault, arms faults and tells counts."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from local_keeper.faults import Fault

if TYPE_CHECKING:
    from starlette.requests import Request

    from local_keeper.server import LocalKeeper

FAULTS: dict[str, Callable[..., Fault]] = {
    "throttled": Fault.throttled,
    "status": Fault.http,
    "slow": Fault.slow,
    "hang": Fault.hang,
    "cut": Fault.cut,
    "truncate": Fault.truncate,
    "corrupt": Fault.corrupt,
    "empty": Fault.empty,
    "revoked": Fault.revoked,
    "expired-file-url": Fault.expired_file_url,
}


def route(keeper: LocalKeeper) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of the control address of *keeper*."""

    async def handle(request: Request) -> Response:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), keeper.control_token.encode()):
            return JSONResponse({"error": "wrong control token"}, 403)
        order = await request.json()
        try:
            return JSONResponse({"result": perform(keeper, order["do"], order.get("with", {}))})
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": str(error).strip('"')}, 400)

    return handle


def perform(keeper: LocalKeeper, order: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Carry out one order; raises KeyError, TypeError or ValueError with a sentence."""
    match order:
        case "set":
            return keeper.set_field(given["record"], given["field"], given["value"])
        case "remove":
            return keeper.remove_record(given["record"])
        case "fault":
            make = FAULTS[given["fault"]]
            return keeper.fault(make(*given.get("arguments", [])), given.get("operation", "*"), given.get("times", 1))
        case "clear":
            return keeper.clear_faults()
        case "outage":
            return keeper.outage(float(given["seconds"]))
        case "throttle-rule":
            return keeper.throttle_rule(given.get("limit"))
        case "rotate-key":
            return keeper.rotate_server_key()
        case "token":
            return keeper.token()
        case "config":
            return keeper.config(given.get("device", "default"))
        case "stats":
            return keeper.requests
    raise ValueError(f"unknown order {order!r}")
