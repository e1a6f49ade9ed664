"""The list of images."""

from __future__ import annotations

import re
from pathlib import Path

import attrs

ROOT = Path(__file__).parents[3]
PREFIX = "localhost/keeper-injector-"
SMALL = 80
"""MiB, for what nodes pull often."""


def _version() -> str:
    text = (ROOT / "charts/keeper-injector/Chart.yaml").read_text(encoding="utf-8")
    found = re.search(r'^appVersion: "?([^"\n]+)"?$', text, re.MULTILINE)
    if found is None:
        raise ValueError("charts/keeper-injector/Chart.yaml: no appVersion")
    return found[1]


VERSION = _version()


@attrs.frozen
class Image:
    """An image: its Dockerfile and build arguments."""

    name: str
    dockerfile: str
    requirements: str = ""
    """A file of tools/image-requirements for the build argument REQUIREMENTS; empty: the Dockerfile's default."""
    suffix: str = ""
    for_tests: bool = False
    """Whether only tests need the image; it is built only on request."""
    most: int | None = None
    """Budget in MiB."""
    minimal: bool = False
    """Whether the image has no programs but ours and Python, so no shell."""
    architecture: str = ""
    """Such as ``arm64``, in names; empty if the image is for the machine that builds it."""

    @property
    def tag(self) -> str:
        """The full name on this machine."""
        name = f"{PREFIX}{self.name.removesuffix(self.suffix)}:{VERSION}{self.suffix}"
        return f"{name}-{self.architecture}" if self.architecture else name

    @property
    def archive(self) -> str:
        """The name of the OCI archive."""
        return "-".join(filter(None, (f"keeper-injector-{self.name}", VERSION, self.architecture))) + ".oci.tar"


IMAGES = (
    Image("agent", "packages/keeper-injector-agent/Dockerfile", most=SMALL, minimal=True),
    Image("agent-cloud", "packages/keeper-injector-agent/Dockerfile", "agent-cloud", "-cloud", minimal=True),
    Image("webhook", "packages/keeper-injector-webhook/Dockerfile", most=140, minimal=True),
    Image("common", "packages/keeper-injector-common/Dockerfile", most=SMALL, minimal=True),
    Image("local-keeper", "tools/local_keeper/Dockerfile"),
    Image("applications", "integration-tests/applications/Dockerfile", for_tests=True),
)
