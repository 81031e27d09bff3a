"""Layers of a Transformer: attention, then each word by itself, both added to x.

Vaswani et al. 2017, arXiv:1706.03762, section 3.1: every sublayer is added to what it
read, and a norm stands behind the sum (post-norm). With `settings.norm_first` it stands
before the sublayer (pre-norm, Xiong et al. 2020, arXiv:2002.04745); sums stay sums.
"""

from course_lib.in_numpy.feed_forward import feed_forward, feed_forward_backward
from course_lib.in_numpy.multi_head import (
    multi_head_attention,
    multi_head_attention_backward,
)
from course_lib.in_numpy.ops import (
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from course_lib.shapes.transformer import check_layer


def normalise(x, parameters, eps):
    """Layer norm if the parameters have a bias, RMS norm if they have a gain alone.

    Args:
        x:          (..., d_model)
        parameters: dict of gain (d_model,) and, for layer norm, bias (d_model,)
        eps:        positive number, added to the variance

    Returns:
        output (..., d_model).
    """
    if "bias" in parameters:
        return layer_norm(x, parameters["gain"], parameters["bias"], eps)
    return rms_norm(x, parameters["gain"], eps)


def normalise_backward(d_output, x, parameters, eps):
    """Gradients of `normalise`: d_x and a dict with the names of `parameters`."""
    gain, bias = parameters["gain"], parameters.get("bias")
    if bias is None:
        d_x, d_gain = rms_norm_backward(d_output, x, gain, eps)
        return d_x, {"gain": d_gain}
    d_x, d_gain, d_bias = layer_norm_backward(d_output, x, gain, bias, eps)
    return d_x, {"gain": d_gain, "bias": d_bias}


def attention_sublayer(
    x,
    memory,
    parameters,
    settings,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
    cache=None,
):
    """x plus what it finds by attention, with the norm behind the sum or before.

    Args:
        x:          (..., n, d_model), which asks
        memory:     (..., n_memory, d_model), which is asked. None = x asks itself.
        parameters: of the layer; attention and attention_norm are read, with a memory
            cross and cross_norm
        settings:   `Settings`
        the others: as for `multi_head_attention`

    Returns:
        x (..., n, d_model) and weights (..., n_heads, n, n_k).
    """
    name = "attention" if memory is None else "cross"
    norm = parameters[f"{name}_norm"]
    query = normalise(x, norm, settings.eps) if settings.norm_first else x
    key = query if memory is None else memory
    looks = settings.n_heads, mask, head_mask, angles, bias, cache
    found, weights = multi_head_attention(query, key, key, parameters[name], *looks)
    x = x + found
    return (x if settings.norm_first else normalise(x, norm, settings.eps)), weights


def attention_sublayer_backward(
    d_output,
    x,
    memory,
    parameters,
    settings,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
):
    """Gradients of `attention_sublayer`. The sum hands its gradient to both parts.

    Args:
        d_output: (..., n, d_model)
        the others: as they went in

    Returns:
        d_x, d_memory (None if memory is) and a dict of what was read of `parameters`.
    """
    name = "attention" if memory is None else "cross"
    norm, own = parameters[f"{name}_norm"], parameters[name]
    query = normalise(x, norm, settings.eps) if settings.norm_first else x
    key = query if memory is None else memory
    looks = settings.n_heads, mask, head_mask, angles, bias
    d_sum = d_output
    if not settings.norm_first:
        found, _ = multi_head_attention(query, key, key, own, *looks)
        d_sum, d_norm = normalise_backward(d_output, x + found, norm, settings.eps)
    d_query, d_key, d_value, d_own = multi_head_attention_backward(
        d_sum, query, key, key, own, *looks
    )
    d_memory = d_key + d_value
    if memory is None:
        d_query, d_memory = d_query + d_memory, None
    if settings.norm_first:
        d_query, d_norm = normalise_backward(d_query, x, norm, settings.eps)
    return d_sum + d_query, d_memory, {name: d_own, f"{name}_norm": d_norm}


def feed_forward_sublayer(x, parameters, settings):
    """x plus its feed-forward network, with the norm behind the sum or before.

    Args:
        x:          (..., d_model)
        parameters: of the layer; feed_forward and feed_forward_norm are read
        settings:   `Settings`

    Returns:
        x (..., d_model).
    """
    norm = parameters["feed_forward_norm"]
    read = normalise(x, norm, settings.eps) if settings.norm_first else x
    x = x + feed_forward(read, parameters["feed_forward"], settings.activation)
    return x if settings.norm_first else normalise(x, norm, settings.eps)


def feed_forward_sublayer_backward(d_output, x, parameters, settings):
    """Gradients of `feed_forward_sublayer`: d_x and a dict of what was read."""
    norm, own = parameters["feed_forward_norm"], parameters["feed_forward"]
    read = normalise(x, norm, settings.eps) if settings.norm_first else x
    d_sum = d_output
    if not settings.norm_first:
        added = x + feed_forward(read, own, settings.activation)
        d_sum, d_norm = normalise_backward(d_output, added, norm, settings.eps)
    d_read, d_own = feed_forward_backward(d_sum, read, own, settings.activation)
    if settings.norm_first:
        d_read, d_norm = normalise_backward(d_read, x, norm, settings.eps)
    return d_sum + d_read, {"feed_forward": d_own, "feed_forward_norm": d_norm}


def encoder_layer(
    x,
    parameters,
    settings,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
    cache=None,
):
    """Every position asks all others, then thinks for itself.

    A decoder-only model is a stack of the same layer: only its mask differs.

    Args:
        x:          (..., n, d_model)
        parameters: dict of attention, attention_norm, feed_forward, feed_forward_norm
        settings:   `Settings`
        the others: as for `multi_head_attention`

    Returns:
        x (..., n, d_model) and weights (..., n_heads, n, n_k).
    """
    check_layer(parameters, ("attention", "feed_forward"))
    looks = mask, head_mask, angles, bias, cache
    x, weights = attention_sublayer(x, None, parameters, settings, *looks)
    return feed_forward_sublayer(x, parameters, settings), weights


def encoder_layer_backward(
    d_output, x, parameters, settings, mask=None, head_mask=None, angles=None, bias=None
):
    """Gradients of `encoder_layer`: d_x and a dict with the names of `parameters`."""
    looks = mask, head_mask, angles, bias
    x_1, _ = attention_sublayer(x, None, parameters, settings, *looks)
    d_x, d_second = feed_forward_sublayer_backward(d_output, x_1, parameters, settings)
    d_x, _, d_first = attention_sublayer_backward(
        d_x, x, None, parameters, settings, *looks
    )
    return d_x, d_first | d_second


def decoder_layer(
    x,
    memory,
    parameters,
    settings,
    mask=None,
    memory_mask=None,
    cache=None,
    angles=None,
    bias=None,
):
    """Every position asks the words so far, then the encoder, then thinks for itself.

    Args:
        x:           (..., n, d_model)
        memory:      (..., n_memory, d_model), what the encoder wrote
        parameters:  as for `encoder_layer`, and cross and cross_norm
        settings:    `Settings`
        mask:        broadcasts to (..., n, n_k), bool, True = may attend
        memory_mask: broadcasts to (..., n, n_memory), the same
        cache, angles, bias: of the self-attention, as for `multi_head_attention`

    Returns:
        x (..., n, d_model), weights (..., n_heads, n, n_k) and cross weights
        (..., n_heads, n, n_memory).
    """
    check_layer(parameters, ("attention", "cross", "feed_forward"))
    looks = mask, None, angles, bias, cache
    x, weights = attention_sublayer(x, None, parameters, settings, *looks)
    x, cross_weights = attention_sublayer(x, memory, parameters, settings, memory_mask)
    return feed_forward_sublayer(x, parameters, settings), weights, cross_weights


def decoder_layer_backward(
    d_output,
    x,
    memory,
    parameters,
    settings,
    mask=None,
    memory_mask=None,
    angles=None,
    bias=None,
):
    """Gradients of `decoder_layer`: d_x, d_memory and a dict like `parameters`."""
    looks = mask, None, angles, bias
    x_1, _ = attention_sublayer(x, None, parameters, settings, *looks)
    x_2, _ = attention_sublayer(x_1, memory, parameters, settings, memory_mask)
    d_x, d_third = feed_forward_sublayer_backward(d_output, x_2, parameters, settings)
    d_x, d_memory, d_second = attention_sublayer_backward(
        d_x, x_1, memory, parameters, settings, memory_mask
    )
    d_x, _, d_first = attention_sublayer_backward(
        d_x, x, None, parameters, settings, *looks
    )
    return d_x, d_memory, d_first | d_second | d_third
