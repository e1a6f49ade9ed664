"""Bills of materials (CycloneDX 1.6) of wheels and images."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from artifacts.checksums import sha256
from artifacts.commits import SOURCE, Commit
from artifacts.errors import ArtifactError
from artifacts.image_content import Found, packages_of
from artifacts.pins import closure, read_pins

SUFFIX = ".cdx.json"
_NAME = re.compile(r"^(.+?)-(\d.*)\.oci\.tar$")


def wheel_sbom(wheel: Path, commit: Commit) -> str:
    """Return the SBOM of a wheel: the versions that the commit pins for it, with the hashes of their files.

    What only an extra needs has the scope ``optional``. Raises ArtifactError for a dependency that is not pinned.
    """
    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    root = canonicalize_name(metadata["Name"])
    pins = read_pins(commit.folder / "tools/constraints.txt")
    children: defaultdict[str, set[str]] = defaultdict(set)
    for pin in pins.values():
        for parent in pin.parents:
            children[parent].add(pin.name)
    # The packages of this repository are released together with their pins, so the lock does not pin them.
    own = {canonicalize_name(path.parent.name) for path in commit.folder.glob("packages/*/pyproject.toml")}
    children[root] = {canonicalize_name(item.name) for item in wanted}
    required = closure((canonicalize_name(item.name) for item in wanted if "extra" not in str(item.marker)), children)
    everything = closure(children[root], children)
    if missing := sorted(everything - own - set(pins)):
        raise ArtifactError(
            f"{wheel.name}: {', '.join(missing)}: not pinned in tools/constraints.txt; run ./tools/run lock"
        )
    components = {}
    for name in sorted(everything):
        version = pins[name].version if name in pins else metadata["Version"]
        hashes = pins[name].hashes if name in pins else ()
        scope = ComponentScope.REQUIRED if name in required else ComponentScope.OPTIONAL
        components[name] = _component(Found("pypi", name, version), hashes=hashes, scope=scope)
    subject = _component(Found("pypi", root, metadata["Version"]), digest=sha256(wheel))
    bom = _bom(subject, wheel.name, commit)
    for component in components.values():
        bom.components.add(component)
    for parent, names in [(root, subject), *components.items()]:
        bom.register_dependency(names, [components[name] for name in sorted(children[parent])])
    return _text(bom)


def image_sbom(archive: Path, commit: Commit) -> str:
    """Return the SBOM of an image in an OCI archive: the Python distributions and Debian packages that are in its layers."""
    digest, found = packages_of(archive)
    name, version = _NAME.findall(archive.name)[0]
    subject = Component(
        name=name,
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref=f"oci:{name}@sha256:{digest}",
        purl=PackageURL("oci", None, name, f"sha256:{digest}"),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256(archive))],
    )
    bom = _bom(subject, archive.name, commit)
    components = [_component(item) for item in found]
    for component in components:
        bom.components.add(component)
    bom.register_dependency(subject, components)
    return _text(bom)


def _component(
    found: Found,
    *,
    hashes: tuple[str, ...] = (),
    digest: str | None = None,
    scope: ComponentScope | None = None,
) -> Component:
    qualifiers = {"arch": found.architecture} if found.architecture else None
    namespace = "debian" if found.kind == "deb" else None
    url = PackageURL(found.kind, namespace, found.name, found.version, qualifiers)
    files = []
    if hashes:
        content = [HashType(alg=HashAlgorithm.SHA_256, content=item) for item in hashes]
        index = XsUri(f"https://pypi.org/project/{found.name}/{found.version}/")
        what = "hashes of all files of this version"
        files = [ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=index, hashes=content, comment=what)]
    return Component(
        name=found.name,
        version=found.version,
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        purl=url,
        scope=scope,
        external_references=files,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
    )


def _bom(subject: Component, file: str, commit: Commit) -> Bom:
    """Return an empty SBOM of *subject* that depends on the commit alone: no clock and no random number."""
    made = datetime.fromtimestamp(commit.epoch, UTC)
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{SOURCE}/{commit.revision}/{file}")
    return Bom(serial_number=serial, metadata=BomMetaData(component=subject, timestamp=made))


def _text(bom: Bom) -> str:
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2) + "\n"
