"""``python -m images``: build the images, print their sizes, write archives."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from images import builders, contents
from images.catalogue import IMAGES, VERSION, Image
from images.contents import File
from images.errors import BuildError

EXAMPLES = """\
examples:
  ./tools/run images                              all, based on the official slim Python image
  ./tools/run images agent webhook --archive out  two images, and out/agent.tar, out/webhook.tar
  ./tools/run images --base debian                based on a Debian built by mmdebstrap, without a registry
  ./tools/run images agent --platform linux/arm64 for another architecture, by an emulator
"""
MEBIBYTE = 2**20
BASE = "KEEPER_INJECTOR_BASE_IMAGE"


def main(arguments: Sequence[str]) -> int:
    """Build the requested images and return the exit code."""
    options = _parser().parse_args(arguments)
    wanted = (
        [image for image in IMAGES if image.name in options.names]
        if options.names
        else [image for image in IMAGES if not image.for_tests]
    )
    try:
        if options.platform:
            builders.check_platform(options.platform)
        builder = attrs.evolve(
            builders.find(options.builder),
            revision=options.revision,
            epoch=options.epoch,
            platform=options.platform,
        )
        base = builders.base(builder, options.base)
        rows: list[tuple[Image, Sequence[File]]] = []
        for image in (attrs.evolve(image, architecture=builder.architecture) for image in wanted):
            print(f"building {image.tag}", file=sys.stderr)
            builder.build(image, base)
            if options.twice:
                _same_again(builder, image, base)
            rows.append((image, builder.files(image.tag)))
            if options.archive:
                options.archive.mkdir(parents=True, exist_ok=True)
                builder.archive(image.tag, options.archive / f"{image.name}.tar")
            if options.oci:
                options.oci.mkdir(parents=True, exist_ok=True)
                builder.oci_archive(image.tag, options.oci / image.archive)
    except BuildError as error:
        print(f"images: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return _told(rows)


def _same_again(builder: builders.Builder, image: Image, base: str) -> None:
    """Build the image again without a cache. Raises :class:`BuildError` if the digests differ."""
    first = builder.digest(image.tag)
    builder.build(image, base, cached=False)
    second = builder.digest(image.tag)
    if first != second:
        raise BuildError(f"{image.tag}: built twice from the same sources, {first} and {second}")
    print(f"  {image.tag:45} twice {first}")


def _told(rows: Sequence[tuple[Image, Sequence[File]]]) -> int:
    """Print sizes, and what is wrong; return 1 if an image is too large or has more programs than it should, otherwise 0."""
    code = 0
    for image, files in rows:
        size = contents.size(files)
        within = image.most is None or size <= image.most * MEBIBYTE
        budget = "" if image.most is None else f"   {'ok' if within else 'TOO LARGE'} (at most {image.most} MiB)"
        print(f"  {image.tag:45} {size / MEBIBYTE:7.1f} MiB {len(files):7,} files{budget}")
        problems = contents.problems(files) if image.minimal else []
        for problem in problems:
            print(f"images: {image.tag}: {problem}", file=sys.stderr)
        code = code if within and not problems else 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./tools/run images",
        description=f"Build the container images, version {VERSION}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [image.name for image in IMAGES]
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"one of {', '.join(names)} (default: all)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="also write each image as an archive for nodes")
    parser.add_argument(
        "--oci", type=Path, metavar="DIR", help="also write each image as an OCI archive (buildah only)"
    )
    parser.add_argument("--revision", default="unknown", metavar="COMMIT", help="commit for the image's label")
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", builders.EPOCH))
    what = "Unix time of the image's files and label (default: $SOURCE_DATE_EPOCH, otherwise 2026-01-01)"
    parser.add_argument("--epoch", type=int, default=epoch, metavar="SECONDS", help=what)
    parser.add_argument("--twice", action="store_true", help="build each again without a cache, and compare digests")
    what = "platform of the images: linux/amd64 or linux/arm64 (default: that of this machine)"
    parser.add_argument("--platform", choices=builders.PLATFORMS, default="", metavar="PLATFORM", help=what)
    parser.add_argument("--builder", choices=builders.NAMES, help="(default: the first one that is installed)")
    base = os.environ.get(BASE, "")
    what = f"base image, or `debian` (default: ${BASE}, otherwise that of the Dockerfile)"
    parser.add_argument("--base", default=base, help=what)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
