"""What is installed in an image, read from the layers of its OCI archive without running it."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import attrs
from packaging.utils import canonicalize_name

from artifacts.errors import ArtifactError

_METADATA = re.compile(r"(?:^|/)[^/]+\.dist-info/METADATA$")
_DPKG = re.compile(r"^(?:\./)?var/lib/dpkg/(?:status|status\.d/[^/]+)$")
_WHITEOUT = ".wh."


@attrs.frozen(order=True)
class Found:
    """An installed package."""

    kind: str
    """``pypi`` or ``deb``, as in package URLs."""
    name: str
    version: str
    architecture: str = ""


def manifest_digest(archive: Path) -> str:
    """Return the SHA-256 of the image's manifest, by which nodes pull it. Raises ArtifactError like :func:`packages_of`."""
    with tarfile.open(archive) as layout:
        return _manifest(layout, archive)[0]


def _manifest(layout: tarfile.TarFile, archive: Path) -> tuple[str, list[str]]:
    """Return the digests of the manifest and of the layers."""
    try:
        [entry] = _json(layout, "index.json")["manifests"]
        digest = entry["digest"].removeprefix("sha256:")
        manifest = _json(layout, f"blobs/sha256/{digest}")
        return digest, [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
    except (KeyError, ValueError):
        raise ArtifactError(
            f"{archive}: not an OCI archive with one image; build it with ./tools/run images --oci"
        ) from None


def packages_of(archive: Path) -> tuple[str, list[Found]]:
    """Return the digest of the image's manifest and its packages. Raises ArtifactError if this is not one image's archive."""
    with tarfile.open(archive) as layout:
        digest, layers = _manifest(layout, archive)
        files: dict[str, str] = {}
        for layer in layers:
            _apply(layout, layer, files)
    return digest, sorted({item for path, text in files.items() for item in _found(path, text)})


def _json(layout: tarfile.TarFile, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_read(layout, name))
    return content


def _read(archive: tarfile.TarFile, entry: str | tarfile.TarInfo) -> bytes:
    """Return the content of a regular file. Raises KeyError if it does not exist or is of another kind."""
    file = archive.extractfile(entry)
    if file is None:
        raise KeyError(entry)
    return file.read()


def _apply(layout: tarfile.TarFile, layer: str, files: dict[str, str]) -> None:
    """Add the layer's descriptions of packages to *files*, and remove those of files that the layer deletes."""
    with tarfile.open(fileobj=layout.extractfile(f"blobs/sha256/{layer}")) as content:
        for entry in content:
            path = entry.name.removeprefix("./")
            folder, _, name = path.rpartition("/")
            if name.startswith(_WHITEOUT):
                gone = folder if name == ".wh..wh..opq" else f"{folder}/{name.removeprefix(_WHITEOUT)}"
                for known in [known for known in files if known == gone or known.startswith(f"{gone}/")]:
                    del files[known]
            elif entry.isfile() and (_METADATA.search(path) or _DPKG.match(path)):
                files[path] = _read(content, entry).decode(errors="replace")


def _found(path: str, text: str) -> Iterator[Found]:
    if path.endswith("/METADATA"):
        fields = HeaderParser().parsestr(text)
        yield Found("pypi", canonicalize_name(fields["Name"]), fields["Version"])
        return
    for paragraph in text.strip().split("\n\n"):
        fields = HeaderParser().parsestr(paragraph)
        if "Version" in fields and "deinstall" not in fields.get("Status", ""):
            yield Found("deb", fields["Package"], fields["Version"], fields.get("Architecture", ""))
