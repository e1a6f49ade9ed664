"""Draws how a secret reaches a container, for the README: once for light and once for dark pages."""

from __future__ import annotations

import sys
from html import escape
from typing import NamedTuple

from generators.output import deliver

PATH = "packages/keeper-injector-common/docs/images/flow-{name}.svg"
WIDTH, HEIGHT = 880, 400
TITLE = "How a secret reaches a container"
FONTS = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"


class Palette(NamedTuple):
    """The colours of one picture."""

    text: str
    quiet: str
    """Of notes and lines."""
    box: str
    frame: str
    ours: str
    """Of the boxes that Keeper Injector brings."""
    accent: str
    """Of their borders."""


PALETTES = {
    "light": Palette("#1f2328", "#59636e", "#ffffff", "#f6f8fa", "#ddf4ff", "#0550ae"),
    "dark": Palette("#f0f6fc", "#9198a1", "#151b23", "#0d1117", "#0c2d4a", "#79c0ff"),
}


class Place(NamedTuple):
    """A rectangle, in pixels."""

    x: int
    y: int
    width: int
    height: int


def main() -> int:
    """Write both pictures, or check that they are up to date."""
    return max([deliver(PATH.format(name=name), picture(palette)) for name, palette in PALETTES.items()])


def picture(colours: Palette) -> str:
    """Return the picture as SVG."""
    drawing = Drawing(colours)
    drawing.box(Place(20, 20, 150, 56), "kubectl apply", "two annotations")
    drawing.box(Place(310, 20, 150, 56), "API server")
    drawing.box(Place(660, 20, 200, 56), "webhook", "no access to Keeper", ours=True)
    drawing.arrow("M170 48 H302", "workload", (236, 40))
    drawing.arrow("M460 38 H652", "review", (556, 30))
    drawing.arrow("M660 60 H468", "patch", (564, 76))
    drawing.arrow("M385 76 V124", "pod", (406, 104))
    drawing.frame(Place(250, 130, 610, 250), "pod")
    drawing.box(Place(20, 225, 150, 60), "Keeper", "Secrets Manager")
    drawing.box(Place(280, 170, 170, 60), "init container", "before everything else", ours=True)
    drawing.box(Place(280, 290, 170, 60), "sidecar", "replaces what changed", ours=True)
    drawing.box(Place(512, 222, 150, 76), "memory volume", "/keeper/secrets", ours=True)
    drawing.box(Place(726, 230, 120, 60), "application")
    drawing.arrow("M280 200 H225 V240 H178", "HTTPS", (212, 192))
    drawing.arrow("M280 320 H225 V270 H178")
    drawing.arrow("M450 200 H485 V246 H504", "writes", (480, 190))
    drawing.arrow("M450 320 H485 V274 H504", "writes", (480, 338))
    drawing.arrow("M726 260 H670", "reads", (696, 250))
    return drawing.svg()


class Drawing:
    """An SVG drawing that grows part by part."""

    def __init__(self, colours: Palette) -> None:
        self._colours = colours
        self._parts: list[str] = []

    def box(self, place: Place, name: str, note: str = "", *, ours: bool = False) -> None:
        """Draw a box with a name and a note."""
        colours = self._colours
        fill, line = (colours.ours, colours.accent) if ours else (colours.box, colours.quiet)
        self._rectangle(place, f'fill="{fill}" stroke="{line}"')
        middle, centre = place.x + place.width // 2, place.y + place.height // 2
        self._text((middle, centre - 3 if note else centre + 5), name, 'font-size="15" font-weight="600"', colours.text)
        if note:
            self._text((middle, centre + 16), note)

    def frame(self, place: Place, name: str) -> None:
        """Draw a frame around boxes, with its name in the corner."""
        self._rectangle(place, f'fill="{self._colours.frame}" stroke="{self._colours.quiet}" stroke-dasharray="6 4"')
        self._text((place.x + 28, place.y + 24), name)

    def arrow(self, path: str, name: str = "", position: tuple[int, int] = (0, 0)) -> None:
        """Draw an arrow along *path*, the data of an SVG path, and its name at *position*."""
        line = f'stroke="{self._colours.quiet}" stroke-width="1.5"'
        self._parts.append(f'<path d="{path}" fill="none" {line} marker-end="url(#tip)"/>')
        if name:
            self._text(position, name)

    def svg(self) -> str:
        """Return the whole drawing."""
        size = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        tip = 'viewBox="0 0 8 8" refX="6" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title" font-family="{FONTS}">',
            f'<title id="title">{TITLE}</title>',
            f'<marker id="tip" {tip}><path d="M0 0 L8 4 L0 8 Z" fill="{self._colours.quiet}"/></marker>',
            *self._parts,
            "</svg>",
        ]
        return "".join(f"{line}\n" for line in lines)

    def _rectangle(self, place: Place, style: str) -> None:
        x, y, width, height = place
        self._parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" {style}/>')

    def _text(self, position: tuple[int, int], text: str, style: str = 'font-size="13"', colour: str = "") -> None:
        x, y = position
        fill = colour or self._colours.quiet
        self._parts.append(f'<text x="{x}" y="{y}" text-anchor="middle" {style} fill="{fill}">{escape(text)}</text>')


if __name__ == "__main__":
    sys.exit(main())
