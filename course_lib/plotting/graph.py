"""Scaled dot-product attention as a graph: a box an array, its gradient below it."""

from matplotlib.patches import FancyBboxPatch

from course_lib.plotting.palette import LIGHT

BOXES = {  # name: (x, y, formula, shape, gradient, colour)
    "query": (0, 2, "$Q$", "$n_q, d_k$", "$dS\\,K/\\sqrt{d_k}$", "query"),
    "key": (0, 1, "$K$", "$n_k, d_k$", "$dS^\\top Q/\\sqrt{d_k}$", "key"),
    "value": (0, 0, "$V$", "$n_k, d_v$", "$W^\\top dO$", "value"),
    "scores": (2, 1.5, "$S=QK^\\top/\\sqrt{d_k}$", "$n_q, n_k$", "step 3", "ink"),
    "weights": (4, 1.5, "$W=$ softmax$(S)$", "$n_q, n_k$", "$dO\\,V^\\top$", "ink"),
    "output": (6, 0.75, "$O=WV$", "$n_q, d_v$", "from the loss", "ink"),
}
EDGES = [
    ("query", "scores"),
    ("key", "scores"),
    ("scores", "weights"),
    ("weights", "output"),
    ("value", "output"),
]
WIDTH, HEIGHT = 1.36, 0.5


def draw_attention_graph(ax):
    """Draw the computation, the shape and the gradient of each array; returns ax."""
    for name, box in BOXES.items():
        _draw_box(ax, name, *box)
    for start, end in EDGES:
        _draw_edge(ax, BOXES[start][:2], BOXES[end][:2])
    ax.set(xlim=(-0.75, 6.75), ylim=(-0.55, 2.35))
    ax.axis("off")
    return ax


def _draw_box(ax, name, x, y, formula, shape, gradient, colour):
    corner = (x - WIDTH / 2, y - HEIGHT / 2)
    box = FancyBboxPatch(
        corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.1"
    )
    box.set(facecolor=LIGHT["paper"], edgecolor=LIGHT[colour], linewidth=1.6)
    ax.add_patch(box)
    ink = {"ha": "center", "va": "center", "color": LIGHT[colour]}
    ax.text(x, y + 0.1, formula, size=10.5, **ink)
    ax.text(x, y - 0.13, shape, size=8.5, **ink)
    symbol = {"scores": "S", "weights": "W", "output": "O"}.get(name, name[0].upper())
    ink["color"] = LIGHT["muted"]
    ax.text(x, y - 0.38, f"$d{symbol}$: {gradient}", size=9, **ink)


def _draw_edge(ax, start, end):
    """Two arrows side by side: solid forward, dashed backward."""
    left = start[0] + WIDTH / 2 + 0.04, start[1]
    right = end[0] - WIDTH / 2 - 0.04, end[1]
    for (x0, y0), (x1, y1), shift, style, colour in (
        (left, right, 0.06, "-", "ink"),
        (right, left, -0.06, "--", "muted"),
    ):
        arrow = {"arrowstyle": "->", "linestyle": style, "color": LIGHT[colour]}
        ax.annotate("", (x1, y1 + shift), (x0, y0 + shift), arrowprops=arrow)
