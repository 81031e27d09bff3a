"""Softmax, norms and activations in PyTorch, on any device. Twin of `in_numpy.ops`."""

import torch
from torch.nn import functional as F

from course_lib.shapes.basic import check_floats, check_scores
from course_lib.shapes.ops import (
    check_class_labels,
    check_normalised,
    check_scores_and_mask,
)


def softmax(scores):
    """Twin of `in_numpy.ops.softmax`; shapes as there."""
    check_scores("scores", scores)
    return torch.softmax(scores, dim=-1)


def masked_softmax(scores, mask=None):
    """Twin of `in_numpy.ops.masked_softmax`; shapes as there."""
    check_scores_and_mask(scores, mask)
    if mask is None:
        return softmax(scores)
    allowed = scores.masked_fill(~mask, -torch.inf)
    some = mask.any(dim=-1, keepdim=True)  # (..., 1)
    weights = softmax(allowed.masked_fill(~some, 0))  # -inf alone would be nan
    return weights.masked_fill(~mask, 0)


def log_softmax(scores):
    """Twin of `in_numpy.ops.log_softmax`; shapes as there."""
    check_scores("scores", scores)
    return torch.log_softmax(scores, dim=-1)


def cross_entropy(logits, target, mask=None, label_smoothing=0.0):
    """Twin of `in_numpy.ops.cross_entropy`; shapes as there."""
    check_class_labels(logits, target, mask, label_smoothing)
    counts = torch.ones_like(target, dtype=torch.bool)
    if mask is not None:
        counts = counts & mask
    target = target.long().masked_fill(~counts, 0)[..., None]
    log_weights = log_softmax(logits)
    chosen = log_weights.gather(-1, target)[..., 0]
    if label_smoothing > 0:
        mean = log_weights.mean(dim=-1)
        chosen = (1 - label_smoothing) * chosen + label_smoothing * mean
    return -chosen.masked_fill(~counts, 0).sum() / counts.sum().clamp(min=1)


def layer_norm(x, gain, bias, eps=1e-5):
    """Twin of `in_numpy.ops.layer_norm`; shapes as there."""
    check_normalised(x, gain, bias)
    return F.layer_norm(x, gain.shape, gain, bias, eps)


def rms_norm(x, gain, eps=1e-5):
    """Twin of `in_numpy.ops.rms_norm`; shapes as there."""
    check_normalised(x, gain)
    return F.rms_norm(x, gain.shape, gain, eps)


def relu(x):
    """Twin of `in_numpy.ops.relu`; shapes as there."""
    check_floats("x", x)
    return torch.relu(x)


def sigmoid(x):
    """Twin of `in_numpy.ops.sigmoid`; shapes as there."""
    check_floats("x", x)
    return torch.sigmoid(x)


def silu(x):
    """Twin of `in_numpy.ops.silu`; shapes as there."""
    check_floats("x", x)
    return F.silu(x)


def gelu(x):
    """Twin of `in_numpy.ops.gelu`; shapes as there."""
    check_floats("x", x)
    return F.gelu(x)
