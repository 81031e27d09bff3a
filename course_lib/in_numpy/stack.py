"""Layers on top of each other, and how the order of the words comes in. NumPy only."""

from course_lib.in_numpy.layers import (
    decoder_layer,
    decoder_layer_backward,
    encoder_layer,
    encoder_layer_backward,
)
from course_lib.in_numpy.positions import (
    alibi_bias,
    learned_positions,
    learned_positions_backward,
    rotary_angles,
    sinusoidal_positions,
)
from course_lib.shapes.transformer import one_each


def add_positions(x, settings, table=None, start=0):
    """Add to every vector where it stands, if `settings.positions` are of that kind.

    Args:
        x:        (..., n, d_model)
        settings: `Settings`
        table:    (max_length, d_model), for learned positions
        start:    int, the position of the first vector

    Returns:
        x (..., n, d_model), as it was for rotary, alibi and none.
    """
    n, d_model = x.shape[-2:]
    if settings.positions == "learned":
        return x + learned_positions(table, n, start)
    if settings.positions == "sinusoidal":
        return x + sinusoidal_positions(n, d_model, start).astype(x.dtype)
    return x


def add_positions_backward(d_output, x, settings, table=None, start=0):
    """Gradients d_x and d_table of `add_positions`; None for a table not read."""
    if settings.positions != "learned":
        return d_output, None
    n, d_model = x.shape[-2:]
    d_positions = d_output.reshape(-1, n, d_model).sum(axis=0)
    return d_output, learned_positions_backward(d_positions, table, n, start)


def relative_positions(x, layers, settings, start=0):
    """What tells every layer how far words stand apart, of two kinds or none.

    Args:
        x:        (..., n, d_model), the new words
        layers:   list of parameters of layers
        settings: `Settings`
        start:    int, how many words stand before them

    Returns:
        angles (n, d_head / 2) for rotary positions, else None, and
        bias (n_heads, n, start + n) for alibi, else None.
    """
    n, n_heads = x.shape[-2], settings.n_heads
    if settings.positions == "rotary":
        d_head = layers[0]["attention"]["W_q"].shape[0] // n_heads
        return rotary_angles(n, d_head, start, settings.rotary_base), None
    if settings.positions == "alibi":
        return None, alibi_bias(n_heads, n, start + n).astype(x.dtype)
    return None, None


def encoder_stack(x, layers, settings, mask=None, head_mask=None, caches=None):
    """One `encoder_layer` after the other.

    Args:
        x:         (..., n, d_model)
        layers:    list of parameters, one dict a layer
        settings:  `Settings`
        mask:      broadcasts to (..., n, n_k), bool, True = may attend
        head_mask: (n_layers, ..., n_heads) bool, True = this head counts
        caches:    list of one `KeyValueCache` a layer; then x are the new words only

    Returns:
        x (..., n, d_model) and a list of weights (..., n_heads, n, n_k), one a layer.
    """
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


def encoder_stack_backward(d_output, x, layers, settings, mask=None, head_mask=None):
    """Gradients of `encoder_stack`: d_x and a list like `layers`.

    What each layer read is computed again on the way up, and used on the way down.
    """
    heads = one_each("head_mask", head_mask, layers)
    angles, bias = relative_positions(x, layers, settings)
    read, d_layers = [x], [None] * len(layers)
    for i, layer in enumerate(layers[:-1]):
        above, _ = encoder_layer(read[i], layer, settings, mask, heads[i], angles, bias)
        read.append(above)
    for i in reversed(range(len(layers))):
        d_output, d_layers[i] = encoder_layer_backward(
            d_output, read[i], layers[i], settings, mask, heads[i], angles, bias
        )
    return d_output, d_layers


def decoder_stack(
    x, memory, layers, settings, mask=None, memory_mask=None, caches=None
):
    """One `decoder_layer` after the other; all ask the same memory.

    Args:
        x:           (..., n, d_model)
        memory:      (..., n_memory, d_model)
        layers, settings, mask, caches: as for `encoder_stack`
        memory_mask: broadcasts to (..., n, n_memory), bool, True = may attend

    Returns:
        x (..., n, d_model), a list of weights (..., n_heads, n, n_k) and a list of
        cross weights (..., n_heads, n, n_memory), one each a layer.
    """
    cache = one_each("caches", caches, layers)
    start = caches[0].length if caches else 0
    angles, bias = relative_positions(x, layers, settings, start)
    weights, cross_weights = [None] * len(layers), [None] * len(layers)
    for i, layer in enumerate(layers):
        x, weights[i], cross_weights[i] = decoder_layer(
            x, memory, layer, settings, mask, memory_mask, cache[i], angles, bias
        )
    return x, weights, cross_weights


def decoder_stack_backward(
    d_output, x, memory, layers, settings, mask=None, memory_mask=None
):
    """Gradients of `decoder_stack`: d_x, d_memory of all layers, a list d_layers."""
    angles, bias = relative_positions(x, layers, settings)
    options = settings, mask, memory_mask
    read, d_layers, d_memory = [x], [None] * len(layers), 0
    for i, layer in enumerate(layers[:-1]):
        above, _, _ = decoder_layer(
            read[i], memory, layer, *options, None, angles, bias
        )
        read.append(above)
    for i in reversed(range(len(layers))):
        d_output, d_part, d_layers[i] = decoder_layer_backward(
            d_output, read[i], memory, layers[i], *options, angles, bias
        )
        d_memory = d_memory + d_part
    return d_output, d_memory, d_layers
