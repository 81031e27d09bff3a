"""Attention with several heads in PyTorch. Twin of `in_numpy.multi_head`.

The module at the end holds the parameters; the functions compute.
"""

from torch import nn

from course_lib.in_torch.attention import attend
from course_lib.in_torch.linear import linear
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.positions import rotate
from course_lib.in_torch.scores import scaled_dot_scores
from course_lib.shapes.multi_head import (
    check_heads,
    check_merge,
    check_projections,
    check_repeat,
    check_sizes,
    check_split,
)


def split_heads(x, n_heads):
    """Twin of `in_numpy.multi_head.split_heads`; shapes as there."""
    check_split(x, n_heads)
    *batch, n, d = x.shape
    return x.reshape(*batch, n, n_heads, d // n_heads).transpose(-2, -3)


def merge_heads(x):
    """Twin of `in_numpy.multi_head.merge_heads`; shapes as there."""
    check_merge(x)
    *batch, n_heads, n, d_head = x.shape
    return x.transpose(-2, -3).reshape(*batch, n, n_heads * d_head)


def repeat_heads(x, n_heads):
    """Twin of `in_numpy.multi_head.repeat_heads`; shapes as there."""
    check_repeat(x, n_heads)
    return x.repeat_interleave(n_heads // x.shape[-3], dim=-3)


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
    """Twin of `in_numpy.multi_head.multi_head_attention`; shapes as there."""
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


def _attend_by_head(query, key, value, mask, head_mask, bias):
    """What each head found, (..., n_heads, n_q, d_head), and its weights."""
    scores = scaled_dot_scores(query, key)  # (..., n_heads, n_q, n_k)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    if mask is not None and mask.ndim > 2:
        mask = mask[..., None, :, :]  # (..., 1, n_q, n_k): the same for every head
    heads, weights = attend(scores, value, mask)
    if head_mask is not None:
        heads = heads.masked_fill(~head_mask[..., None, None], 0)
    return heads, weights


class MultiHeadAttention(nn.Module):
    """The parameters of `multi_head_attention`; d_head is d_model / n_heads.

    Args:
        d_model:    size of the inputs and of the output
        n_heads:    number of query heads
        n_kv_heads: number of key/value heads, a divisor of n_heads. None = n_heads;
            fewer is grouped-query attention, 1 is multi-query attention.
        bias:       whether the four linear maps have a bias
    """

    def __init__(self, d_model, n_heads, n_kv_heads=None, bias=True):
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        check_sizes(d_model, n_heads, n_kv_heads)
        self.n_heads = n_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.W_q = nn.Linear(d_model, d_model, bias=bias)
        self.W_k = nn.Linear(d_model, d_kv, bias=bias)
        self.W_v = nn.Linear(d_model, d_kv, bias=bias)
        self.W_o = nn.Linear(d_model, d_model, bias=bias)

    def forward(
        self,
        query,
        key,
        value,
        mask=None,
        head_mask=None,
        angles=None,
        bias=None,
        cache=None,
    ):
        """Arguments and returns as for `multi_head_attention`."""
        return multi_head_attention(
            query,
            key,
            value,
            parameter_tree(self),
            self.n_heads,
            mask,
            head_mask,
            angles,
            bias,
            cache,
        )
