"""System directories: those that cannot be hidden are refused, those of one application are not."""

from __future__ import annotations

import pytest
from admission_reviews import pod, respond


@pytest.mark.parametrize(
    "directory",
    [
        *(
            "/etc",
            "/dev",
            "/dev/shm/app",
            "/proc",
            "/proc/self",
            "/sys",
            "/sys/fs/x",
            "/bin",
            "/sbin",
            "/lib",
            "/lib64",
        ),
        *("/usr", "/usr/bin", "/usr/local", "/usr/local/bin", "/usr/lib", "/run", "/var/run", "/run/secrets", "/tmp"),
        *("/var/run/secrets", "/var/run/secrets/kubernetes.io", "/run/secrets/kubernetes.io/serviceaccount", "/var"),
    ],
)
def test_system_directories_are_refused(directory: str) -> None:
    """A container could not start, or not work, without what the volume would hide."""
    response = respond(pod(annotations={"inject": "true", "secret-a": f"db:{directory}/x"}))
    assert f"{directory} " in response["status"]["message"]
    assert "choose a directory that only the secrets use" in response["status"]["message"]


@pytest.mark.parametrize(
    "directory",
    [
        *("/etc/app", "/etc/nginx/secrets", "/run/app", "/var/run/app", "/run/secrets/app", "/tmp/app", "/usr/src/app"),
        *("/usr/share/app", "/var/lib/app", "/opt/app", "/home/app", "/srv", "/keeper/secrets", "/etcetera", "/app"),
    ],
)
def test_directories_of_one_application_are_accepted(directory: str) -> None:
    """Directories below the system's are as good as any other, without a warning."""
    response = respond(pod(annotations={"inject": "true", "secret-a": f"db:{directory}/x"}))
    assert (response["allowed"], "warnings" in response) == (True, False)


@pytest.mark.parametrize("directory", ["/etc/ssl/certs", "/etc/ssl", "/opt", "/var/lib"])
def test_directories_that_often_hold_something_cause_a_warning(directory: str) -> None:
    """A volume at a directory that holds something in most images is accepted with a warning."""
    response = respond(pod(annotations={"inject": "true", "secret-a": f"db:{directory}/x"}))
    assert f"the volume hides {directory}, which " in response["warnings"][0]
