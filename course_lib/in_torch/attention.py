"""Attention in PyTorch, on any device. Twin of `in_numpy.attention`.

There are no backward functions here: autograd derives them, and the tests compare.
"""

from course_lib.in_torch.ops import masked_softmax
from course_lib.in_torch.scores import additive_scores, scaled_dot_scores
from course_lib.shapes.attention import check_key_and_value, check_scores_and_value


def attend(scores, value, mask=None):
    """Twin of `in_numpy.attention.attend`; shapes as there."""
    check_scores_and_value(scores, value, mask)
    weights = masked_softmax(scores, mask)
    return weights @ value, weights


def scaled_dot_product_attention(query, key, value, mask=None, temperature=1.0):
    """Twin of `in_numpy.attention.scaled_dot_product_attention`; shapes as there."""
    check_key_and_value(key, value)
    return attend(scaled_dot_scores(query, key, temperature), value, mask)


def additive_attention(query, key, value, W_q, W_k, v, mask=None):
    """Twin of `in_numpy.attention.additive_attention`; shapes as there."""
    check_key_and_value(key, value)
    return attend(additive_scores(query, key, W_q, W_k, v), value, mask)
