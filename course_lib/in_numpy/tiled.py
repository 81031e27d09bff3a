"""Exact attention in tiles: the scores of all pairs are never in memory at once.

The softmax of a row needs its maximum and its sum. Both can be kept while the row goes
by in pieces, and corrected when a later piece holds a larger score.
"""

import math

import numpy as np

from course_lib.in_numpy.linear import sum_to
from course_lib.shapes.basic import check_scores
from course_lib.shapes.tiled import check_tiled, scores_shape, tiles


def online_softmax(scores):
    """Softmax that meets its scores one by one, keeping a running maximum and sum.

    Milakov and Gimelshein 2018, arXiv:1805.02867. A larger maximum m' rescales the sum
    so far by exp(m - m'). Weights and gradient are those of `ops.softmax`.

    Args:
        scores: (..., n), finite

    Returns:
        weights (..., n), and running_max and running_sum (..., n): what was known after
        each score.
    """
    check_scores("scores", scores)
    running_max, running_sum = np.empty_like(scores), np.empty_like(scores)
    maximum, total = scores[..., 0], 0
    for t in range(scores.shape[-1]):
        larger = np.maximum(maximum, scores[..., t])
        total = total * np.exp(maximum - larger) + np.exp(scores[..., t] - larger)
        maximum = larger
        running_max[..., t], running_sum[..., t] = maximum, total
    weights = np.exp(scores - maximum[..., None]) / total[..., None]
    return weights, running_max, running_sum


def tiled_attention(query, key, value, mask=None, causal=False, tile=512):
    """Scaled dot-product attention, one tile of queries and of keys at a time.

    Rabe and Staats 2021, arXiv:2112.05682; Dao et al. 2022, arXiv:2205.14135. It cannot
    return the weights: they are what it never stores. Any one of them is
    exp(score - log_sum_exp).

    Args:
        query:  (..., n_q, d_k)
        key:    (..., n_k, d_k)
        value:  (..., n_k, d_v)
        mask:   broadcasts to (..., n_q, n_k), bool, True = may attend. None = all may.
        causal: hide the future, as `masks.causal_mask(n_q, n_k)` does, without a mask
            in memory and without a look at the tiles that lie in the future
        tile:   how many queries, and how many keys, are taken at a time

    Returns:
        output (..., n_q, d_v) and log_sum_exp (..., n_q) of each query's scores; zeros
        and -inf for a query that may attend to nothing.
    """
    check_tiled(query, key, value, mask, causal, tile)
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    n_q, n_k = query.shape[-2], key.shape[-2]
    output = np.empty((*batch, n_q, value.shape[-1]), np.result_type(query, key, value))
    log_sum_exp = np.empty((*batch, n_q, 1), output.dtype)
    for rows, keys in tiles(n_q, n_k, causal, tile):
        running = -np.inf, 0, 0
        for columns in keys:
            scores = _scores(query, key, mask, causal, rows, columns)
            running = _take_in(*running, scores, value[..., columns, :])
        maximum, total, summed = running
        total = np.where(total > 0, total, 1)
        output[..., rows, :] = summed / total
        log_sum_exp[..., rows, :] = maximum + np.log(total)
    return output, log_sum_exp[..., 0]


def tiled_attention_backward(
    d_output,
    query,
    key,
    value,
    output,
    log_sum_exp,
    mask=None,
    causal=False,
    tile=512,
):
    """Gradients of `tiled_attention`: each tile of weights is computed once more.

    sum_j weight_j d_weight_j, which the softmax's gradient needs of a whole row, is
    d_output . output: no second pass over the row (Dao et al. 2022, section 3.1 and
    appendix B).

    Args:
        d_output: (..., n_q, d_v)
        query, key, value, mask, causal, tile: as they went in
        output, log_sum_exp: as they came out

    Returns:
        d_query, d_key, d_value, each of the shape of its input.
    """
    d_query, d_key, d_value = (
        np.zeros(x.shape, output.dtype) for x in (query, key, value)
    )
    shift = np.where(log_sum_exp > -np.inf, log_sum_exp, 0)[..., None]
    for rows, keys in tiles(query.shape[-2], key.shape[-2], causal, tile):
        q, d_out = query[..., rows, :], d_output[..., rows, :]
        average = (d_out * output[..., rows, :]).sum(axis=-1, keepdims=True)
        for columns in keys:
            k, v = key[..., columns, :], value[..., columns, :]
            scores = _scores(query, key, mask, causal, rows, columns)
            weights = np.exp(scores - shift[..., rows, :])
            d_weights = d_out @ np.swapaxes(v, -1, -2)
            d_scores = weights * (d_weights - average) / math.sqrt(query.shape[-1])
            d_query[..., rows, :] += sum_to(d_scores @ k, q.shape)
            d_key[..., columns, :] += sum_to(np.swapaxes(d_scores, -1, -2) @ q, k.shape)
            d_value[..., columns, :] += sum_to(
                np.swapaxes(weights, -1, -2) @ d_out, v.shape
            )
    return d_query, d_key, d_value


def _scores(query, key, mask, causal, rows, columns):
    """One tile of scores (..., rows, columns), -inf where a query may not attend."""
    scaled = query[..., rows, :] / math.sqrt(query.shape[-1])
    scores = scaled @ np.swapaxes(key[..., columns, :], -1, -2)
    if mask is not None:
        whole = np.broadcast_to(mask, scores_shape(query, key))  # a view, no copy
        scores = np.where(whole[..., rows, columns], scores, -np.inf)
    if causal:
        before = key.shape[-2] - query.shape[-2]  # positions before the first query
        query_at = np.arange(rows.start, rows.stop)[:, None] + before
        key_at = np.arange(columns.start, columns.stop)
        scores = np.where(key_at <= query_at, scores, -np.inf)
    return scores


def _take_in(maximum, total, summed, scores, value):
    """Running maximum, sum and weighted sum of values, after one more tile of keys."""
    larger = np.maximum(maximum, scores.max(axis=-1, keepdims=True))
    shift = np.where(larger > -np.inf, larger, 0)  # nothing allowed so far: any will do
    exp, rescale = np.exp(scores - shift), np.exp(maximum - shift)
    total = total * rescale + exp.sum(axis=-1, keepdims=True)
    return larger, total, summed * rescale + exp @ value
