"""``./tools/run release`` without a version: build all artifacts of the last commit, with SBOMs, digests and provenance."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from artifacts import building, image_digests, provenance, sbom, signing_programs
from artifacts.chart_signature import sign_chart
from artifacts.checksums import sign_sums, write_sums
from artifacts.commits import SOURCE, export
from artifacts.errors import ArtifactError
from artifacts.image_content import manifest_digest
from cluster import programs
from images.catalogue import IMAGES

ROOT = Path(__file__).parents[3]
LOCAL_BUILDER = f"{SOURCE}/blob/main/tools/development/artifacts"
"""The builder's name where no --builder is set: a person's machine."""


def main(arguments: Sequence[str]) -> int:
    """Build the artifacts, or print why they cannot be built and return EX_DATAERR."""
    options = _parser().parse_args(arguments)
    output: Path = options.output.absolute()
    try:
        if options.build_cosign:
            print(signing_programs.build(_say))
            return 0
        if options.images != "none":
            building.check_base(options.base)
        _make_empty(output)
        with tempfile.TemporaryDirectory() as folder:
            _build(options, Path(folder), output)
    except ArtifactError as error:
        print(f"release: {error}", file=sys.stderr)
        return os.EX_DATAERR
    for path in sorted(output.iterdir()):
        print(f"  {path.stat().st_size:>12,}  {path.name}")
    return 0


def _make_empty(output: Path) -> None:
    """Create the folder. A file of another build must not get into SHA256SUMS, so raise ArtifactError for one with files."""
    output.mkdir(parents=True, exist_ok=True)
    if any(output.iterdir()):
        raise ArtifactError(f"{output}: not empty; remove it, or set --output")


def _build(options: argparse.Namespace, folder: Path, output: Path) -> None:
    commit = export(options.repository, folder)
    _say(f"building commit {commit.revision[:12]}")
    building.build_distributions(commit, output)
    building.package_chart(commit, output, programs.helm(_say))
    images = [] if options.images == "none" else options.images.split(",") if options.images else _default_images()
    if images:
        building.build_images(commit, output, images, options.base)
        digests = {image.name: manifest_digest(output / image.archive) for image in IMAGES if image.name in images}
        _write(output / image_digests.FILE, image_digests.as_values(digests))
    files = sorted(output.iterdir())
    for wheel in output.glob("*.whl"):
        _write(output / f"{wheel.name}{sbom.SUFFIX}", sbom.wheel_sbom(wheel, commit))
    for image in output.glob("*.oci.tar"):
        _write(output / f"{image.name}{sbom.SUFFIX}", sbom.image_sbom(image, commit))
    parameters: dict[str, object] = {"images": images, "base": options.base} if images else {"images": []}
    _write(output / provenance.FILE, provenance.statement(commit, files, options.builder, parameters))
    if options.sign_chart:
        for package in output.glob("*.tgz"):
            sign_chart(package, options.sign_chart)
    write_sums(output)
    if options.sign:
        sign_sums(output, options.sign)


def _default_images() -> list[str]:
    """Return the images that users pull. Local Keeper is for tests."""
    return [image.name for image in IMAGES if not image.for_tests and image.name != "local-keeper"]


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _say(text: str) -> None:
    print(f"release: {text}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    what = "Build wheels, sdists, the chart, images, SBOMs, SHA256SUMS and provenance of the last commit."
    parser = argparse.ArgumentParser(prog="./tools/run release", description=what)
    parser.add_argument(
        "--output", type=Path, default=ROOT / "dist/release", metavar="DIR", help="(default: dist/release)"
    )
    parser.add_argument("--images", default="", metavar="NAMES", help="such as agent,webhook, or none (default: all)")
    parser.add_argument(
        "--base",
        default="",
        help="base image with its digest, or `debian` for one that is built here (default: that of the Dockerfiles)",
    )
    parser.add_argument("--sign", type=Path, metavar="KEY", help="sign SHA256SUMS with this SSH key")
    parser.add_argument(
        "--sign-chart", default="", metavar="KEY", help="also sign the chart for Helm, with this key of gpg"
    )
    what = "build cosign from its pinned Go module, print its folder, and do nothing else"
    parser.add_argument("--build-cosign", action="store_true", help=what)
    parser.add_argument("--builder", default=LOCAL_BUILDER, metavar="URI", help="who builds, for the provenance")
    parser.add_argument("--repository", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
