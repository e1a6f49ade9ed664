"""Control from other processes: one protected URL that changes the vault, injects faults and returns counts."""

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


def perform(keeper: LocalKeeper, order: str, given: dict[str, Any]) -> Any:
    """Run one command. Raises KeyError, TypeError or ValueError with a message."""
    known = _ORDERS.get(order)
    if known is None:
        raise ValueError(f"unknown order {order!r}; there are {', '.join(_ORDERS)}")
    return known(keeper, given)


def _fault(keeper: LocalKeeper, given: dict[str, Any]) -> None:
    fault = FAULTS[given["fault"]](*given.get("arguments", []))
    keeper.fault(fault, given.get("operation", "*"), given.get("times", 1))


_ORDERS: dict[str, Callable[[LocalKeeper, dict[str, Any]], Any]] = {
    "set": lambda keeper, given: keeper.set_field(given["record"], given["field"], given["value"]),
    "renew": lambda keeper, given: keeper.vault.renew(given["record"]),
    "remove": lambda keeper, given: keeper.remove_record(given["record"]),
    "fault": _fault,
    "clear": lambda keeper, _: keeper.clear_faults(),
    "outage": lambda keeper, given: keeper.outage(float(given["seconds"])),
    "throttle-rule": lambda keeper, given: keeper.throttle_rule(given.get("limit")),
    "rotate-key": lambda keeper, _: keeper.rotate_server_key(),
    "token": lambda keeper, _: keeper.token(),
    "config": lambda keeper, given: keeper.config(given.get("device", "default")),
    "stats": lambda keeper, _: keeper.requests,
}
