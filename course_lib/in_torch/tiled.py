"""Exact attention in tiles, in PyTorch, on any device. Twin of `in_numpy.tiled`.

It shows the algorithm on a device. Autograd keeps every tile for the backward pass, so
only the forward pass saves memory here; `torch.nn.functional` has a fused kernel that
saves in both.
"""

import math

import torch

from course_lib.shapes.basic import check_scores
from course_lib.shapes.tiled import check_tiled, scores_shape, tiles


def online_softmax(scores):
    """Twin of `in_numpy.tiled.online_softmax`; shapes as there."""
    check_scores("scores", scores)
    running_max, running_sum = [], []
    maximum, total = scores[..., 0], 0
    for score in scores.unbind(-1):
        larger = torch.maximum(maximum, score)
        total = total * torch.exp(maximum - larger) + torch.exp(score - larger)
        maximum = larger
        running_max.append(maximum)
        running_sum.append(total)
    weights = torch.exp(scores - maximum[..., None]) / total[..., None]
    return weights, torch.stack(running_max, -1), torch.stack(running_sum, -1)


def tiled_attention(query, key, value, mask=None, causal=False, tile=512):
    """Twin of `in_numpy.tiled.tiled_attention`; shapes as there."""
    check_tiled(query, key, value, mask, causal, tile)
    batch = torch.broadcast_shapes(*(x.shape[:-2] for x in (query, key, value)))
    n_q, n_k = query.shape[-2], key.shape[-2]
    output = value.new_empty((*batch, n_q, value.shape[-1]))
    log_sum_exp = value.new_empty((*batch, n_q, 1))
    for rows, keys in tiles(n_q, n_k, causal, tile):
        running = value.new_tensor(-torch.inf), 0, 0
        for columns in keys:
            scores = _scores(query, key, mask, causal, rows, columns)
            running = _take_in(*running, scores, value[..., columns, :])
        maximum, total, summed = running
        total = total.masked_fill(total == 0, 1)
        output[..., rows, :] = summed / total
        log_sum_exp[..., rows, :] = maximum + torch.log(total)
    return output, log_sum_exp[..., 0]


def _scores(query, key, mask, causal, rows, columns):
    """One tile of scores (..., rows, columns), -inf where a query may not attend."""
    scaled = query[..., rows, :] / math.sqrt(query.shape[-1])
    scores = scaled @ key[..., columns, :].transpose(-1, -2)
    if mask is not None:
        whole = mask.expand(scores_shape(query, key))  # a view, no copy
        scores = scores.masked_fill(~whole[..., rows, columns], -torch.inf)
    if causal:
        position = torch.arange(key.shape[-2], device=key.device)
        before = key.shape[-2] - query.shape[-2]  # positions before the first query
        query_at = position[before:][rows, None]
        scores = scores.masked_fill(position[columns] > query_at, -torch.inf)
    return scores


def _take_in(maximum, total, summed, scores, value):
    """Running maximum, sum and weighted sum of values, after one more tile of keys."""
    # The maximum cancels out of every result, so no gradient goes through it.
    larger = torch.maximum(maximum, scores.detach().amax(dim=-1, keepdim=True))
    shift = larger.masked_fill(larger == -torch.inf, 0)  # nothing allowed so far
    exp, rescale = torch.exp(scores - shift), torch.exp(maximum - shift)
    total = total * rescale + exp.sum(dim=-1, keepdim=True)
    return larger, total, summed * rescale + exp @ value
