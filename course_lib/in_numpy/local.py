"""Local attention: each query looks at a window of keys around its own centre.

Luong, Pham and Manning 2015, arXiv:1508.04025, section 3.2. Positions count from 0.
Forward only: PyTorch's autograd has the gradients. NumPy, no state.
"""

import numpy as np

from course_lib.in_numpy.attention import attend
from course_lib.in_numpy.linear import linear
from course_lib.in_numpy.masks import combine_masks
from course_lib.in_numpy.ops import sigmoid
from course_lib.shapes.basic import check_count
from course_lib.shapes.local import check_local, check_predicted, check_window


def monotonic_centre(n_q):
    """The centres of "local-m": p_t = t, source and target run side by side.

    Args:
        n_q: int, the number of queries

    Returns:
        centre (n_q,), floats.
    """
    check_count("n_q", n_q, least=0)
    return np.arange(n_q, dtype=float)


def predicted_centre(query, W_p, v_p, lengths):
    """The centres of "local-p": p_t = S sigmoid(v_p . tanh(W_p q_t)), from 0 to S.

    Args:
        query:   (..., n_q, d_q)
        W_p:     (d_hidden, d_q)
        v_p:     (d_hidden,)
        lengths: (...) integers, S for each sequence

    Returns:
        centre (..., n_q).
    """
    check_predicted(query, W_p, v_p, lengths)
    share = sigmoid(np.tanh(linear(query, W_p)) @ v_p)  # (..., n_q), from 0 to 1
    return lengths[..., None].astype(share.dtype) * share


def local_mask(centre, half_width, n_k):
    """Hide what is farther from the centre than half the window.

    Args:
        centre:     (..., n_q)
        half_width: int from 1 up, D in the paper: at most 2 D + 1 keys are in reach
        n_k:        int, the number of keys

    Returns:
        mask (..., n_q, n_k), bool: True where |j - centre| <= half_width.
    """
    check_window(centre, half_width, n_k)
    return np.abs(_distance(centre, n_k)) <= half_width


def nearness(centre, half_width, n_k):
    """A Gaussian around each centre: exp(-(j - centre)^2 / (2 sigma^2)), sigma = D/2.

    It is 1 at the centre, exp(-2) = 0.135 at the edge of the window.

    Args:
        centre, half_width, n_k: as for `local_mask`

    Returns:
        nearness (..., n_q, n_k).
    """
    check_window(centre, half_width, n_k)
    return np.exp(-2 * (_distance(centre, n_k) / half_width) ** 2)


def local_attention(scores, value, centre, half_width, mask=None):
    """Attend within the window alone: "local-m" when the centre is `monotonic_centre`.

    Args:
        scores:     (..., n_q, n_k)
        value:      (..., n_k, d_v)
        centre:     broadcasts to (..., n_q)
        half_width: int from 1 up
        mask:       broadcasts to (..., n_q, n_k), bool, True = may attend

    Returns:
        output (..., n_q, d_v) and weights (..., n_q, n_k). Rows sum to 1, or to 0 where
        the window holds no key that is allowed.
    """
    check_local(scores, value, centre, half_width, mask)
    window = local_mask(centre, half_width, scores.shape[-1])
    return attend(scores, value, combine_masks(window, mask))


def gaussian_local_attention(scores, value, centre, half_width, mask=None):
    """Attend within the window, near keys favoured: "local-p" with `predicted_centre`.

    The weights of `local_attention` are multiplied by `nearness` and, as in the paper's
    equation 10, not brought back to sum 1. Only this factor tells the centre where to
    move: the window's edge has no gradient.

    Args: as for `local_attention`.

    Returns:
        output (..., n_q, d_v) and weights (..., n_q, n_k), rows summing to at most 1.
    """
    _, weights = local_attention(scores, value, centre, half_width, mask)
    weights = weights * nearness(centre, half_width, scores.shape[-1])
    return weights @ value, weights


def _distance(centre, n_k):
    """How far right of each centre each key is, (..., n_q, n_k)."""
    return np.arange(n_k, dtype=centre.dtype) - centre[..., None]
