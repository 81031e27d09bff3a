"""Softmax and its relatives in PyTorch, on any device. Twin of `in_numpy.ops`."""

import torch

from course_lib.shapes.basic import check_mask, check_scores
from course_lib.shapes.ops import check_class_labels


def softmax(scores):
    """Twin of `in_numpy.ops.softmax`; shapes as there."""
    check_scores("scores", scores)
    return torch.softmax(scores, dim=-1)


def masked_softmax(scores, mask=None):
    """Twin of `in_numpy.ops.masked_softmax`; shapes as there."""
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
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


def cross_entropy(logits, target, mask=None):
    """Twin of `in_numpy.ops.cross_entropy`; shapes as there."""
    check_class_labels(logits, target, mask)
    chosen = log_softmax(logits).gather(-1, target.long()[..., None])[..., 0]
    if mask is None:
        return -chosen.sum() / max(chosen.numel(), 1)
    counts = mask.expand(chosen.shape)
    return -chosen.masked_fill(~counts, 0).sum() / counts.sum().clamp(min=1)
