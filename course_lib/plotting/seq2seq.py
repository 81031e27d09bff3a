"""The encoder-decoder as a picture: through one vector, and with attention."""

from course_lib.plotting.palette import LIGHT

WORDS_IN = ["seventy", "three"]
WORDS_OUT = ["drei", "und", "siebzig"]


def draw_seq2seq(ax, attention):
    """Draw an encoder reading two words and a decoder writing three; returns ax.

    Args:
        ax: matplotlib Axes
        attention: whether the decoder also looks back at the encoder's states
    """
    encoder = [(x, 1) for x in range(len(WORDS_IN))]
    decoder = [(x + 3, 1) for x in range(len(WORDS_OUT))]
    vector = (2, 1)
    for start, end in zip(
        [*encoder, vector, *decoder[:-1]], [*encoder[1:], vector, *decoder], strict=True
    ):
        _arrow(ax, (start[0] + 0.3, 1), (end[0] - 0.3, 1))
    for word, (x, _) in zip(WORDS_IN, encoder, strict=True):
        _node(ax, x, 1, "state", LIGHT["muted"])
        _arrow(ax, (x, 0.3), (x, 0.75))
        ax.text(x, 0.15, word, ha="center", va="center")
    for word, (x, _) in zip(WORDS_OUT, decoder, strict=True):
        _node(ax, x, 1, "state", LIGHT["muted"])
        _arrow(ax, (x, 0.75), (x, 0.3))
        ax.text(x, 0.15, word, ha="center", va="center")
    _node(ax, *vector, "vector", LIGHT["ink"], linewidth=2.5)
    if attention:
        for x, _ in decoder:
            for back, _ in encoder:
                _arrow(ax, (back, 1.25), (x, 1.25), LIGHT["ink"], bend=-0.35)
    ax.set(xlim=(-0.6, 5.6), ylim=(0, 2.4 if attention else 1.4))
    ax.axis("off")
    return ax


def _node(ax, x, y, text, colour, linewidth=1):
    box = {"boxstyle": "round,pad=0.35", "facecolor": LIGHT["paper"]}
    box |= {"edgecolor": colour, "linewidth": linewidth}
    ax.text(x, y, text, ha="center", va="center", size=8.5, color=colour, bbox=box)


def _arrow(ax, start, end, colour=LIGHT["muted"], bend=0.0):
    style = {"arrowstyle": "->", "color": colour}
    style |= {"connectionstyle": f"arc3,rad={bend}"}
    ax.annotate("", end, start, arrowprops=style)
