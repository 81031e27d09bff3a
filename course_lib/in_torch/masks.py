"""Boolean masks in PyTorch, True = may attend. Twin of `in_numpy.masks`."""

from functools import reduce

import torch

from course_lib.shapes.basic import check_count
from course_lib.shapes.masks import check_lengths, check_masks, check_positions


def padding_mask(lengths, n_k):
    """Twin of `in_numpy.masks.padding_mask`; on the device of `lengths`."""
    check_lengths(lengths, n_k)
    return torch.arange(n_k, device=lengths.device) < lengths[..., None, None]


def causal_mask(n, n_k=None, device=None):
    """Twin of `in_numpy.masks.causal_mask`; on `device`."""
    query, key = _positions(n, n_k, device)
    return key <= query


def sliding_window_mask(n, window, n_k=None, device=None):
    """Twin of `in_numpy.masks.sliding_window_mask`; on `device`."""
    check_count("window", window)
    query, key = _positions(n, n_k, device)
    return (key <= query) & (query < key + window)


def combine_masks(*masks):
    """Twin of `in_numpy.masks.combine_masks`; shapes as there."""
    given = [mask for mask in masks if mask is not None]
    check_masks(given)
    return reduce(torch.logical_and, given) if given else None


def _positions(n, n_k, device):
    """Positions of the queries, as a column (n, 1), and of the keys (n_k,)."""
    check_positions(n, n_k)
    n_k = n if n_k is None else n_k
    position = torch.arange(n_k, device=device)
    return position[n_k - n :, None], position
