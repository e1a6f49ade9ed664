"""The provenance file of a chart's package, which `helm verify` and `helm install --verify` read.

`helm package --sign` signs what it packages itself. A release has a package with fixed bytes, so its file is written here: the chart's
metadata and the package's SHA-256, signed in the clear with OpenPGP (https://helm.sh/docs/topics/provenance).
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from artifacts.checksums import sha256
from artifacts.commits import run
from artifacts.errors import ArtifactError


def sign_chart(package: Path, key: str) -> Path:
    """Write PACKAGE.prov, signed with the key that gpg knows as *key*. Raises ArtifactError if gpg cannot sign."""
    output = package.with_name(f"{package.name}.prov")
    output.unlink(missing_ok=True)
    statement = package.with_name(f"{package.name}.statement")
    statement.write_text(
        f"{_metadata(package)}\n...\nfiles:\n  {package.name}: sha256:{sha256(package)}\n", encoding="utf-8"
    )
    try:
        signing = ("--batch", "--yes", "--local-user", key, "--digest-algo", "SHA512", "--clearsign")
        run("gpg", *signing, "--output", str(output), str(statement))
    finally:
        statement.unlink()
    return output


def _metadata(package: Path) -> str:
    """Return the chart's Chart.yaml. Raises ArtifactError if the package has none."""
    with tarfile.open(package) as archive:
        for entry in archive:
            if entry.name.count("/") == 1 and entry.name.endswith("/Chart.yaml"):
                file = archive.extractfile(entry)
                if file:
                    return file.read().decode()
    raise ArtifactError(f"{package}: no Chart.yaml; build it with ./tools/run release")
