"""Control from other processes: one protected URL that changes the vault, injects faults and returns counts."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from local_keeper.faults import Fault
from local_keeper.operations import FILE_OPERATIONS, OPERATIONS

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
FAULTABLE = ("*", *OPERATIONS, *FILE_OPERATIONS)
"""What a fault can apply to; ``*`` is everything."""
MAXIMUM_NUMBER = 1_000_000
"""The largest number of a fault: a status, seconds, or requests."""


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
    name, operation, times = given["fault"], given.get("operation", "*"), given.get("times", 1)
    if name not in FAULTS:
        raise ValueError(f"no fault {name!r}; there are {', '.join(FAULTS)}")
    if operation not in FAULTABLE:
        raise ValueError(f"no operation {operation!r}; there are {', '.join(FAULTABLE)}")
    if times is not None and (not _is_number(times) or times != int(times) or times < 1):
        raise ValueError(f"times {times!r} is not a whole number from 1")
    arguments = given.get("arguments", [])
    if wrong := [item for item in arguments if not _is_number(item)]:
        raise TypeError(f"{name}: {wrong[0]!r} is not a number from 0 to {MAXIMUM_NUMBER}")
    fault = FAULTS[name](*arguments)
    if fault.status not in range(200, 600):
        raise ValueError(f"{fault.status!r} is not an HTTP status from 200 to 599")
    keeper.fault(fault, operation, times)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAXIMUM_NUMBER


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
