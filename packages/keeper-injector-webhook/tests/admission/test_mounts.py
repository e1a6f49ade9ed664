"""Mounts: where a memory volume can be mounted in a container, and where it would hide what the container needs."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import denial, pod, respond

ASKED = {"inject": "true"}


def container(**more: Any) -> list[dict[str, Any]]:
    """Return the only container of a pod."""
    return [{"name": "app", **more}]


@pytest.mark.parametrize(
    ("path", "more", "reason"),
    [
        (
            "/data/x",
            {"volumeMounts": [{"name": "v", "mountPath": "/data/"}]},
            "/data clashes with the mount of volume 'v'",
        ),
        (
            "/data/x",
            {"volumeMounts": [{"name": "v", "mountPath": "//data//sub"}]},
            "clashes with the mount of volume 'v'",
        ),
        (
            "/data/x",
            {"volumeDevices": [{"name": "v", "devicePath": "/data/disk"}]},
            "clashes with the device of volume 'v'",
        ),
        ("/data/x", {"terminationMessagePath": "/data/log"}, "/data clashes with the termination message at /data/log"),
        (f"/data/{'x' * 256}", {}, "a name in the path has more than 255 bytes; write a shorter name"),
        (f"/data/{'ä' * 128}", {}, "a name in the path has more than 255 bytes"),
        ("/data" + ("/" + "a" * 240) * 16, {}, "the path has 3861 bytes; write at most 3840"),
    ],
)
def test_paths_where_nothing_can_be_mounted_are_rejected(path: str, more: dict[str, Any], reason: str) -> None:
    """A directory that contains a mount of the container, or that has too long a path, is a problem."""
    spec = {"volumes": [{"name": "v", "emptyDir": {}}]}
    assert reason in denial(pod(annotations={**ASKED, "secret-a": f"db:{path}"}, containers=container(**more), **spec))


@pytest.mark.parametrize(
    ("volume", "mount", "accepted"),
    [
        ({"emptyDir": {}}, {}, True),
        ({"configMap": {"name": "c"}}, {"readOnly": True}, True),
        ({"secret": {"secretName": "c"}}, {}, True),
        ({"projected": {"sources": []}}, {"readOnly": True}, True),
        ({"downwardAPI": {}}, {}, True),
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"subPath": "a"}, True),
        ({"ephemeral": {}}, {}, True),
        ({"emptyDir": {}}, {"readOnly": True}, False),
        ({"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, {}, False),
        ({"configMap": {"name": "c"}}, {"subPath": "a"}, False),
        ({"hostPath": {"path": "/x"}}, {}, False),
        ({"csi": {"driver": "d"}}, {}, False),
    ],
)
def test_a_secret_may_be_below_some_volumes(volume: dict[str, Any], mount: dict[str, Any], accepted: bool) -> None:
    """A volume may be below another one if the kubelet or the container runtime can create its directory there."""
    mounts = [{"name": "v", "mountPath": "/data", **mount}]
    asked = {**ASKED, "secret-a": "db:/data/secrets/x"}
    response = respond(
        pod(annotations=asked, containers=container(volumeMounts=mounts), volumes=[{"name": "v", **volume}])
    )
    assert response["allowed"] == accepted


@pytest.mark.parametrize(
    "use",
    [
        {"volumeMounts": [{"name": "keeper-state", "mountPath": "/x"}]},
        {"volumeDevices": [{"name": "keeper-secrets-0", "devicePath": "/dev/x"}]},
        {"env": [{"name": "X", "valueFrom": {"fileKeyRef": {"volumeName": "keeper-env-0", "path": "a", "key": "b"}}}]},
    ],
)
def test_volumes_of_the_agent_are_its_own(use: dict[str, Any]) -> None:
    """A container that uses a volume which only an injection adds would read the configuration or another's secrets."""
    message = denial(pod(annotations={**ASKED, "secret": "db"}, containers=container(**use)))
    assert "which belongs to the agent; remove it" in message


@pytest.mark.parametrize("directory", ["/keeper", "/keeper/env", "/keeper/env/more"])
def test_files_stay_away_from_the_variables(directory: str) -> None:
    """A directory at, above or below that of the variables is a problem, but only for containers that have variables."""
    asked = {**ASKED, "secret-a": f"db:{directory}/x"}
    app = container(command=["/app"])
    assert f"{directory} clashes with /keeper/env" in denial(
        pod(annotations={**asked, "env-X": "db[a]"}, containers=app)
    )
    assert respond(pod(annotations=asked, containers=app))["allowed"]


@pytest.mark.parametrize(
    ("more", "warned"),
    [
        ({"workingDir": "/app"}, True),
        ({"workingDir": "/app/lib"}, True),
        ({"workingDir": "/"}, False),
        ({"command": ["/app/run"]}, True),
        ({"command": ["/bin/sh"], "args": ["/app/main.py"]}, True),
        ({"args": ["--plugins=/app/plugins"]}, True),
        ({"args": ["--password-file=/app/password"]}, False),
        ({"args": ["/app/password"]}, False),
        ({"args": ["/application"]}, False),
    ],
)
def test_a_volume_that_hides_the_image_is_a_warning(more: dict[str, Any], warned: bool) -> None:
    """A volume that hides the directory of the command, of an argument or of `workingDir` causes a warning."""
    response = respond(
        pod(annotations={**ASKED, "secret-a": "db[password]:/app/password"}, containers=container(**more))
    )
    assert ("the volume hides the image's files in /app" in str(response.get("warnings"))) == warned
