"""Derives the agent's user and the mode of its files, so that the application can read them and nobody else can."""

from __future__ import annotations

from collections.abc import Collection

import attrs

from keeper_injector_common.annotations.request import InjectionRequest

AGENT_UID = 65532
"""The agent's user if the application's user is unknown. Images usually leave this number unused."""


@attrs.frozen
class Identity:
    """The agent's user and group, and the mode of its files."""

    uid: int
    gid: int
    mode: int
    known: bool = True
    """Whether the agent runs as the user of all containers that receive its files and keep running."""


def derive(
    request: InjectionRequest,
    users: Collection[object],
    groups: Collection[object],
    *,
    fs_group: object,
    earlier_users: Collection[object] = (),
) -> Identity:
    """Return the identity for a pod.

    *users* and *groups* are ``runAsUser`` and ``runAsGroup`` of the containers that receive files and keep running; None if it is
    not set. *earlier_users* are the users of init containers that receive files and end.

    - If all containers that keep running have one user, the agent runs as that user, so that it can signal them. If the init
      containers have the same user, the files have mode 0400.
    - Otherwise, if the pod has an *fs_group*, the files have mode 0440: the volume gives them that group.
    - Otherwise the files have mode 0444. Other containers still cannot read them, because they do not mount the volume.

    Root counts as unknown, because the agent must not run as root. A root process without capabilities can read 0444 too.
    The annotations ``run-as-user``, ``run-as-group`` and ``file-mode`` override these rules.
    """
    uid, gid = _common(users), _common(groups)
    shared = 0o444 if fs_group is None else 0o440
    alone = uid and _common([*users, *earlier_users]) == uid
    mode = 0o400 if alone and request.run_as_user in {None, uid} else shared
    agent_uid = request.run_as_user or uid or AGENT_UID
    return Identity(
        known=bool(uid) and agent_uid == uid,
        uid=agent_uid,
        gid=request.run_as_group or gid or agent_uid,
        mode=mode if request.file_mode is None else request.file_mode,
    )


def _common(found: Collection[object]) -> int | None:
    """Return the number that all of *found* are; None if they differ or one of them is not set."""
    numbers = set(map(_number, found))
    return numbers.pop() if len(numbers) == 1 else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
