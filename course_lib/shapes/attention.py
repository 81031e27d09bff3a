"""Checks of `in_numpy.attention`, `in_numpy.scores` and their twins."""

from numbers import Real

from course_lib.shapes.basic import check_array, check_batch, check_mask, check_same


def check_scores_and_value(scores, value, mask):
    """Refuse what `attend` cannot combine."""
    check_array("scores", scores, 2)
    check_array("value", value, 2)
    check_same("scores", scores.shape[-1], "value", value.shape[-2], "positions")
    check_batch("scores", scores.shape, "value", value.shape)
    check_mask(mask, scores.shape)


def check_query_and_key(query, key):
    """Refuse a query and a key that have no dot product."""
    check_array("query", query, 2)
    check_array("key", key, 2)
    check_same("query", query.shape[-1], "key", key.shape[-1], "features")
    check_batch("query", query.shape, "key", key.shape)


def check_key_and_value(key, value):
    """Refuse a key and a value that are not one pair per position."""
    check_array("key", key, 2)
    check_array("value", value, 2)
    check_same("key", key.shape[-2], "value", value.shape[-2], "positions")


def check_temperature(temperature):
    """Refuse a temperature that is not a positive number."""
    if not isinstance(temperature, Real) or not temperature > 0:
        raise ValueError(f"temperature must be a positive number, got {temperature!r}")
