"""The agent's user and the mode of its files."""

import pytest
from annotation_requests import request_of

from keeper_injector_common.annotations.identity import AGENT_UID, Identity, derive


@pytest.mark.parametrize(
    ("users", "groups", "fs_group", "identity"),
    [
        ([1000, 1000], [2000], None, Identity(1000, 2000, 0o400)),
        ([1000], [None], None, Identity(1000, 1000, 0o400)),
        ([1000, 1001], [], 3000, Identity(AGENT_UID, AGENT_UID, 0o440, known=False)),
        ([1000, None], [], None, Identity(AGENT_UID, AGENT_UID, 0o444, known=False)),
        ([0], [0], None, Identity(AGENT_UID, AGENT_UID, 0o444, known=False)),
        ([True], [], None, Identity(AGENT_UID, AGENT_UID, 0o444, known=False)),
        ([], [], None, Identity(AGENT_UID, AGENT_UID, 0o444, known=False)),
    ],
)
def test_the_identity_follows_the_pod(
    users: list[object], groups: list[object], fs_group: object, identity: Identity
) -> None:
    """The agent runs as the one user of all containers; otherwise group or everybody may read its files. Root is unknown."""
    assert derive(request_of(secret="db"), users, groups, fs_group=fs_group) == identity


def test_annotations_override_the_pod() -> None:
    """``run-as-user``, ``run-as-group`` and ``file-mode`` win; files are readable by others if the users differ."""
    own = request_of(secret="db", run_as_user="500", run_as_group="600")
    assert derive(own, [1000], [1000], fs_group=None) == Identity(500, 600, 0o444, known=False)
    same = request_of(secret="db", run_as_user="1000", file_mode="0440")
    assert derive(same, [1000], [], fs_group=None) == Identity(1000, 1000, 0o440)
