"""Who may look at whom: boolean masks, True = may attend."""

import numpy as np

from course_lib.shapes.basic import check_array


def padding_mask(lengths, n_k):
    """Hide the padding behind each sequence.

    Args:
        lengths: (n_batch,) integers, the true length of each sequence
        n_k:     int, the padded length

    Returns:
        mask (n_batch, 1, n_k), bool: True where key position j < length.
    """
    check_array("lengths", lengths)
    return np.arange(n_k) < lengths[..., None, None]


def causal_mask(n):
    """Hide the future: query i may attend to key j only if j <= i.

    Args:
        n: int, the length of the sequence

    Returns:
        mask (n, n), bool.
    """
    position = np.arange(n)
    return position[None, :] <= position[:, None]
