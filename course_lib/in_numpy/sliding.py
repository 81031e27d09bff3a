"""Attention in a window: the time and memory of a band, not of a square.

A band is kept by its diagonals: band[..., i, t] belongs to query i and to the key t
positions before it, so n x window numbers are all there is.
"""

import math

import numpy as np

from course_lib.in_numpy.linear import sum_to
from course_lib.in_numpy.ops import masked_softmax, softmax_backward
from course_lib.shapes.sliding import check_sliding


def sliding_window_attention(query, key, value, window):
    """Attention of each position to itself and the window - 1 positions before it.

    Beltagy, Peters and Cohan 2020, arXiv:2004.05150, section 3.1, looking back only. It
    equals `scaled_dot_product_attention` under `masks.sliding_window_mask(n, window)`,
    and computes nothing outside the window. Padding behind a sequence needs no mask:
    nobody looks ahead.

    Args:
        query:  (..., n, d_k)
        key:    (..., n, d_k)
        value:  (..., n, d_v)
        window: int from 1 up, how many positions a query may see

    Returns:
        output (..., n, d_v) and weights (..., n, window): weights[..., i, t] is what
        query i gives to position i - t. Rows sum to 1.
    """
    check_sliding(query, key, value, window)
    scores = _band(query, key, window) / math.sqrt(query.shape[-1])
    back = np.arange(window)
    inside = back <= np.arange(query.shape[-2])[:, None]  # (n, window)
    weights = masked_softmax(scores, inside)
    return _band_times(weights, value), weights


def sliding_window_attention_backward(d_output, query, key, value, window, weights):
    """Gradients of `sliding_window_attention`, with nothing outside the window either.

    Args:
        d_output: (..., n, d_v)
        query, key, value, window: as they went in
        weights:  (..., n, window), as they came out

    Returns:
        d_query, d_key, d_value, each of the shape of its input.
    """
    d_scores = softmax_backward(_band(d_output, value, window), weights)
    d_scores = d_scores / math.sqrt(query.shape[-1])  # (..., n, window)
    return (
        sum_to(_band_times(d_scores, key), query.shape),
        sum_to(_transposed_band_times(d_scores, query), key.shape),
        sum_to(_transposed_band_times(weights, d_output), value.shape),
    )


def _band(x, y, window):
    """x @ y.T, the band of it: (..., n, window)."""
    return np.stack([(x * past).sum(axis=-1) for past in _pasts(y, window)], axis=-1)


def _band_times(band, x):
    """band @ x: (..., n, window) and (..., n, d) -> (..., n, d)."""
    pasts = enumerate(_pasts(x, band.shape[-1]))
    return sum(band[..., t, None] * past for t, past in pasts)


def _transposed_band_times(band, x):
    """band.T @ x: what query i gives to position i - t is handed back to it."""
    n, window = band.shape[-2:]
    batch = np.broadcast_shapes(band.shape[:-2], x.shape[:-2])
    received = np.zeros((*batch, window - 1 + n, x.shape[-1]), band.dtype)
    for t in range(window):
        start = window - 1 - t
        received[..., start : start + n, :] += band[..., t, None] * x
    return received[..., window - 1 :, :]


def _pasts(x, window):
    """Views of x (..., n, d), t = 0 .. window - 1 positions late, zeros before it."""
    n = x.shape[-2]
    zeros = np.zeros((*x.shape[:-2], window - 1, x.shape[-1]), x.dtype)
    padded = np.concatenate([zeros, x], axis=-2)
    for start in reversed(range(window)):
        yield padded[..., start : start + n, :]
