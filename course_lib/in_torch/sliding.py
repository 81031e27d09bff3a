"""Attention in a window, in PyTorch, on any device. Twin of `in_numpy.sliding`."""

import math

import torch
from torch.nn.functional import pad

from course_lib.in_torch.ops import masked_softmax
from course_lib.shapes.sliding import check_sliding


def sliding_window_attention(query, key, value, window):
    """Twin of `in_numpy.sliding.sliding_window_attention`; shapes as there."""
    check_sliding(query, key, value, window)
    scores = _band(query, key, window) / math.sqrt(query.shape[-1])
    back = torch.arange(window, device=query.device)
    position = torch.arange(query.shape[-2], device=query.device)
    weights = masked_softmax(scores, back <= position[:, None])
    return _band_times(weights, value), weights


def _band(x, y, window):
    """x @ y.T, the band of it: (..., n, window)."""
    return torch.stack([(x * past).sum(dim=-1) for past in _pasts(y, window)], dim=-1)


def _band_times(band, x):
    """band @ x: (..., n, window) and (..., n, d) -> (..., n, d)."""
    pasts = enumerate(_pasts(x, band.shape[-1]))
    return sum(band[..., t, None] * past for t, past in pasts)


def _pasts(x, window):
    """Views of x (..., n, d), t = 0 .. window - 1 positions late, zeros before it."""
    n = x.shape[-2]
    padded = pad(x, (0, 0, window - 1, 0))
    for start in reversed(range(window)):
        yield padded[..., start : start + n, :]
