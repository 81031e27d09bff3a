"""Layers on top of each other, and the order of words. Twin of `in_numpy.stack`."""

import torch

from course_lib.in_torch.layers import decoder_layer, encoder_layer
from course_lib.in_torch.positions import (
    alibi_bias,
    learned_positions,
    rotary_angles,
    sinusoidal_positions,
)
from course_lib.shapes.transformer import one_each


def add_positions(x, settings, table=None, start=0):
    """Twin of `in_numpy.stack.add_positions`; shapes as there."""
    n, d_model = x.shape[-2:]
    if settings.positions == "learned":
        return x + learned_positions(table, n, start)
    if settings.positions == "sinusoidal":
        position = sinusoidal_positions(
            n, d_model, start, dtype=x.dtype, device=x.device
        )
        return x + position
    return x


def relative_positions(x, layers, settings, start=0):
    """Twin of `in_numpy.stack.relative_positions`; shapes as there."""
    n, n_heads = x.shape[-2], settings.n_heads
    like_x = {
        "dtype": torch.promote_types(x.dtype, torch.float32),  # angles need digits
        "device": x.device,
    }
    if settings.positions == "rotary":
        d_head = layers[0]["attention"]["W_q"].shape[0] // n_heads
        return rotary_angles(n, d_head, start, settings.rotary_base, **like_x), None
    if settings.positions == "alibi":
        return None, alibi_bias(n_heads, n, start + n, **like_x)
    return None, None


def encoder_stack(x, layers, settings, mask=None, head_mask=None, caches=None):
    """Twin of `in_numpy.stack.encoder_stack`; shapes as there."""
    heads = one_each("head_mask", head_mask, layers)
    cache = one_each("caches", caches, layers)
    start = caches[0].length if caches else 0
    angles, bias = relative_positions(x, layers, settings, start)
    weights = [None] * len(layers)
    for i, layer in enumerate(layers):
        x, weights[i] = encoder_layer(
            x, layer, settings, mask, heads[i], angles, bias, cache[i]
        )
    return x, weights


def decoder_stack(
    x, memory, layers, settings, mask=None, memory_mask=None, caches=None
):
    """Twin of `in_numpy.stack.decoder_stack`; shapes as there."""
    cache = one_each("caches", caches, layers)
    start = caches[0].length if caches else 0
    angles, bias = relative_positions(x, layers, settings, start)
    weights, cross_weights = [None] * len(layers), [None] * len(layers)
    for i, layer in enumerate(layers):
        x, weights[i], cross_weights[i] = decoder_layer(
            x, memory, layer, settings, mask, memory_mask, cache[i], angles, bias
        )
    return x, weights, cross_weights
