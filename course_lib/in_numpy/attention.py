"""Attention: scores become weights, weights average the values. NumPy, no state."""

import math

import numpy as np

from course_lib.in_numpy.ops import masked_softmax, softmax_backward
from course_lib.shapes.attention import (
    check_key_and_value,
    check_query_and_key,
    check_scores_and_value,
    check_temperature,
)


def attend(scores, value, mask=None):
    """The core of every kind of attention: softmax the scores, average the values.

    Args:
        scores: (..., n_q, n_k)
        value:  (..., n_k, d_v)
        mask:   broadcasts to (..., n_q, n_k), bool, True = may attend. None = all may.

    Returns:
        output (..., n_q, d_v) and weights (..., n_q, n_k), rows summing to 1.
        A query that may attend to nothing gets zeros.
    """
    check_scores_and_value(scores, value, mask)
    weights = masked_softmax(scores, mask)
    return weights @ value, weights


def attend_backward(d_output, weights, value):
    """Gradients of `attend` with respect to its scores and its value.

    Args:
        d_output: (..., n_q, d_v)
        weights:  (..., n_q, n_k), what attend returned
        value:    (..., n_k, d_v)

    Returns:
        d_scores (..., n_q, n_k) and d_value, of value's own shape.
    """
    d_value = np.swapaxes(weights, -1, -2) @ d_output  # (..., n_k, d_v)
    d_weights = d_output @ np.swapaxes(value, -1, -2)  # (..., n_q, n_k)
    d_scores = softmax_backward(d_weights, weights)
    return _sum_to(d_scores, weights.shape), _sum_to(d_value, value.shape)


def scaled_dot_product_attention(query, key, value, mask=None, temperature=1.0):
    """softmax(Q K^T / sqrt(d_k)) V.

    Vaswani et al. 2017, arXiv:1706.03762, equation 1. The temperature is ours: 1 is the
    paper's formula, towards 0 the best key takes all, towards infinity all weigh the
    same.

    Args:
        query: (..., n_q, d_k)
        key:   (..., n_k, d_k)
        value: (..., n_k, d_v)
        mask:  broadcasts to (..., n_q, n_k), bool, True = may attend. None = all may.
        temperature: positive number that divides the scores

    Returns:
        output (..., n_q, d_v) and weights (..., n_q, n_k), rows summing to 1.

    Raises:
        ValueError or TypeError naming the argument that does not fit.
    """
    check_query_and_key(query, key)
    check_key_and_value(key, value)
    check_temperature(temperature)
    scale = temperature * math.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale  # (..., n_q, n_k)
    return attend(scores, value, mask)


def scaled_dot_product_attention_backward(
    d_output, query, key, value, weights, temperature=1.0
):
    """Gradients of `scaled_dot_product_attention`, in four matrix products.

    Args:
        d_output: (..., n_q, d_v)
        query, key, value, temperature: as they went in
        weights:  (..., n_q, n_k), as they came out

    Returns:
        d_query, d_key, d_value, each of the shape of its input.
    """
    d_scores, d_value = attend_backward(d_output, weights, value)
    scale = temperature * math.sqrt(query.shape[-1])
    d_query = d_scores @ key / scale  # (..., n_q, d_k)
    d_key = np.swapaxes(d_scores, -1, -2) @ query / scale  # (..., n_k, d_k)
    return _sum_to(d_query, query.shape), _sum_to(d_key, key.shape), d_value


def _sum_to(gradient, shape):
    """Add up a gradient over the batch axes along which its input was broadcast."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    stretched = tuple(
        axis for axis, size in enumerate(shape) if size == 1 != gradient.shape[axis]
    )
    return gradient.sum(axis=stretched, keepdims=True)
