"""Attention weights as a picture: queries down, keys across, numbers in the boxes."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from course_lib.plotting.palette import LIGHT

WEIGHTS = LinearSegmentedColormap.from_list("weights", [LIGHT["paper"], LIGHT["ink"]])


def draw_weights(ax, weights, query_labels, key_labels):
    """Draw (n_q, n_k) weights in [0, 1] on ax; returns ax.

    Args:
        ax: matplotlib Axes
        weights: (n_q, n_k) array
        query_labels, key_labels: n_q and n_k strings
    """
    n_q, n_k = weights.shape
    edges = np.arange(n_k + 1) - 0.5, np.arange(n_q + 1) - 0.5
    ax.pcolormesh(*edges, weights, cmap=WEIGHTS, vmin=0, vmax=1, edgecolors="face")
    ax.invert_yaxis()
    for (row, column), weight in np.ndenumerate(weights):
        ink = LIGHT["paper"] if weight > 0.5 else LIGHT["ink"]
        ax.text(column, row, f"{weight:.2f}", ha="center", va="center", color=ink)
    ax.set_xticks(range(len(key_labels)), key_labels, color=LIGHT["key"])
    ax.set_yticks(range(len(query_labels)), query_labels, color=LIGHT["query"])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
