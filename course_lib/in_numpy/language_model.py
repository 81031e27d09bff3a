"""A decoder-only language model: a stack of causal layers. NumPy only.

Radford et al. 2018, "Improving language understanding by generative pre-training",
section 3.1: the Transformer's decoder without an encoder to ask.
"""

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
    encoder_stack,
    encoder_stack_backward,
)
from course_lib.shapes.transformer import check_ids, check_language_model


def language_model(ids, parameters, settings, head_mask=None, caches=None):
    """Score the word after each word, which sees itself and those before.

    The embeddings are not scaled here, as in GPT-2 and Llama.

    Args:
        ids:        (..., n) integers
        parameters: dict of embedding (vocab_size, d_model), which is the output matrix
            too unless there is a W_out of the same shape; layers, a list of parameters
            of `encoder_layer`; position_table (max_length, d_model) for learned
            positions; norm for settings.norm_first
        settings:   `Settings`
        head_mask:  (n_layers, ..., n_heads) bool, True = this head counts
        caches:     list of one `KeyValueCache` a layer; then ids are the new words only

    Returns:
        logits (..., n, vocab_size) and a list of weights (..., n_heads, n, n_k), one a
        layer.
    """
    check_language_model(parameters, settings)
    check_ids("ids", ids)
    embedding, n = parameters["embedding"], ids.shape[-1]
    start = caches[0].length if caches else 0
    x = embed(ids, embedding)
    x = add_positions(x, settings, parameters.get("position_table"), start)
    mask = causal_mask(n, start + n)
    x, weights = encoder_stack(
        x, parameters["layers"], settings, mask, head_mask, caches
    )
    if settings.norm_first:
        x = normalise(x, parameters["norm"], settings.eps)
    return linear(x, parameters.get("W_out", embedding)), weights


def language_model_backward(d_logits, ids, parameters, settings, head_mask=None):
    """Gradients of `language_model`, a dict like `parameters`.

    Args:
        d_logits: (..., n, vocab_size)
        the others: as they went in

    Returns:
        gradients with the names, nesting and shapes of `parameters`.
    """
    embedding, table = parameters["embedding"], parameters.get("position_table")
    words, gradients = embed(ids, embedding), {}
    x = add_positions(words, settings, table)
    options = parameters["layers"], settings, causal_mask(ids.shape[-1]), head_mask
    states, _ = encoder_stack(x, *options)
    norm, W_out = parameters.get("norm"), parameters.get("W_out", embedding)
    read = normalise(states, norm, settings.eps) if settings.norm_first else states
    d_x, d_W_out, _ = linear_backward(d_logits, read, W_out)
    if settings.norm_first:
        d_x, gradients["norm"] = normalise_backward(d_x, states, norm, settings.eps)
    d_x, gradients["layers"] = encoder_stack_backward(d_x, x, *options)
    d_x, d_table = add_positions_backward(d_x, words, settings, table)
    if d_table is not None:
        gradients["position_table"] = d_table
    d_embedding = embed_backward(d_x, ids, embedding)
    if "W_out" in parameters:
        return gradients | {"embedding": d_embedding, "W_out": d_W_out}
    return gradients | {"embedding": d_embedding + d_W_out}
