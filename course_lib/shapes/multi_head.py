"""Checks of `in_numpy.multi_head` and its twin."""

from itertools import zip_longest

from course_lib.shapes.attention import check_key_and_value
from course_lib.shapes.basic import (
    broadcasts,
    check_array,
    check_batch,
    check_boolean,
    check_count,
    check_mask,
)
from course_lib.shapes.parameters import check_names, check_parameters


def check_shared(name, n, n_shares, by):
    """Refuse n things that cannot be shared out evenly."""
    check_count(by, n_shares)
    if n == 0 or n % n_shares:
        raise ValueError(f"{name} must be a multiple of {by} = {n_shares}, got {n}")


def check_split(x, n_heads):
    """Refuse features that cannot be shared out to the heads."""
    check_array("x", x, 2)
    check_shared("the features of x", x.shape[-1], n_heads, "n_heads")


def check_merge(x):
    """Refuse what has no axis of heads."""
    check_array("x", x, 3)


def check_repeat(x, n_heads):
    """Refuse key/value heads that cannot serve the same number of query heads each."""
    check_array("x", x, 3)
    check_count("n_heads", n_heads)
    check_shared("n_heads", n_heads, x.shape[-3], "n_kv_heads")


def check_sizes(d_model, n_heads, n_kv_heads):
    """Refuse numbers of heads that d_model and each other cannot be shared out to."""
    check_count("d_model", d_model)
    check_shared("d_model", d_model, n_heads, "n_heads")
    check_shared("n_heads", n_heads, n_kv_heads, "n_kv_heads")


def check_projections(query, key, value, parameters, n_heads):
    """Refuse inputs and parameters of which the heads cannot be made."""
    check_array("query", query, 2)
    check_key_and_value(key, value)
    check_batch("query", query.shape, "key", key.shape)
    check_batch("query", query.shape, "value", value.shape)
    check_batch("key", key.shape, "value", value.shape)
    needed = ["W_q", "W_k", "W_v", "W_o"]
    check_names(parameters, needed, ["b_q", "b_k", "b_v", "b_o"])
    W_q, W_k, W_o = (parameters[name] for name in ("W_q", "W_k", "W_o"))
    for name in needed:
        check_array(name, parameters[name], 2)
    check_shared("the rows of W_q", W_q.shape[0], n_heads, "n_heads")
    d_head = W_q.shape[0] // n_heads
    check_shared("the rows of W_k", W_k.shape[0], d_head, "d_head")
    check_shared("n_heads", n_heads, W_k.shape[0] // d_head, "n_kv_heads")
    expected = {
        "W_q": (W_q.shape[0], query.shape[-1]),
        "W_k": (W_k.shape[0], key.shape[-1]),
        "W_v": (W_k.shape[0], value.shape[-1]),
        "W_o": (W_o.shape[0], W_q.shape[0]),
    }
    expected |= {f"b_{name[2]}": rows[:1] for name, rows in expected.items()}
    because = (
        f"query has {query.shape[-1]} features, key {key.shape[-1]}, value "
        f"{value.shape[-1]}, and W_q has {W_q.shape[0]} rows, W_k {W_k.shape[0]}"
    )
    check_parameters(parameters, expected, because)


def check_heads(query, key, n_heads, n_cached, mask, head_mask, bias):
    """Refuse masks and a bias that do not fit scores (..., n_heads, n_q, n_k).

    Before anything is computed, so that a refused call leaves the cache as it was.
    """
    pairs = zip_longest(query.shape[-3::-1], key.shape[-3::-1], fillvalue=1)
    batch = tuple(q if k == 1 else k for q, k in pairs)[::-1]
    n_q, n_k = query.shape[-2], n_cached + key.shape[-2]
    check_mask(mask, (*batch, n_q, n_k))
    if head_mask is not None:
        check_boolean("head_mask", head_mask)
        _check_broadcasts("head_mask", head_mask, (*batch, n_heads))
    if bias is not None:
        check_array("bias", bias)
        _check_broadcasts("bias", bias, (*batch, n_heads, n_q, n_k))


def _check_broadcasts(name, array, shape):
    """Refuse an array that does not broadcast to a shape (ValueError)."""
    if not broadcasts(tuple(array.shape), shape):
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, which does not broadcast to "
            f"{shape}"
        )
