"""The Transformer: an encoder reads, a decoder writes and asks the encoder. NumPy only.

Vaswani et al. 2017, arXiv:1706.03762, section 3; embeddings and output as in 3.4.
"""

import math

from course_lib.in_numpy.layers import normalise, normalise_backward
from course_lib.in_numpy.linear import (
    embed,
    embed_backward,
    linear,
    linear_backward,
)
from course_lib.in_numpy.masks import causal_mask
from course_lib.in_numpy.stack import (
    add_positions,
    add_positions_backward,
    decoder_stack,
    decoder_stack_backward,
    encoder_stack,
    encoder_stack_backward,
)
from course_lib.shapes.recurrent import check_words
from course_lib.shapes.transformer import (
    check_encoder_decoder,
    check_ids,
    check_real_words,
)


def encode(source, parameters, settings, source_mask=None):
    """Turn words into vectors that know their neighbours.

    Args:
        source:      (..., n_source) ids
        parameters:  as for `transformer`
        settings:    `Settings`
        source_mask: (..., n_source) bool, True = a real word. None = all are.

    Returns:
        memory (..., n_source, d_model) and a list of weights
        (..., n_heads, n_source, n_source), one a layer.
    """
    check_encoder_decoder(parameters, settings)
    check_ids("source", source)
    check_real_words("source_mask", source_mask, "source", source)
    x = _embed_in_order(source, _source_table(parameters), parameters, settings)
    mask = None if source_mask is None else source_mask[..., None, :]
    x, weights = encoder_stack(x, parameters["encoder"], settings, mask)
    if settings.norm_first:
        x = normalise(x, parameters["encoder_norm"], settings.eps)
    return x, weights


def encode_backward(d_memory, source, parameters, settings, source_mask=None):
    """Gradients of `encode`: a dict of what it reads of `parameters`."""
    name, layers, gradients = _source_table(parameters), parameters["encoder"], {}
    x = _embed_in_order(source, name, parameters, settings)
    mask = None if source_mask is None else source_mask[..., None, :]
    if settings.norm_first:
        states, _ = encoder_stack(x, layers, settings, mask)
        d_memory, gradients["encoder_norm"] = normalise_backward(
            d_memory, states, parameters["encoder_norm"], settings.eps
        )
    d_x, gradients["encoder"] = encoder_stack_backward(
        d_memory, x, layers, settings, mask
    )
    return gradients | _embed_in_order_backward(d_x, source, name, parameters, settings)


def decode(target_input, memory, parameters, settings, source_mask=None, caches=None):
    """Score the word after each of the target's, from those before and the memory.

    Args:
        target_input: (..., n_target) ids, the target one step late
        memory:       (..., n_source, d_model), what `encode` returned
        parameters, settings, source_mask: as for `encode`
        caches:       list of one `KeyValueCache` for each layer of the decoder; then
            target_input are the new words only

    Returns:
        logits (..., n_target, n_words), a list of weights
        (..., n_heads, n_target, n_k) and a list of cross weights
        (..., n_heads, n_target, n_source), one each a layer.
    """
    check_encoder_decoder(parameters, settings)
    check_ids("target_input", target_input)
    name, n = "target_embedding", target_input.shape[-1]
    start = caches[0].length if caches else 0
    x = _embed_in_order(target_input, name, parameters, settings, start)
    memory_mask = None if source_mask is None else source_mask[..., None, :]
    masks = causal_mask(n, start + n), memory_mask
    x, weights, cross_weights = decoder_stack(
        x, memory, parameters["decoder"], settings, *masks, caches
    )
    if settings.norm_first:
        x = normalise(x, parameters["decoder_norm"], settings.eps)
    return linear(x, parameters[name]), weights, cross_weights


def decode_backward(
    d_logits, target_input, memory, parameters, settings, source_mask=None
):
    """Gradients of `decode`: d_memory and a dict of what it reads of `parameters`."""
    name, layers, gradients = "target_embedding", parameters["decoder"], {}
    x = _embed_in_order(target_input, name, parameters, settings)
    memory_mask = None if source_mask is None else source_mask[..., None, :]
    masks = causal_mask(target_input.shape[-1]), memory_mask
    states, _, _ = decoder_stack(x, memory, layers, settings, *masks)
    norm, table = parameters.get("decoder_norm"), parameters[name]
    asked = normalise(states, norm, settings.eps) if settings.norm_first else states
    d_states, d_output_table, _ = linear_backward(d_logits, asked, table)
    if settings.norm_first:
        d_states, gradients["decoder_norm"] = normalise_backward(
            d_states, states, norm, settings.eps
        )
    d_x, d_memory, gradients["decoder"] = decoder_stack_backward(
        d_states, x, memory, layers, settings, *masks
    )
    gradients |= _embed_in_order_backward(d_x, target_input, name, parameters, settings)
    gradients[name] = gradients[name] + d_output_table  # one table, two uses
    return d_memory, gradients


def transformer(source, target_input, parameters, settings, source_mask=None):
    """Score every next word of the target at once, the words before it being given.

    Args:
        source:       (..., n_source) ids
        target_input: (..., n_target) ids, the target one step late
        parameters:   dict of target_embedding (n_words, d_model), which is the output
            matrix too; source_embedding, left out if the target's serves both;
            encoder and decoder, lists of parameters of `encoder_layer` and
            `decoder_layer`; position_table (max_length, d_model) for learned
            positions; encoder_norm and decoder_norm for settings.norm_first
        settings:     `Settings`
        source_mask:  (..., n_source) bool, True = a real word. None = all are.

    Returns:
        logits (..., n_target, n_words) and a list of cross weights
        (..., n_heads, n_target, n_source), one a layer.
    """
    check_words(source, target_input)
    memory, _ = encode(source, parameters, settings, source_mask)
    logits, _, cross_weights = decode(
        target_input, memory, parameters, settings, source_mask
    )
    return logits, cross_weights


def transformer_backward(
    d_logits, source, target_input, parameters, settings, source_mask=None
):
    """Gradients of `transformer`, a dict like `parameters`.

    What the decoder asked of the memory is all that the encoder learns from.

    Args:
        d_logits: (..., n_target, n_words)
        the others: as they went in

    Returns:
        gradients with the names, nesting and shapes of `parameters`.
    """
    memory, _ = encode(source, parameters, settings, source_mask)
    d_memory, gradients = decode_backward(
        d_logits, target_input, memory, parameters, settings, source_mask
    )
    read = encode_backward(d_memory, source, parameters, settings, source_mask)
    shared = {name: gradients[name] + read[name] for name in gradients.keys() & read}
    return gradients | read | shared


def _source_table(parameters):
    """The name of the embedding of the source."""
    name = "source_embedding"
    return name if name in parameters else "target_embedding"


def _embed_in_order(ids, name, parameters, settings, start=0):
    """Vectors of words times sqrt(d_model), with their positions added."""
    x = embed(ids, parameters[name]) * math.sqrt(parameters[name].shape[-1])
    return add_positions(x, settings, parameters.get("position_table"), start)


def _embed_in_order_backward(d_x, ids, name, parameters, settings):
    """Gradients of the embedding, and of the table of positions if there is one."""
    table, scale = parameters[name], math.sqrt(parameters[name].shape[-1])
    d_words, d_places = add_positions_backward(
        d_x, d_x, settings, parameters.get("position_table")
    )
    gradients = {name: embed_backward(d_words * scale, ids, table)}
    return gradients if d_places is None else gradients | {"position_table": d_places}
