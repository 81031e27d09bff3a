"""Checks of `in_numpy.linear_attention` and its twin."""

from course_lib.shapes.basic import check_array, check_mask, check_same
from course_lib.shapes.tiled import check_query_key_value, scores_shape


def check_linear(query, key, value, mask, causal):
    """Refuse what `linear_attention` cannot combine."""
    check_query_key_value(query, key, value)
    *batch, n_q, n_k = scores_shape(query, key)
    check_mask(mask, (*batch, n_q, n_k))
    if mask is not None and len(mask.shape) > 1 and mask.shape[-2] != 1:
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, but linear attention hides a key "
            "from all queries or from none: expected a shape that broadcasts to "
            f"{(*batch, 1, n_k)}"
        )
    if causal:
        check_same("query", n_q, "key", n_k, "positions")


def check_features(x):
    """Refuse what is no array."""
    check_array("x", x)
