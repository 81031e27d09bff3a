"""Checks of `in_numpy.local` and its twin."""

from course_lib.shapes.attention import check_scores_and_value
from course_lib.shapes.basic import (
    broadcasts,
    check_array,
    check_batch,
    check_count,
    check_floats,
    check_integers,
    check_matrix,
    check_one_kind,
    check_same,
    check_shape,
)


def check_predicted(query, W_p, v_p, lengths):
    """Refuse weights that do not fit the query, and lengths of another batch."""
    check_array("query", query, 2)
    check_floats("query", query)
    check_matrix("W_p", W_p)
    check_same("query", query.shape[-1], "W_p", W_p.shape[-1], "features")
    check_shape("v_p", v_p, W_p.shape[:1], f"W_p has {W_p.shape[0]} rows")
    check_integers("lengths", lengths)
    check_batch("query", query.shape, "lengths", (*lengths.shape, 1, 1))
    check_one_kind(query=query, W_p=W_p, v_p=v_p, lengths=lengths)


def check_window(centre, half_width, n_k):
    """Refuse centres that are no array, and windows and lengths that are no size."""
    check_array("centre", centre, 1)
    check_floats("centre", centre)
    check_count("half_width", half_width)
    check_count("n_k", n_k, least=0)


def check_local(scores, value, centre, half_width, mask):
    """Refuse what `attend` refuses, and centres that are not one for each query."""
    check_scores_and_value(scores, value, mask)
    check_window(centre, half_width, scores.shape[-1])
    centre_shape, rows = tuple(centre.shape), tuple(scores.shape[:-1])
    if not broadcasts(centre_shape, rows):
        raise ValueError(
            f"centre has shape {centre_shape} but scores have {tuple(scores.shape)}: "
            f"expected a shape that broadcasts to {rows}"
        )
    check_one_kind(scores=scores, centre=centre)
