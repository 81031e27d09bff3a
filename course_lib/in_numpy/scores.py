"""How well a key fits a query: the scores that `attend` turns into weights.

Each takes a query (..., n_q, d_q) and a key (..., n_k, d_k) and returns scores
(..., n_q, n_k). The names are those of Luong, Pham and Manning 2015, arXiv:1508.04025,
section 3.1. NumPy, no state.
"""

import math

import numpy as np

from course_lib.in_numpy.linear import linear, linear_backward, sum_to
from course_lib.shapes.attention import check_query_and_key
from course_lib.shapes.basic import check_positive
from course_lib.shapes.scores import (
    check_additive,
    check_concat,
    check_general,
    check_location,
)


def dot_scores(query, key):
    """score(q, k) = q . k: large where the two point the same way.

    Args:
        query: (..., n_q, d_k)
        key:   (..., n_k, d_k)

    Returns:
        scores (..., n_q, n_k).
    """
    check_query_and_key(query, key)
    return query @ np.swapaxes(key, -1, -2)


def dot_scores_backward(d_scores, query, key):
    """Gradients of `dot_scores`: each side receives the other, weighted by d_scores.

    Args:
        d_scores: (..., n_q, n_k)
        query, key: as they went in

    Returns:
        d_query, d_key, each of the shape of its input.
    """
    d_query = d_scores @ key  # (..., n_q, d_k)
    d_key = np.swapaxes(d_scores, -1, -2) @ query  # (..., n_k, d_k)
    return sum_to(d_query, query.shape), sum_to(d_key, key.shape)


def scaled_dot_scores(query, key, temperature=1.0):
    """score(q, k) = q . k / sqrt(d_k), whose spread does not grow with the width d_k.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.1. The temperature is ours: 1 is
    the paper's formula, towards 0 the best key takes all, towards infinity all weigh
    the same.

    Args:
        query: (..., n_q, d_k)
        key:   (..., n_k, d_k)
        temperature: positive number that divides the scores

    Returns:
        scores (..., n_q, n_k).
    """
    check_positive("temperature", temperature)
    scale = float(temperature) * math.sqrt(query.shape[-1])
    return dot_scores(query, key) / scale


def scaled_dot_scores_backward(d_scores, query, key, temperature=1.0):
    """Gradients d_query, d_key of `scaled_dot_scores`, of the shapes of the inputs."""
    scale = float(temperature) * math.sqrt(query.shape[-1])
    return dot_scores_backward(d_scores / scale, query, key)


def general_scores(query, key, W):
    """score(q, k) = q^T W k: the dot product after a learnt change of coordinates.

    Args:
        query: (..., n_q, d_q)
        key:   (..., n_k, d_k)
        W:     (d_q, d_k)

    Returns:
        scores (..., n_q, n_k).
    """
    check_general(query, key, W)
    return dot_scores(query @ W, key)


def general_scores_backward(d_scores, query, key, W):
    """Gradients of `general_scores`: those of a dot product, then of a linear map.

    Args:
        d_scores: (..., n_q, n_k)
        query, key, W: as they went in

    Returns:
        d_query, d_key, d_W, each of the shape of its input.
    """
    d_projected, d_key = dot_scores_backward(d_scores, query @ W, key)
    d_query, d_W_transposed, _ = linear_backward(d_projected, query, W.T)
    return d_query, d_key, d_W_transposed.T


def concat_scores(query, key, W, v):
    """score(q, k) = v . tanh(W [q; k]): one hidden layer reads both, side by side.

    The first d_q columns of W meet the query and the others the key, so this is
    `additive_scores` with W cut in two.

    Args:
        query: (..., n_q, d_q)
        key:   (..., n_k, d_k)
        W:     (d_hidden, d_q + d_k)
        v:     (d_hidden,)

    Returns:
        scores (..., n_q, n_k).
    """
    check_concat(query, key, W, v)
    d_q = query.shape[-1]
    return additive_scores(query, key, W[:, :d_q], W[:, d_q:], v)


def concat_scores_backward(d_scores, query, key, W, v):
    """Gradients d_query, d_key, d_W, d_v of `concat_scores`, shaped as the inputs."""
    d_q = query.shape[-1]
    d_query, d_key, d_W_q, d_W_k, d_v = additive_scores_backward(
        d_scores, query, key, W[:, :d_q], W[:, d_q:], v
    )
    return d_query, d_key, np.concatenate([d_W_q, d_W_k], axis=-1), d_v


def additive_scores(query, key, W_q, W_k, v):
    """score(q, k) = v . tanh(W_q q + W_k k).

    Bahdanau et al. 2015, arXiv:1409.0473, appendix A.1.2.

    Args:
        query: (..., n_q, d_q)
        key:   (..., n_k, d_k)
        W_q:   (d_hidden, d_q)
        W_k:   (d_hidden, d_k)
        v:     (d_hidden,)

    Returns:
        scores (..., n_q, n_k).
    """
    check_additive(query, key, W_q, W_k, v)
    return _hidden(query, key, W_q, W_k) @ v


def additive_scores_backward(d_scores, query, key, W_q, W_k, v):
    """Gradients of `additive_scores`; the hidden layer is computed again.

    Args:
        d_scores: (..., n_q, n_k)
        query, key, W_q, W_k, v: as they went in

    Returns:
        d_query, d_key, d_W_q, d_W_k, d_v, each of the shape of its input.
    """
    hidden = _hidden(query, key, W_q, W_k)
    d_v = np.tensordot(d_scores, hidden, d_scores.ndim)
    d_sum = d_scores[..., None] * v * (1 - hidden**2)  # before the tanh
    d_projected_query = sum_to(d_sum.sum(axis=-2), (*query.shape[:-1], v.size))
    d_projected_key = sum_to(d_sum.sum(axis=-3), (*key.shape[:-1], v.size))
    d_query, d_W_q, _ = linear_backward(d_projected_query, query, W_q)
    d_key, d_W_k, _ = linear_backward(d_projected_key, key, W_k)
    return d_query, d_key, d_W_q, d_W_k, d_v


def location_scores(query, W, n_k):
    """The score of position j is row j of W times q: where to look, whatever is there.

    W has a row for every position there can be, and the first n_k are used.

    Args:
        query: (..., n_q, d_q)
        W:     (n_max, d_q)
        n_k:   int from 1 to n_max, the number of keys

    Returns:
        scores (..., n_q, n_k).
    """
    check_location(query, W, n_k)
    return linear(query, W[:n_k])


def location_scores_backward(d_scores, query, W, n_k):
    """Gradients d_query, d_W of `location_scores`; unused rows of W get zeros."""
    d_query, d_used, _ = linear_backward(d_scores, query, W[:n_k])
    d_W = np.zeros(W.shape, d_used.dtype)
    d_W[:n_k] = d_used
    return d_query, d_W


def _hidden(query, key, W_q, W_k):
    """The hidden layer of every pair, (..., n_q, n_k, d_hidden)."""
    projected_query = linear(query, W_q)[..., :, None, :]  # (..., n_q, 1, d_hidden)
    projected_key = linear(key, W_k)[..., None, :, :]  # (..., 1, n_k, d_hidden)
    return np.tanh(projected_query + projected_key)
