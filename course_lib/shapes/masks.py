"""Checks of `in_numpy.masks` and its twin."""

from course_lib.shapes.basic import (
    check_boolean,
    check_count,
    check_integers,
    check_one_kind,
    fit,
)


def check_lengths(lengths, n_k):
    """Refuse lengths that are no whole numbers, and a padded length that is none."""
    check_integers("lengths", lengths)
    check_count("n_k", n_k, least=0)


def check_positions(n, n_k):
    """Refuse more queries than positions: the queries are the last of them."""
    check_count("n", n, least=0)
    if n_k is not None:
        check_count("n_k", n_k, least=0)
        if n > n_k:
            raise ValueError(
                f"n is {n} but n_k is {n_k}: the queries are the last n of n_k "
                "positions, so n_k must be at least n"
            )


def check_masks(masks):
    """Refuse masks that are not boolean, or do not broadcast against each other."""
    for place, mask in enumerate(masks):
        check_boolean("mask", mask)
        for other in masks[:place]:
            check_one_kind(mask=other, other_mask=mask)
            if not fit(other.shape, mask.shape):
                raise ValueError(
                    f"one mask has shape {tuple(other.shape)} and another has "
                    f"{tuple(mask.shape)}: their axes must be equal, or 1"
                )
