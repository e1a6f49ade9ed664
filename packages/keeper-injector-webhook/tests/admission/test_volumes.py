"""Volumes: which container receives which files, and paths that cannot be mounted."""

from __future__ import annotations

import itertools
import json

import pytest
from admission_reviews import denial, injected, plan, pod, respond
from hypothesis import given, settings
from hypothesis import strategies as st


def test_every_container_receives_its_own_and_no_other() -> None:
    """Containers that receive the same files share a volume; others have their own."""
    config = """
secrets:
  - {record: shared, path: /app/shared.json}
  - {record: private, path: /app/private.json, containers: [one]}
"""
    containers = [{"name": name} for name in ("one", "two", "three")]
    new = injected(pod(annotations={"inject": "true", "config": config}, containers=containers))
    mounts = {item["name"]: item["volumeMounts"][0]["name"] for item in new["spec"]["containers"]}
    assert mounts["two"] == mounts["three"] != mounts["one"]
    names = {
        entry["path"].rsplit("/")[-1]: [file["name"] for file in entry["files"]] for entry in plan(new)["directories"]
    }
    assert names[mounts["one"]] == ["shared.json", "private.json"]
    assert names[mounts["two"]] == ["shared.json"]


def test_directories_inside_one_another_are_one_volume() -> None:
    """A directory inside another one shares its volume, because read-only volumes cannot nest."""
    new = injected(pod(annotations={"inject": "true", "secret-a": "/app/a", "secret-b": "/app/sub/b"}))
    (entry,) = plan(new)["directories"]
    assert [file["name"] for file in entry["files"]] == ["a", "sub/b"]


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({"secret-a": "/app/x", "secret-b": "/app/x"}, "is the path of keeper.security/secret-a too"),
        ({"secret-a": "/app/x", "secret-b": "/app/x/y"}, "is a directory of another secret"),
    ],
)
def test_paths_that_cannot_be_mounted_are_rejected(annotations: dict[str, str], reason: str) -> None:
    """A path or a container that cannot work is rejected with the reason and what to do."""
    containers = [{"name": "app", "volumeMounts": [{"name": "disk", "mountPath": "/data/"}]}]
    assert reason in denial(pod(annotations={"inject": "true", **annotations}, containers=containers))


def test_files_that_no_container_receives_together_may_share_a_path() -> None:
    """Two files with one path are allowed if each goes to another container."""
    config = "secrets: [{record: a, path: /app/x, containers: [one]}, {record: b, path: /app/x, containers: [two]}]"
    new = injected(pod(annotations={"inject": "true", "config": config}, containers=[{"name": "one"}, {"name": "two"}]))
    assert len(plan(new)["directories"]) == 2


def test_three_secrets_on_one_path_are_two_problems() -> None:
    """Each secret after the first is reported once, with the first one's annotation."""
    asked = {"inject": "true", "secret-a": "/app/x", "secret-b": "/app/x", "secret-c": "/app/x"}
    message = denial(pod(annotations=asked))
    assert message.count("is the path of keeper.security/secret-a too") == 2
    assert "(3)" not in message


def test_every_clash_with_a_mount_is_a_problem() -> None:
    """Each mount at, inside or around the directory of a secret is a problem, and no other mount is."""
    paths = ["/app/a/b", "/app", "/app/a", "/app/ab", "/app/a.b", "/app/a/../a/x/", "/other", "/"]
    mounts = [{"name": f"v{number}", "mountPath": path} for number, path in enumerate(paths)]
    volumes = [{"name": f"v{number}"} for number in range(len(paths))]
    containers = [{"name": "app", "volumeMounts": mounts}]
    message = denial(
        pod(annotations={"inject": "true", "secret-x": "db:/app/a/file"}, containers=containers, volumes=volumes)
    )
    assert [number for number in range(len(paths)) if f"the mount of volume 'v{number}'" in message] == [0, 1, 2, 5]


PATHS = st.lists(st.sampled_from(["/a/f", "/a/f/g", "/a/f/g/h", "/b/f"]), min_size=2, max_size=6)
CHOICES = st.lists(st.sampled_from([("one",), ("two",), ("one", "two"), None]), min_size=6, max_size=6)


@settings(max_examples=200, deadline=None)
@given(PATHS, CHOICES)
def test_shared_paths_are_those_that_a_comparison_in_pairs_finds(
    paths: list[str], choices: list[tuple[str, ...] | None]
) -> None:
    """A pod is denied exactly if some container receives two files of which one has the path of the other or is inside it."""
    entries = [
        {"record": f"r{number}", "path": path, **({"containers": list(own)} if (own := choices[number]) else {})}
        for number, path in enumerate(paths)
    ]
    clash = any(
        set(choices[i] or ("one", "two")) & set(choices[j] or ("one", "two"))
        and (paths[i] == paths[j] or paths[j].startswith(f"{paths[i]}/") or paths[i].startswith(f"{paths[j]}/"))
        for i, j in itertools.combinations(range(len(paths)), 2)
    )
    asked = {"inject": "true", "config": json.dumps({"secrets": entries})}
    assert respond(pod(annotations=asked, containers=[{"name": "one"}, {"name": "two"}]))["allowed"] is not clash
