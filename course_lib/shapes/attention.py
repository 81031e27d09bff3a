"""Checks of `in_numpy.attention`, `in_numpy.scores` and their twins."""

from course_lib.shapes.basic import (
    check_array,
    check_batch,
    check_floats,
    check_mask,
    check_one_kind,
    check_same,
)


def check_scores_and_value(scores, value, mask):
    """Refuse what `attend` cannot combine."""
    check_array("scores", scores, 2)
    check_array("value", value, 2)
    check_same("scores", scores.shape[-1], "value", value.shape[-2], "positions")
    check_batch("scores", scores.shape, "value", value.shape)
    check_mask(mask, scores.shape)
    check_one_kind(scores=scores, value=value, mask=mask)


def check_pair(query, key):
    """Refuse a query and a key that are not vectors in rows, over one batch."""
    for name, array in {"query": query, "key": key}.items():
        check_array(name, array, 2)
        check_floats(name, array)
    check_batch("query", query.shape, "key", key.shape)
    check_one_kind(query=query, key=key)


def check_query_and_key(query, key):
    """Refuse a query and a key that have no dot product."""
    check_pair(query, key)
    check_same("query", query.shape[-1], "key", key.shape[-1], "features")


def check_key_and_value(key, value):
    """Refuse a key and a value that are not one pair per position."""
    check_array("key", key, 2)
    check_array("value", value, 2)
    check_same("key", key.shape[-2], "value", value.shape[-2], "positions")
