"""Who may look at whom: boolean masks, True = may attend."""

from functools import reduce

import numpy as np

from course_lib.shapes.basic import check_count
from course_lib.shapes.masks import check_lengths, check_masks, check_positions


def padding_mask(lengths, n_k):
    """Hide the padding behind each sequence.

    Args:
        lengths: (...) integers, the true length of each sequence
        n_k:     int, the padded length

    Returns:
        mask (..., 1, n_k), bool: True where key position j < length.
    """
    check_lengths(lengths, n_k)
    return np.arange(n_k) < lengths[..., None, None]


def causal_mask(n, n_k=None):
    """Hide the future: query i may attend to key j only if j <= i.

    Args:
        n:   int, the number of queries: the last n of the n_k positions
        n_k: int, the number of keys, at least n. None = n.

    Returns:
        mask (n, n_k), bool.
    """
    query, key = _positions(n, n_k)
    return key <= query


def sliding_window_mask(n, window, n_k=None):
    """Hide the future and the far past: each query sees itself and window - 1 before.

    Beltagy, Peters and Cohan 2020, arXiv:2004.05150, section 3.1, looking back only.

    Args:
        n:      int, the number of queries: the last n of the n_k positions
        window: int from 1 up, how many positions a query may see
        n_k:    int, the number of keys, at least n. None = n.

    Returns:
        mask (n, n_k), bool.
    """
    check_count("window", window)
    query, key = _positions(n, n_k)
    return (key <= query) & (query < key + window)


def combine_masks(*masks):
    """Allow what every mask allows.

    Args:
        masks: bool, shapes that broadcast against each other. None = allows all.

    Returns:
        mask of the broadcast shape, bool; None if every one is None.
    """
    given = [mask for mask in masks if mask is not None]
    check_masks(given)
    return reduce(np.logical_and, given) if given else None


def _positions(n, n_k):
    """Positions of the queries, as a column (n, 1), and of the keys (n_k,)."""
    check_positions(n, n_k)
    n_k = n if n_k is None else n_k
    return np.arange(n_k - n, n_k)[:, None], np.arange(n_k)
