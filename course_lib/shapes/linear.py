"""Checks of `in_numpy.linear` and its twin."""

from course_lib.shapes.basic import (
    broadcasts,
    check_array,
    check_integers,
    check_matrix,
    check_one_kind,
    check_same,
    check_shape,
)


def check_linear(x, W, b):
    """Refuse weights that do not fit the input, and a bias that does not fit them."""
    check_array("x", x, 1)
    check_matrix("W", W)
    check_same("x", x.shape[-1], "W", W.shape[-1], "features")
    if b is not None:
        check_shape("b", b, W.shape[:1], f"W has {W.shape[0]} rows")
    check_one_kind(x=x, W=W, b=b)


def check_ids_and_table(ids, table):
    """Refuse ids that are no whole numbers, and a table that is no matrix."""
    check_integers("ids", ids)
    check_matrix("table", table)
    check_one_kind(ids=ids, table=table)


def check_sums(x, shape):
    """Refuse a shape that does not broadcast to x's shape."""
    check_array("x", x)
    x_shape, shape = tuple(x.shape), tuple(shape)
    if not broadcasts(shape, x_shape):
        raise ValueError(
            f"shape is {shape}, which does not broadcast to x's shape {x_shape}"
        )
