"""Observations about weights that the `explain` of many questions share."""

import numpy as np


def close(a, b):
    """Whether two arrays agree as far as an explanation needs (nan equals nan)."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, 1e-3, 1e-4, equal_nan=True)


def first(condition):
    """Index of the first True, a tuple of ints, or None."""
    found = np.argwhere(condition)
    return tuple(int(i) for i in found[0]) if len(found) else None


def row_name(index):
    """How to call a row: "row 3", "row (0, 2)", or "the row" if there is only one."""
    if not index:
        return "the row"
    return f"row {index[0] if len(index) == 1 else index}"


def overflow(scores, array):
    """A sentence if `array` is not finite because scores were too large for exp."""
    largest = np.max(scores)
    if np.isfinite(array).all() or largest < 80:
        return None
    return (
        f"A score is {largest:.0f}. exp of that overflows to inf, and inf / inf is "
        "nan. Subtract the largest score of each row before exp: no weight changes."
    )


def negative(weights):
    """A sentence if a weight is negative."""
    if not (weights < 0).any():
        return None
    return (
        f"A weight is {weights.min():.3g}, but weights are never negative: "
        "the exponential of each score makes them positive."
    )


def row_sum(weights):
    """A sentence if a row does not sum to 1 over the last axis."""
    sums = weights.sum(axis=-1)
    row = first(~np.isclose(sums, 1, atol=1e-3))
    if row is None:
        return None
    start = f"{row_name(row)} sums to {sums[row]:.3g} over the last axis"
    if weights.ndim > 1 and close(weights.sum(axis=-2), 1 + 0 * weights[..., 0, :]):
        fix = "but column 0 sums to 1: normalise over the last axis, `axis=-1`."
    elif close(weights.sum(), 1):
        fix = "because all the weights together sum to 1: each row should, `axis=-1`."
    else:
        fix = "instead of 1: divide by the sum over that axis."
    return f"{start[:1].upper()}{start[1:]} {fix}"


def ratio(scores, weights, right):
    """A sentence on two weights of one row whose ratio is not e^(difference)."""
    row = first(~np.isclose(weights, right, 1e-4, 1e-5).all(axis=-1))
    if row is None:
        return None
    high, low = int(np.argmax(scores[row])), int(np.argmin(scores[row]))
    gap = float(scores[row][high] - scores[row][low])
    return (
        f"In {row_name(row)} two scores differ by {gap:.3g}, so their weights should "
        f"have the ratio e^{gap:.3g} = {np.exp(gap):.4g}, but yours have "
        f"{weights[row][high] / weights[row][low]:.4g}."
    )
