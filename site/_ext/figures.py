"""Figures for both schemes: each drawing gets a twin in the colours of the dark one.

A drawing of the course has the colours of the palette, and tints of them. Its twin has
the same in the dark palette. The page holds both, shows one, and keeps their place.
"""

import re
from html import escape
from pathlib import Path

import imagesize
from docutils import nodes
from sphinx.writers.html5 import HTML5Translator

CSS = Path(__file__).resolve().parents[1] / "css" / "colours.css"
NEAR = 25  # of 255: how far a colour may lie from the tints of the palette


def palettes():
    """The light and the dark palette: {name: (red, green, blue)} each."""
    found = re.findall(r"--(\w+): #([0-9a-f]{6});", CSS.read_text("utf-8"))
    rgb = [(name, tuple(bytes.fromhex(colour))) for name, colour in found]
    half = len({name for name, _ in rgb})
    return dict(rgb[:half]), dict(rgb[half : 2 * half])


LIGHT, DARK = palettes()


def darkened(svg):
    """The text of a drawing in the colours of the dark scheme."""
    return re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: dark(found[0]), svg)


def dark(colour):
    """The colour of the dark scheme for one of the light: a tint stays a tint.

    A colour that is no tint of the palette stays as it is.

    Args:
        colour: "#rrggbb"
    """
    rgb = tuple(bytes.fromhex(colour[1:]))
    fits = [(*_fit(rgb, LIGHT[name]), name) for name in LIGHT if name != "paper"]
    distance, share, name = min(fits)
    if distance > NEAR:
        return colour
    mixed = _mix(DARK[name], DARK["paper"], share)
    return "#" + bytes(round(part) for part in mixed).hex()


def _fit(rgb, ink):
    """The mix of ink and paper nearest to a colour: (distance, share of the ink)."""
    paper = LIGHT["paper"]
    towards = [part - white for part, white in zip(ink, paper, strict=True)]
    away = [part - white for part, white in zip(rgb, paper, strict=True)]
    along = sum(a * b for a, b in zip(away, towards, strict=True))
    share = min(max(along / sum(part * part for part in towards), 0), 1)
    mixed = _mix(ink, paper, share)
    return max(abs(a - b) for a, b in zip(rgb, mixed, strict=True)), share


def _mix(ink, paper, share):
    return [p + share * (i - p) for i, p in zip(ink, paper, strict=True)]


def visit_image(self, node):
    """Write an image: with its size, when the reader comes near, in both schemes."""
    builder = self.builder
    if node["uri"] not in builder.images:
        return HTML5Translator.visit_image(self, node)
    source = Path(builder.srcdir, node["uri"])
    files = {"fig-both": builder.images[node["uri"]]}
    if source.suffix == ".svg":
        files = {
            "fig-light": files["fig-both"],
            "fig-dark": _write_twin(source, Path(builder.outdir, builder.imagedir)),
        }
    width, height = imagesize.get(source)
    for kind, name in files.items():
        self.body.append(
            f'<img class="{" ".join([kind, *node["classes"]])}" '
            f'src="{builder.imgpath}/{name}" alt="{escape(node.get("alt", ""))}" '
            f'width="{width:.0f}" height="{height:.0f}" loading="lazy">\n'
        )


def _write_twin(source, folder):
    folder.mkdir(parents=True, exist_ok=True)
    twin = folder / f"{source.stem}-dark.svg"
    twin.write_text(darkened(source.read_text("utf-8")), "utf-8")
    return twin.name


def depart_image(self, node):
    """Nothing is left to write."""


def setup(app):
    """Have Sphinx write images with our function."""
    app.add_node(nodes.image, override=True, html=(visit_image, depart_image))
