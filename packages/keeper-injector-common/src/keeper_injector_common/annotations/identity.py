"""As whom the agent runs and which mode its files have, so that the application can read them and others cannot; pure."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from keeper_injector_common.annotations.request import InjectionRequest

AGENT_UID = 65532
"""When the application's user is unknown: a number that no image gives to anyone else."""


@attrs.frozen
class Identity:
    """The agent's user and group, and the mode of its files."""

    uid: int
    gid: int
    mode: int
    known: bool = True
    """Whether the agent runs as the user of all applications that receive its files."""


def derive(
    request: InjectionRequest, users: Collection[object], groups: Collection[object], *, fs_group: object
) -> Identity:
    """Derive the identity from the ``runAsUser`` and ``runAsGroup`` of the receiving containers, None for an unset one.

    All of them run as one number: the agent runs as it too, files are 0400. Else, with an ``fsGroup``: 0440, as the volume
    gives the files that group. Else 0444: only the receiving containers mount the volume at all. Root counts as unknown,
    because the agent itself must not run as root; root without capabilities reads 0444 too.
    """
    uid, gid = _common(users), _common(groups)
    shared = 0o444 if fs_group is None else 0o440
    mode = 0o400 if uid and request.run_as_user in {None, uid} else shared
    agent_uid = request.run_as_user or uid or AGENT_UID
    return Identity(
        known=bool(uid) and agent_uid == uid,
        uid=agent_uid,
        gid=request.run_as_group or gid or agent_uid,
        mode=mode if request.file_mode is None else request.file_mode,
    )


def _common(found: Collection[object]) -> int | None:
    """Return the number that all have; None when they differ, or one leaves it to its image."""
    (value, *others) = list(dict.fromkeys(map(_number, found))) or [None]
    return None if others else value


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
