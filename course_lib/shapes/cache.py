"""Checks of `in_numpy.cache` and its twin."""

from course_lib.shapes.basic import check_array, check_integers, check_shape


def check_extension(key, value, old_key):
    """Refuse new keys and values that cannot stand behind the ones that are there."""
    check_array("key", key, 3)
    check_shape("value", value, key.shape, f"key has {tuple(key.shape)}")
    if old_key is None:
        return
    old_axes, n_new, d_head = old_key.shape[:-2], key.shape[-2], old_key.shape[-1]
    because = f"the cache holds keys of shape {tuple(old_key.shape)}"
    check_shape("key", key, (*old_axes, n_new, d_head), because)


def check_rows(rows, key):
    """Refuse rows that are no integers, or a cache that has no rows to choose."""
    check_integers("rows", rows)
    if key is not None:
        check_array("the cache's keys", key, 4)
