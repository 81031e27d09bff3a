"""Checks of `in_numpy.ops` and its twin."""

from numbers import Real

from course_lib.shapes.basic import (
    check_integers,
    check_mask,
    check_one_kind,
    check_scores,
    check_shape,
)


def check_scores_and_mask(scores, mask):
    """Refuse scores that have no softmax, and a mask that is not for them."""
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
    check_one_kind(scores=scores, mask=mask)


def check_class_labels(logits, target, mask, label_smoothing):
    """Refuse logits, target and mask that do not belong together."""
    check_scores("logits", logits)
    check_integers("target", target)
    if tuple(target.shape) != tuple(logits.shape[:-1]):
        raise ValueError(
            f"target has shape {tuple(target.shape)} but logits have "
            f"{tuple(logits.shape)}: expected {tuple(logits.shape[:-1])}"
        )
    check_mask(mask, target.shape)
    check_one_kind(logits=logits, target=target, mask=mask)
    if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"label_smoothing must be a number from 0 to 1, got {label_smoothing!r}"
        )


def check_normalised(x, gain, bias=None):
    """Refuse a gain or a bias that is not one number for each feature of x."""
    check_scores("x", x)
    because = f"x has {x.shape[-1]} features"
    check_shape("gain", gain, x.shape[-1:], because)
    if bias is not None:
        check_shape("bias", bias, x.shape[-1:], because)
    check_one_kind(x=x, gain=gain, bias=bias)
