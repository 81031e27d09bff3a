"""Attention in PyTorch, on any device. Twin of `in_numpy.attention`.

There are no backward functions here: autograd derives them, and the tests compare.
"""

import math

from course_lib.in_torch.ops import masked_softmax
from course_lib.shapes.attention import (
    check_key_and_value,
    check_query_and_key,
    check_scores_and_value,
    check_temperature,
)


def attend(scores, value, mask=None):
    """Twin of `in_numpy.attention.attend`; shapes as there."""
    check_scores_and_value(scores, value, mask)
    weights = masked_softmax(scores, mask)
    return weights @ value, weights


def scaled_dot_product_attention(query, key, value, mask=None, temperature=1.0):
    """Twin of `in_numpy.attention.scaled_dot_product_attention`; shapes as there."""
    check_query_and_key(query, key)
    check_key_and_value(key, value)
    check_temperature(temperature)
    scale = temperature * math.sqrt(query.shape[-1])
    scores = query @ key.transpose(-1, -2) / scale  # (..., n_q, n_k)
    return attend(scores, value, mask)
