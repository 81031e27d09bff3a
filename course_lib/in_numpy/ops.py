"""Softmax, norms and activations, each with its backward step. NumPy, no state.

A backward function takes the gradient of a loss with respect to an output (`d_output`)
and returns it with respect to the inputs. It multiplies with the Jacobian row by row
and never builds the n x n matrix.
"""

import math

import numpy as np

from course_lib.shapes.basic import check_floats, check_scores
from course_lib.shapes.ops import (
    check_class_labels,
    check_normalised,
    check_scores_and_mask,
)


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
    exactly zero passes nothing on, not even an infinite d_weight, so this serves
    `masked_softmax` too.

    Args:
        d_weights: (..., n)
        weights:   (..., n), what softmax or masked_softmax returned

    Returns:
        d_scores (..., n).
    """
    d_weights = np.where(weights == 0, 0, d_weights)
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
    check_scores_and_mask(scores, mask)
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


def cross_entropy(logits, target, mask=None, label_smoothing=0.0):
    """Mean negative log-probability of the right classes, in nats.

    Label smoothing gives the right class 1 - label_smoothing of the target and shares
    the rest among all classes, the right one included (Szegedy et al. 2016,
    arXiv:1512.00567, section 7).

    Args:
        logits: (..., n_classes), scores before the softmax
        target: (...) integers below n_classes; where it does not count, any integers
        mask:   broadcasts to (...), bool, True = counts. None = all count.
        label_smoothing: number from 0 to 1

    Returns:
        loss, a number; 0.0 when nothing counts.
    """
    check_class_labels(logits, target, mask, label_smoothing)
    counts = np.broadcast_to(True if mask is None else mask, target.shape)
    target = np.where(counts, target, 0)[..., None]
    log_weights = log_softmax(logits)
    chosen = np.take_along_axis(log_weights, target, axis=-1)[..., 0]
    if label_smoothing > 0:
        mean = log_weights.mean(axis=-1)
        chosen = (1 - label_smoothing) * chosen + label_smoothing * mean
    return -np.where(counts, chosen, 0).sum() / max(int(counts.sum()), 1)


def cross_entropy_backward(logits, target, mask=None, label_smoothing=0.0):
    """Gradient of `cross_entropy` with respect to the logits: (softmax - wanted) / n.

    Args: as for `cross_entropy`.

    Returns:
        d_logits (..., n_classes).
    """
    check_class_labels(logits, target, mask, label_smoothing)
    counts = np.broadcast_to(True if mask is None else mask, target.shape)
    weights = softmax(logits)
    one_hot = (np.arange(logits.shape[-1]) == target[..., None]).astype(weights.dtype)
    wanted = (1 - label_smoothing) * one_hot + label_smoothing / logits.shape[-1]
    return np.where(counts[..., None], weights - wanted, 0) / max(int(counts.sum()), 1)


def layer_norm(x, gain, bias, eps=1e-5):
    """Every vector with mean 0 and variance 1, then scaled and shifted per feature.

    Ba, Kiros and Hinton 2016, arXiv:1607.06450, section 3.

    Args:
        x:    (..., d)
        gain: (d,)
        bias: (d,)
        eps:  added to the variance, so that a constant vector gives no division by 0

    Returns:
        output (..., d).
    """
    check_normalised(x, gain, bias)
    centred = x - x.mean(axis=-1, keepdims=True)
    return rms_norm(centred, gain, eps) + bias


def layer_norm_backward(d_output, x, gain, bias, eps=1e-5):
    """Gradients d_x, d_gain, d_bias of `layer_norm`, each of the shape of its input."""
    centred = x - x.mean(axis=-1, keepdims=True)
    d_centred, d_gain = rms_norm_backward(d_output, centred, gain, eps)
    d_bias = d_output.sum(axis=tuple(range(x.ndim - 1)))
    return d_centred - d_centred.mean(axis=-1, keepdims=True), d_gain, d_bias


def rms_norm(x, gain, eps=1e-5):
    """Every vector divided by its root mean square, then scaled per feature.

    Zhang and Sennrich 2019, arXiv:1910.07467, equation 4; eps as in PyTorch.

    Args:
        x:    (..., d)
        gain: (d,)
        eps:  added to the mean square

    Returns:
        output (..., d).
    """
    check_normalised(x, gain)
    return gain * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)


def rms_norm_backward(d_output, x, gain, eps=1e-5):
    """Gradients d_x and d_gain of `rms_norm`, each of the shape of its input."""
    size = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)  # (..., 1)
    unit, d_unit = x / size, d_output * gain
    along = (unit * d_unit).mean(axis=-1, keepdims=True)
    d_gain = (d_output * unit).sum(axis=tuple(range(x.ndim - 1)))
    return (d_unit - unit * along) / size, d_gain


def relu(x):
    """max(x, 0), entry by entry."""
    check_floats("x", x)
    return np.maximum(x, 0)


def relu_backward(d_output, x):
    """Gradient of `relu` with respect to x; 0 at x = 0."""
    return np.where(x > 0, d_output, 0)


def sigmoid(x):
    """1 / (1 + exp(-x)), through tanh so that no exponential overflows."""
    check_floats("x", x)
    return 0.5 * (1 + np.tanh(0.5 * x))


def sigmoid_backward(d_output, x):
    """Gradient of `sigmoid` with respect to x."""
    return d_output * sigmoid(x) * sigmoid(-x)


def silu(x):
    """x sigmoid(x) (Elfwing, Uchibe and Doya 2017, arXiv:1702.03118)."""
    return x * sigmoid(x)


def silu_backward(d_output, x):
    """Gradient of `silu` with respect to x."""
    return d_output * sigmoid(x) * (1 + x * sigmoid(-x))


def gelu(x):
    """x times the chance that a standard normal number is below x: exact, with erf.

    Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2.
    """
    check_floats("x", x)
    return x * _below(x)


def gelu_backward(d_output, x):
    """Gradient of `gelu` with respect to x: Phi(x) + x phi(x), times d_output."""
    density = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return d_output * (_below(x) + x * density)


def _below(x):
    """Phi(x), the normal distribution function: (1 + erf(x / sqrt(2))) / 2."""
    erf = np.vectorize(math.erf, otypes=[np.result_type(x, np.float16)])
    return 0.5 * (1 + erf(x / math.sqrt(2)))
