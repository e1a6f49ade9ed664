"""The digests of a release's images as values of the chart: with them, a cluster runs exactly what was signed."""

from __future__ import annotations

from collections.abc import Mapping

FILE = "image-digests.yaml"
VALUES = {
    "webhook": ("image", "digest"),
    "agent": ("agent", "image", "digest"),
    "agent-cloud": ("agent", "image", "cloudDigest"),
}
"""The chart's value for the digest of each image that it uses."""


def as_values(digests: Mapping[str, str]) -> str:
    """Return a values file with the SHA-256 of manifests by the name of the image; those that the chart does not use are comments."""
    lines = [
        "# The images of this release by the digests of their manifests. helm reads this file: --values image-digests.yaml"
    ]
    for name, digest in sorted(digests.items()):
        if name not in VALUES:
            lines.append(f"# keeper-injector-{name}: sha256:{digest}")
    if "webhook" in digests:
        lines.append(f'image: {{ digest: "sha256:{digests["webhook"]}" }}')
    agents = {VALUES[name][-1]: digests[name] for name in ("agent", "agent-cloud") if name in digests}
    if agents:
        content = ", ".join(f'{key}: "sha256:{digest}"' for key, digest in agents.items())
        lines.append(f"agent: {{ image: {{ {content} }} }}")
    return "\n".join(lines) + "\n"
