"""Linear attention in PyTorch, on any device. Twin of `in_numpy.linear_attention`."""

import torch

from course_lib.shapes.linear_attention import check_features, check_linear


def elu_features(x):
    """Twin of `in_numpy.linear_attention.elu_features`; shapes as there."""
    check_features(x)
    return torch.nn.functional.elu(x) + 1


def linear_attention(query, key, value, mask=None, causal=False):
    """Twin of `in_numpy.linear_attention.linear_attention`; shapes as there."""
    check_linear(query, key, value, mask, causal)
    key_features = elu_features(key)
    if mask is not None:
        hidden = ~torch.atleast_2d(mask).transpose(-1, -2)  # (..., n_k, 1)
        key_features = key_features.masked_fill(hidden, 0)
    one = value.new_ones((*value.shape[:-1], 1))  # its column sums the weights
    summed = _mix(
        elu_features(query), key_features, torch.cat([value, one], dim=-1), causal
    )
    output, normaliser = summed[..., :-1], summed[..., -1]
    return output / normaliser.masked_fill(normaliser == 0, 1)[..., None], normaliser


def _mix(query, key, value, causal):
    """sum_j (query_i . key_j) value_j over all j or, if causal, over j <= i."""
    if not causal:
        return query @ (key.transpose(-1, -2) @ value)
    read, mixed = 0, []  # read: (..., d_k, d_v), all keys and values up to t
    for t in range(key.shape[-2]):
        read = read + key[..., t, :, None] * value[..., t, None, :]
        mixed.append(query[..., t, None, :] @ read)
    return torch.cat(mixed, dim=-2)
