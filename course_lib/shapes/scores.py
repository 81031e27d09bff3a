"""Checks of `in_numpy.scores` and its twin."""

from course_lib.shapes.attention import check_pair
from course_lib.shapes.basic import (
    check_array,
    check_count,
    check_floats,
    check_matrix,
    check_one_kind,
    check_same,
    check_shape,
)


def check_general(query, key, W):
    """Refuse a matrix that does not lead from the query to the key."""
    check_pair(query, key)
    d_q, d_k = query.shape[-1], key.shape[-1]
    because = f"query has {d_q} features and key has {d_k}"
    check_shape("W", W, (d_q, d_k), because)
    check_one_kind(query=query, key=key, W=W)


def check_additive(query, key, W_q, W_k, v):
    """Refuse weights that do not fit query and key, or each other."""
    check_pair(query, key)
    check_matrix("W_q", W_q)
    check_same("query", query.shape[-1], "W_q", W_q.shape[-1], "features")
    d_hidden, d_k = W_q.shape[0], key.shape[-1]
    because = f"W_q has {d_hidden} rows"
    check_shape("W_k", W_k, (d_hidden, d_k), f"{because} and key has {d_k} features")
    check_shape("v", v, (d_hidden,), because)
    check_one_kind(query=query, key=key, W_q=W_q, W_k=W_k, v=v)


def check_concat(query, key, W, v):
    """Refuse weights that do not fit a query and a key in one row."""
    check_pair(query, key)
    check_matrix("W", W)
    d_hidden, d_q, d_k = W.shape[0], query.shape[-1], key.shape[-1]
    because = f"query has {d_q} features and key has {d_k}"
    check_shape("W", W, (d_hidden, d_q + d_k), because)
    check_shape("v", v, (d_hidden,), f"W has {d_hidden} rows")
    check_one_kind(query=query, key=key, W=W, v=v)


def check_location(query, W, n_k):
    """Refuse more keys than W has rows."""
    check_array("query", query, 2)
    check_floats("query", query)
    check_matrix("W", W)
    check_same("query", query.shape[-1], "W", W.shape[-1], "features")
    check_one_kind(query=query, W=W)
    check_count("n_k", n_k)
    if n_k > W.shape[0]:
        raise ValueError(
            f"n_k is {n_k} but W has {W.shape[0]} rows, one for each position: "
            f"expected at most {W.shape[0]} keys"
        )
