"""Checks of `in_numpy.tiled` and its twin, and how both cut the pairs into tiles."""

from itertools import zip_longest

from course_lib.shapes.attention import check_key_and_value, check_query_and_key
from course_lib.shapes.basic import check_batch, check_count, check_mask
from course_lib.shapes.masks import check_positions


def check_query_key_value(query, key, value):
    """Refuse three arrays that are no query, key and value of one attention."""
    check_query_and_key(query, key)
    check_key_and_value(key, value)
    check_batch("query", query.shape, "value", value.shape)
    check_batch("key", key.shape, "value", value.shape)
    if key.shape[-2] == 0:
        raise ValueError(
            f"key must have at least one position, but its shape is {tuple(key.shape)}"
        )


def check_tiled(query, key, value, mask, causal, tile):
    """Refuse what `tiled_attention` cannot combine."""
    check_query_key_value(query, key, value)
    check_mask(mask, scores_shape(query, key))
    check_count("tile", tile)
    if causal:
        check_positions(query.shape[-2], key.shape[-2])


def scores_shape(query, key):
    """The shape of query @ key.T, which nobody holds in memory here."""
    leading = zip_longest(query.shape[-3::-1], key.shape[-3::-1], fillvalue=1)
    batch = [other if size == 1 else size for size, other in leading]
    return (*reversed(batch), query.shape[-2], key.shape[-2])


def tiles(n_q, n_k, causal, tile):
    """Each tile of queries as a slice, with the slices of the keys that it meets.

    A causal query, one of the last n_q of n_k positions, meets no later key.
    """
    for start in range(0, n_q, tile):
        stop = min(start + tile, n_q)
        end = n_k - n_q + stop if causal else n_k
        keys = (slice(at, min(at + tile, end)) for at in range(0, end, tile))
        yield slice(start, stop), keys
