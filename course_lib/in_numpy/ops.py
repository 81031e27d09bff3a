"""Softmax and its relatives, each with its backward step. NumPy only, no state.

A backward function takes the gradient of a loss with respect to an output (`d_output`)
and returns it with respect to the inputs. It multiplies with the Jacobian row by row
and never builds the n x n matrix.
"""

import numpy as np

from course_lib.shapes.basic import check_mask, check_scores
from course_lib.shapes.ops import check_class_labels


def softmax(scores):
    """Positive weights that sum to 1 over the last axis: exp(s_i) / sum_j exp(s_j).

    The largest score is subtracted first. That changes no weight and keeps exp finite.

    Args:
        scores: (..., n), at least one score a row

    Returns:
        weights (..., n), rows summing to 1.
    """
    check_scores("scores", scores)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def softmax_backward(d_weights, weights):
    """Gradient with respect to the scores, given that with respect to the weights.

    d_scores_i = weights_i (d_weights_i - sum_j weights_j d_weights_j). A weight of
    exactly zero passes nothing on, so this serves `masked_softmax` too.

    Args:
        d_weights: (..., n)
        weights:   (..., n), what softmax or masked_softmax returned

    Returns:
        d_scores (..., n).
    """
    average = (weights * d_weights).sum(axis=-1, keepdims=True)  # (..., 1)
    return weights * (d_weights - average)


def masked_softmax(scores, mask=None):
    """Softmax over the allowed positions; every other weight is exactly zero.

    A row in which nothing is allowed gives zeros, in the weights and in the gradient.

    Args:
        scores: (..., n)
        mask:   broadcasts to (..., n), bool, True = may attend. None = all may.

    Returns:
        weights (..., n), rows summing to 1, or to 0 where nothing is allowed.
    """
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
    if mask is None:
        return softmax(scores)
    allowed = np.where(mask, scores, -np.inf)
    some = mask.any(axis=-1, keepdims=True)  # (..., 1)
    weights = softmax(np.where(some, allowed, 0))  # a row of -inf alone would be nan
    return np.where(mask, weights, 0)


def log_softmax(scores):
    """Logarithm of the softmax, exact where the softmax itself rounds to zero.

    Args:
        scores: (..., n)

    Returns:
        log_weights (..., n): s_i - max - log(sum_j exp(s_j - max)).
    """
    check_scores("scores", scores)
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def log_softmax_backward(d_log_weights, log_weights):
    """Gradient with respect to the scores of `log_softmax`.

    Args:
        d_log_weights: (..., n)
        log_weights:   (..., n), what log_softmax returned

    Returns:
        d_scores (..., n).
    """
    total = d_log_weights.sum(axis=-1, keepdims=True)
    return d_log_weights - np.exp(log_weights) * total


def cross_entropy(logits, target, mask=None):
    """Mean negative log-probability of the right classes, in nats.

    Args:
        logits: (..., n_classes), scores before the softmax
        target: (...) integers below n_classes
        mask:   broadcasts to (...), bool, True = counts. None = all count.

    Returns:
        loss, a number; 0.0 when nothing counts.
    """
    check_class_labels(logits, target, mask)
    counts = np.broadcast_to(True if mask is None else mask, target.shape)
    chosen = np.take_along_axis(log_softmax(logits), target[..., None], axis=-1)[..., 0]
    return -np.where(counts, chosen, 0).sum() / max(int(counts.sum()), 1)


def cross_entropy_backward(logits, target, mask=None):
    """Gradient of `cross_entropy` with respect to the logits: (softmax - one-hot) / n.

    Args: as for `cross_entropy`.

    Returns:
        d_logits (..., n_classes).
    """
    check_class_labels(logits, target, mask)
    counts = np.broadcast_to(True if mask is None else mask, target.shape)
    one_hot = np.arange(logits.shape[-1]) == target[..., None]
    d_logits = np.where(counts[..., None], softmax(logits) - one_hot, 0)
    return d_logits / max(int(counts.sum()), 1)
