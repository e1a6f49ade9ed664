"""``python -m images``: build the images, tell their sizes, write archives of them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from images import builders
from images.catalogue import IMAGES, VERSION, Image
from images.errors import BuildError

EXAMPLES = """\
examples:
  ./tools/run images                              all, with the official slim Python below
  ./tools/run images agent webhook --archive out  two of them, and out/agent.tar, out/webhook.tar
  ./tools/run images --base debian                on a Debian made by mmdebstrap: no registry is asked
"""
MEBIBYTE = 2**20
BASE = "KEEPER_INJECTOR_BASE_IMAGE"


def main(arguments: Sequence[str]) -> int:
    """Build what is asked for and return an exit code."""
    options = _parser().parse_args(arguments)
    wanted = (
        [image for image in IMAGES if image.name in options.names]
        if options.names
        else [image for image in IMAGES if not image.for_tests]
    )
    try:
        builder = builders.find(options.builder)
        base = builders.base(builder, options.base)
        rows = []
        for image in wanted:
            print(f"building {image.tag}", file=sys.stderr)
            builder.build(image, base)
            if options.twice:
                _same_again(builder, image, base)
            rows.append((image, builder.size(image.tag) - builder.size(base)))
            if options.archive:
                options.archive.mkdir(parents=True, exist_ok=True)
                builder.archive(image.tag, options.archive / f"{image.name}.tar")
    except BuildError as error:
        print(f"images: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    return _told(rows)


def _same_again(builder: builders.Builder, image: Image, base: str) -> None:
    """Build once more from nothing; raises BuildError when that gives another image."""
    first = builder.digest(image.tag)
    builder.build(image, base, cached=False)
    second = builder.digest(image.tag)
    if first != second:
        raise BuildError(f"{image.tag}: built twice from the same sources, {first} and {second}")
    print(f"  {image.tag:45} twice {first}")


def _told(rows: Sequence[tuple[Image, int]]) -> int:
    """Print sizes without the base, and say whether all are small enough."""
    code = 0
    for image, size in rows:
        within = image.most is None or size <= image.most * MEBIBYTE
        budget = "" if image.most is None else f"   {'ok' if within else 'TOO LARGE'} (at most {image.most} MiB)"
        print(f"  {image.tag:45} {size / MEBIBYTE:7.1f} MiB above its base{budget}")
        code = code if within else 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./tools/run images",
        description=f"Build the container images, version {VERSION}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [image.name for image in IMAGES]
    parser.add_argument("names", nargs="*", metavar="IMAGE", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="also write each as an archive that nodes import")
    parser.add_argument("--twice", action="store_true", help="build each again without a cache, and compare digests")
    parser.add_argument("--builder", choices=builders.NAMES, help="(default: the first of them that is there)")
    base = os.environ.get(BASE, "")
    what = f"image below all, or `debian` (default: ${BASE}, else the Dockerfiles')"
    parser.add_argument("--base", default=base, help=what)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
