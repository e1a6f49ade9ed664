"""Volumes: which container receives which files, and paths that cannot be mounted."""

from __future__ import annotations

import pytest
from admission_reviews import denial, injected, operations, plan, pod, respond


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


def test_many_secrets_have_a_volume_for_each_directory() -> None:
    """A thousand secrets in as many directories are laid out, as long as the annotations are not too large for Kubernetes."""
    asked = {f"secret-s{number}": f"t:/app/{number}/x" for number in range(1000)}
    (added,) = [
        item["value"]
        for item in operations(respond(pod(annotations={"inject": "true", **asked})))
        if item["path"] == "/spec/volumes"
    ]
    assert len([volume for volume in added if volume["name"].startswith("keeper-secrets-")]) == 1000
