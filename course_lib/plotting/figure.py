"""Figures of the course: one look, crisp at any size, never without alt text."""

import io

import matplotlib as mpl
from IPython.display import SVG, display

from course_lib.plotting.palette import LIGHT

STYLE = {
    "axes.edgecolor": LIGHT["muted"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.prop_cycle": mpl.cycler(
        color=[LIGHT["query"], LIGHT["key"], LIGHT["value"], LIGHT["ink"]]
    ),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    "svg.hashsalt": "attention",
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
}


def use_course_style():
    """Give every figure made from here on the look of the course."""
    mpl.rcParams.update(STYLE)


def show(figure, alt):
    """Display a figure as SVG under its alt text, and close it.

    Args:
        figure: matplotlib Figure
        alt:    what a reader who cannot see the picture needs to know from it

    Raises:
        ValueError: alt is too short to say anything.
    """
    if len(alt.split()) < 5:
        raise ValueError(f"alt must describe the figure in a sentence, got {alt!r}")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    display(SVG(text.getvalue()), metadata={"image/svg+xml": {"alt": alt}})
    mpl.pyplot.close(figure)
