"""Attention: scores become weights, weights average the values. NumPy, no state."""

import numpy as np

from course_lib.in_numpy.linear import sum_to
from course_lib.in_numpy.ops import masked_softmax, softmax_backward
from course_lib.in_numpy.scores import (
    additive_scores,
    additive_scores_backward,
    scaled_dot_scores,
    scaled_dot_scores_backward,
)
from course_lib.shapes.attention import check_key_and_value, check_scores_and_value


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
    return sum_to(d_scores, weights.shape), sum_to(d_value, value.shape)


def scaled_dot_product_attention(query, key, value, mask=None, temperature=1.0):
    """softmax(Q K^T / sqrt(d_k)) V.

    Vaswani et al. 2017, arXiv:1706.03762, equation 1, with a temperature: see
    `scaled_dot_scores`.

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
    check_key_and_value(key, value)
    return attend(scaled_dot_scores(query, key, temperature), value, mask)


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
    d_query, d_key = scaled_dot_scores_backward(d_scores, query, key, temperature)
    return d_query, d_key, d_value


def additive_attention(query, key, value, W_q, W_k, v, mask=None):
    """Additive attention: score(q, k) = v . tanh(W_q q + W_k k).

    Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2.

    Args:
        query: (..., n_q, d_q)
        key:   (..., n_k, d_k)
        value: (..., n_k, d_v)
        W_q:   (d_hidden, d_q)
        W_k:   (d_hidden, d_k)
        v:     (d_hidden,)
        mask:  broadcasts to (..., n_q, n_k), bool, True = may attend. None = all may.

    Returns:
        output (..., n_q, d_v) and weights (..., n_q, n_k), rows summing to 1.
    """
    check_key_and_value(key, value)
    return attend(additive_scores(query, key, W_q, W_k, v), value, mask)


def additive_attention_backward(d_output, query, key, value, W_q, W_k, v, weights):
    """Gradients of `additive_attention`.

    Args:
        d_output: (..., n_q, d_v)
        query, key, value, W_q, W_k, v: as they went in
        weights:  (..., n_q, n_k), as they came out

    Returns:
        d_query, d_key, d_value, d_W_q, d_W_k, d_v, each of the shape of its input.
    """
    d_scores, d_value = attend_backward(d_output, weights, value)
    d_query, d_key, *d_weights = additive_scores_backward(
        d_scores, query, key, W_q, W_k, v
    )
    return d_query, d_key, d_value, *d_weights
