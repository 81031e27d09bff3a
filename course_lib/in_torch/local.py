"""Local attention in PyTorch, on any device. Twin of `in_numpy.local`."""

import torch

from course_lib.in_torch.attention import attend
from course_lib.in_torch.linear import linear
from course_lib.in_torch.masks import combine_masks
from course_lib.in_torch.ops import sigmoid
from course_lib.shapes.basic import check_count
from course_lib.shapes.local import check_local, check_predicted, check_window


def monotonic_centre(n_q, dtype=None, device=None):
    """Twin of `in_numpy.local.monotonic_centre`; dtype None is float32."""
    check_count("n_q", n_q, least=0)
    return torch.arange(n_q, dtype=dtype or torch.float32, device=device)


def predicted_centre(query, W_p, v_p, lengths):
    """Twin of `in_numpy.local.predicted_centre`; shapes as there."""
    check_predicted(query, W_p, v_p, lengths)
    share = sigmoid(torch.tanh(linear(query, W_p)) @ v_p)  # (..., n_q), from 0 to 1
    return lengths[..., None] * share


def local_mask(centre, half_width, n_k):
    """Twin of `in_numpy.local.local_mask`; shapes as there."""
    check_window(centre, half_width, n_k)
    return _distance(centre, n_k).abs() <= half_width


def nearness(centre, half_width, n_k):
    """Twin of `in_numpy.local.nearness`; shapes as there."""
    check_window(centre, half_width, n_k)
    return torch.exp(-2 * (_distance(centre, n_k) / half_width) ** 2)


def local_attention(scores, value, centre, half_width, mask=None):
    """Twin of `in_numpy.local.local_attention`; shapes as there."""
    check_local(scores, value, centre, half_width, mask)
    window = local_mask(centre, half_width, scores.shape[-1])
    return attend(scores, value, combine_masks(window, mask))


def gaussian_local_attention(scores, value, centre, half_width, mask=None):
    """Twin of `in_numpy.local.gaussian_local_attention`; shapes as there."""
    _, weights = local_attention(scores, value, centre, half_width, mask)
    weights = weights * nearness(centre, half_width, scores.shape[-1])
    return weights @ value, weights


def _distance(centre, n_k):
    """How far right of each centre each key is, (..., n_q, n_k)."""
    position = torch.arange(n_k, dtype=centre.dtype, device=centre.device)
    return position - centre[..., None]
