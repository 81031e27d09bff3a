"""Several heads: attention done a few times in parallel, on narrow projections.

Each head asks its own question, d_model / n_heads features wide, so several heads have
as many parameters as one wide head. Key/value heads may be fewer than query heads.
"""

import numpy as np

from course_lib.in_numpy.attention import (
    attend,
    scaled_dot_product_attention_backward,
)
from course_lib.in_numpy.linear import linear, linear_backward
from course_lib.in_numpy.positions import rotate, rotate_backward
from course_lib.in_numpy.scores import scaled_dot_scores
from course_lib.shapes.multi_head import (
    check_heads,
    check_merge,
    check_projections,
    check_repeat,
    check_split,
)


def split_heads(x, n_heads):
    """Cut the features into heads, and put the heads among the batch axes.

    Args:
        x:       (..., n, n_heads * d_head)
        n_heads: int

    Returns:
        heads (..., n_heads, n, d_head).
    """
    check_split(x, n_heads)
    *batch, n, d = x.shape
    heads = x.reshape(*batch, n, n_heads, d // n_heads)
    return np.swapaxes(heads, -2, -3)  # (..., n_heads, n, d_head)


def split_heads_backward(d_heads, x, n_heads):
    """Gradient of `split_heads`, of the shape of x: the heads put side by side."""
    return merge_heads(d_heads)


def merge_heads(x):
    """Put the heads side by side again: `split_heads` undone.

    Args:
        x: (..., n_heads, n, d_head)

    Returns:
        merged (..., n, n_heads * d_head).
    """
    check_merge(x)
    *batch, n_heads, n, d_head = x.shape
    return np.swapaxes(x, -2, -3).reshape(*batch, n, n_heads * d_head)


def merge_heads_backward(d_merged, x):
    """Gradient of `merge_heads`, of the shape of x: cut into heads again."""
    return split_heads(d_merged, x.shape[-3])


def repeat_heads(x, n_heads):
    """Let each key/value head serve n_heads / n_kv_heads query heads in a row.

    Grouped-query attention: Ainslie et al. 2023, arXiv:2305.13245, section 2.2. With
    one key/value head it is multi-query attention: Shazeer 2019, arXiv:1911.02150.

    Args:
        x:       (..., n_kv_heads, n, d_head)
        n_heads: int, a multiple of n_kv_heads

    Returns:
        repeated (..., n_heads, n, d_head).
    """
    check_repeat(x, n_heads)
    return np.repeat(x, n_heads // x.shape[-3], axis=-3)


def repeat_heads_backward(d_repeated, x, n_heads):
    """Gradient of `repeat_heads`, of the shape of x: added up over those it served."""
    *batch, n_kv_heads, n, d_head = x.shape
    groups = (*batch, n_kv_heads, n_heads // n_kv_heads, n, d_head)
    return d_repeated.reshape(groups).sum(axis=-3)


def multi_head_attention(
    query,
    key,
    value,
    parameters,
    n_heads,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
    cache=None,
):
    """Project, attend in every head, put the heads side by side, project again.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2. For self-attention query, key
    and value are the same array.

    Args:
        query: (..., n_q, d_model), before its projection, as are key and value
        key:   (..., n_k, d_model)
        value: (..., n_k, d_model)
        parameters: dict of W_q (n_heads * d_head, d_model), W_k and W_v
            (n_kv_heads * d_head, d_model), W_o (d_model, n_heads * d_head), and if
            wanted b_q, b_k, b_v, b_o, as long as the rows
        n_heads:   int, a multiple of n_kv_heads, which follows from W_k
        mask:      broadcasts to (..., n_q, n_k), bool, True = may attend, the same for
            all heads. None = all may.
        head_mask: broadcasts to (..., n_heads), bool, True = this head counts; another
            gives zeros to W_o. None = all count.
        angles:    (n_q, d_head / 2) turn queries and keys, n_k = n_q. None = no turn.
        bias:      broadcasts to (..., n_heads, n_q, n_k), added to the scores
        cache:     a KeyValueCache. Key and value join it, and n_k counts all it holds.

    Returns:
        output (..., n_q, d_model) and weights (..., n_heads, n_q, n_k).
    """
    n_cached = 0 if cache is None else cache.length
    check_projections(query, key, value, parameters, n_heads)
    check_heads(query, key, n_heads, n_cached, mask, head_mask, bias)
    query, key, value = _project(query, key, value, parameters, n_heads, angles)
    if cache is not None:
        key, value = cache.extend(key, value)
    key, value = repeat_heads(key, n_heads), repeat_heads(value, n_heads)
    heads, weights = _attend_by_head(query, key, value, mask, head_mask, bias)
    output = linear(merge_heads(heads), parameters["W_o"], parameters.get("b_o"))
    return output, weights


def multi_head_attention_backward(
    d_output,
    query,
    key,
    value,
    parameters,
    n_heads,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
):
    """Gradients of `multi_head_attention`; the heads are computed again.

    Args:
        d_output: (..., n_q, d_model)
        the others: as they went in; a cache has no place in training

    Returns:
        d_query, d_key, d_value, each of the shape of its input, and d_parameters, a
        dict with the names of `parameters`. Mask, angles and bias are given.
    """
    check_projections(query, key, value, parameters, n_heads)
    check_heads(query, key, n_heads, 0, mask, head_mask, bias)
    q, k, v = _project(query, key, value, parameters, n_heads, angles)
    every_k, every_v = repeat_heads(k, n_heads), repeat_heads(v, n_heads)
    heads, weights = _attend_by_head(q, every_k, every_v, mask, head_mask, bias)
    d_merged, d_W_o, d_b_o = linear_backward(
        d_output, merge_heads(heads), parameters["W_o"], parameters.get("b_o")
    )
    d_heads = merge_heads_backward(d_merged, heads)
    if head_mask is not None:
        d_heads = np.where(head_mask[..., None, None], d_heads, 0)
    d_q, d_k, d_v = scaled_dot_product_attention_backward(
        d_heads, q, every_k, every_v, weights
    )
    d_k = repeat_heads_backward(d_k, k, n_heads)
    d_v = repeat_heads_backward(d_v, v, n_heads)
    d_inputs, d_parameters = _project_backward(
        d_q, d_k, d_v, query, key, value, parameters, angles
    )
    d_parameters |= {"W_o": d_W_o, "b_o": d_b_o}
    return *d_inputs, {name: d_parameters[name] for name in parameters}


def _project(query, key, value, parameters, n_heads, angles):
    """Query (..., n_heads, n_q, d_head); key, value (..., n_kv_heads, n_k, d_head)."""
    d_head = parameters["W_q"].shape[0] // n_heads
    n_kv_heads = parameters["W_k"].shape[0] // d_head
    query = linear(query, parameters["W_q"], parameters.get("b_q"))
    key = linear(key, parameters["W_k"], parameters.get("b_k"))
    value = linear(value, parameters["W_v"], parameters.get("b_v"))
    query = split_heads(query, n_heads)
    key, value = split_heads(key, n_kv_heads), split_heads(value, n_kv_heads)
    if angles is not None:
        query, key = rotate(query, angles), rotate(key, angles)
    return query, key, value


def _project_backward(d_q, d_k, d_v, query, key, value, parameters, angles):
    """Gradients of the three inputs, as a list, and of the three maps, as a dict."""
    if angles is not None:
        d_q, d_k = rotate_backward(d_q, angles), rotate_backward(d_k, angles)
    d_inputs, d_parameters = [], {}
    for name, d_projected, x in zip(
        "qkv", (d_q, d_k, d_v), (query, key, value), strict=True
    ):
        W, b = parameters[f"W_{name}"], parameters.get(f"b_{name}")
        d_x, d_W, d_b = linear_backward(merge_heads(d_projected), x, W, b)
        d_inputs.append(d_x)
        d_parameters |= {f"W_{name}": d_W, f"b_{name}": d_b}
    return d_inputs, d_parameters


def _attend_by_head(query, key, value, mask, head_mask, bias):
    """What each head found, (..., n_heads, n_q, d_head), and its weights."""
    scores = scaled_dot_scores(query, key)  # (..., n_heads, n_q, n_k)
    if bias is not None:
        scores = scores + bias.astype(scores.dtype)
    if mask is not None and mask.ndim > 2:
        mask = mask[..., None, :, :]  # (..., 1, n_q, n_k): the same for every head
    heads, weights = attend(scores, value, mask)
    if head_mask is not None:
        heads = np.where(head_mask[..., None, None], heads, 0)
    return heads, weights
