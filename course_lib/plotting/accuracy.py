"""Accuracy against length, as lines with a band over the seeds."""

import numpy as np

from course_lib.plotting.palette import LIGHT

STYLES = {  # with attention: how the line looks, so that colour is not needed
    True: {"color": LIGHT["ink"], "linestyle": "-", "marker": "o", "markersize": 4},
    False: {"color": LIGHT["muted"], "linestyle": "--", "marker": "s", "markersize": 4},
}


def bin_names(bins):
    """Names of bins of lengths: [[1, 1], [2, 4]] becomes ["1", "2-4"]."""
    return [str(low) if low == high else f"{low}-{high}" for low, high in bins]


def draw_accuracy(ax, results, **style):
    """Draw the sequence accuracy of runs that differ in their seed; returns the mean.

    Args:
        ax: matplotlib Axes
        results: dicts of `course_lib.training.committed.read_results`, alike but for
            the seed
        style: changes to the line

    Returns:
        (n_bins,) the mean over the seeds.
    """
    accuracy = np.array([run["sequence_accuracy"][-1] for run in results])
    first = results[0]
    line = STYLES[first["attention"]] | style
    places = np.arange(len(first["bins"]))
    band = {"color": line["color"], "alpha": 0.15, "linewidth": 0}
    ax.fill_between(places, accuracy.min(axis=0), accuracy.max(axis=0), **band)
    ax.plot(places, accuracy.mean(axis=0), **line)
    ax.set_xticks(places, bin_names(first["bins"]))
    ax.set_ylim(-0.03, 1.03)
    if first["bins"][-1][0] > first["trained_lengths"][1]:  # a bin not trained on
        ax.axvspan(places[-1] - 0.5, places[-1] + 0.3, color="0.94", zorder=-1)
    return accuracy.mean(axis=0)
