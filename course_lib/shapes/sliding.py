"""Checks of `in_numpy.sliding` and its twin."""

from course_lib.shapes.basic import check_count, check_same
from course_lib.shapes.tiled import check_query_key_value


def check_sliding(query, key, value, window):
    """Refuse what `sliding_window_attention` cannot combine."""
    check_query_key_value(query, key, value)
    check_same("query", query.shape[-2], "key", key.shape[-2], "positions")
    check_count("window", window)
