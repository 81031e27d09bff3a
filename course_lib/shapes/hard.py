"""Checks of `in_numpy.hard` and its twin."""

from numbers import Real

from course_lib.shapes.attention import check_scores_and_value
from course_lib.shapes.basic import (
    check_array,
    check_mask,
    check_one_kind,
    check_scores,
    check_shape,
)


def check_hard(scores, value, mask, noise):
    """Refuse what `attend_hard` cannot combine; every score needs its own noise."""
    check_scores_and_value(scores, value, mask)
    if noise is not None:
        check_like_scores("noise", noise, scores, mask)


def check_like_scores(name, array, scores, mask):
    """Refuse an array that is not one number for each score."""
    check_scores("scores", scores)
    check_mask(mask, scores.shape)
    because = f"scores have {tuple(scores.shape)}"
    check_shape(name, array, scores.shape, because)
    check_one_kind(**{"scores": scores, name: array, "mask": mask})


def check_choice_and_loss(scores, weights, loss, mask, baseline):
    """Refuse a choice, its losses and a baseline that do not belong together."""
    check_like_scores("weights", weights, scores, mask)
    because = f"scores have {tuple(scores.shape)}"
    check_shape("loss", loss, scores.shape[:-1], because)
    check_one_kind(scores=scores, loss=loss)
    if not isinstance(baseline, Real):
        check_array("baseline", baseline)
        check_one_kind(loss=loss, baseline=baseline)
    shape = tuple(getattr(baseline, "shape", ()))
    if shape not in ((), tuple(loss.shape)):
        raise ValueError(
            f"baseline has shape {shape} but loss has {tuple(loss.shape)}: expected "
            "one number, or one for each loss"
        )


def check_average(average, loss, decay):
    """Refuse an average that is no single number, and a decay that forgets nothing."""
    if not isinstance(average, Real):
        check_array("average", average)
    shape = tuple(getattr(average, "shape", ()))
    if shape != ():
        raise ValueError(f"average must be one number, but its shape is {shape}")
    check_array("loss", loss)
    if not isinstance(decay, Real) or not 0 <= decay < 1:
        raise ValueError(f"decay must be a number from 0 up and below 1, got {decay!r}")


def check_learned_baseline(baseline, loss):
    """Refuse a baseline that is not one number for each loss."""
    check_array("loss", loss)
    because = f"loss has {tuple(loss.shape)}"
    check_shape("baseline", baseline, loss.shape, because)
    check_one_kind(baseline=baseline, loss=loss)
