"""Hard attention in PyTorch, on any device. Twin of `in_numpy.hard`."""

import torch

from course_lib.in_torch.ops import log_softmax, masked_softmax
from course_lib.shapes.basic import check_mask, check_positive, check_scores
from course_lib.shapes.hard import (
    check_average,
    check_choice_and_loss,
    check_hard,
    check_learned_baseline,
    check_like_scores,
)


def choose(scores, mask=None):
    """Twin of `in_numpy.hard.choose`; shapes as there."""
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
    allowed = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    best = allowed.argmax(dim=-1, keepdim=True)  # (..., 1)
    one_hot = torch.zeros_like(scores).scatter(-1, best, 1)  # (..., n)
    return one_hot if mask is None else one_hot.masked_fill(~mask, 0)


def attend_hard(scores, value, mask=None, noise=None):
    """Twin of `in_numpy.hard.attend_hard`; shapes as there."""
    check_hard(scores, value, mask, noise)
    noisy = scores if noise is None else scores + noise.to(scores.dtype)
    weights = choose(noisy, mask)
    return weights @ value, weights


def log_probability(scores, weights, mask=None):
    """Twin of `in_numpy.hard.log_probability`; shapes as there."""
    check_like_scores("weights", weights, scores, mask)
    allowed = scores
    if mask is not None:
        some = mask.any(dim=-1, keepdim=True)  # (..., 1)
        allowed = scores.masked_fill(~mask, -torch.inf).masked_fill(~some, 0)
    return log_softmax(allowed).masked_fill(weights != 1, 0).sum(dim=-1)


def score_function_gradient(scores, weights, loss, mask=None, baseline=0.0):
    """Twin of `in_numpy.hard.score_function_gradient`; shapes as there."""
    check_choice_and_loss(scores, weights, loss, mask, baseline)
    return (loss - baseline)[..., None] * (weights - masked_softmax(scores, mask))


def moving_average(average, loss, decay=0.9):
    """Twin of `in_numpy.hard.moving_average`; shapes as there."""
    check_average(average, loss, decay)
    if loss.numel() == 0:
        return average
    return decay * average + (1 - decay) * loss.mean()


def baseline_error(baseline, loss):
    """Twin of `in_numpy.hard.baseline_error`; shapes as there."""
    check_learned_baseline(baseline, loss)
    return ((baseline - loss.detach()) ** 2).sum() / max(loss.numel(), 1)


def attend_straight_through(scores, value, noise, mask=None, temperature=1.0):
    """Twin of `in_numpy.hard.attend_straight_through`; shapes as there."""
    check_positive("temperature", temperature)
    check_like_scores("noise", noise, scores, mask)
    _, hard = attend_hard(scores, value, mask, noise)
    noisy = scores + noise.to(scores.dtype)
    soft = masked_softmax(noisy / temperature, mask)
    weights = hard + (soft - soft.detach())  # adds zero, and the gradient of soft
    return weights @ value, weights


def expected_loss(scores, losses, mask=None):
    """Twin of `in_numpy.hard.expected_loss`; shapes as there."""
    check_like_scores("losses", losses, scores, mask)
    return (masked_softmax(scores, mask) * losses).sum(dim=-1)
