"""An encoder-only masked model, BERT: every word sees every word. NumPy only.

Devlin et al. 2018, arXiv:1810.04805, section 3; the head as in the authors' code.
"""

import numpy as np

from course_lib.in_numpy.layers import normalise, normalise_backward
from course_lib.in_numpy.linear import (
    embed,
    embed_backward,
    linear,
    linear_backward,
)
from course_lib.in_numpy.ops import gelu, gelu_backward
from course_lib.in_numpy.stack import (
    add_positions,
    add_positions_backward,
    encoder_stack,
    encoder_stack_backward,
)
from course_lib.shapes.transformer import (
    check_ids,
    check_masked_model,
    check_real_words,
)


def encode_words(ids, parameters, settings, mask=None, head_mask=None):
    """Turn words into states that know the words on both sides.

    Args:
        ids:        (..., n) integers
        parameters: as for `masked_model`; head and b_out are not read
        settings:   `Settings`
        mask:       (..., n) bool, True = a real word. None = all are.
        head_mask:  (n_layers, ..., n_heads) bool, True = this head counts

    Returns:
        states (..., n, d_model) and a list of weights (..., n_heads, n, n), one a
        layer.
    """
    check_masked_model(parameters, settings, head=False)
    check_ids("ids", ids)
    check_real_words("mask", mask, "ids", ids)
    x = normalise(
        _placed(ids, parameters, settings), parameters["embedding_norm"], settings.eps
    )
    keys = None if mask is None else mask[..., None, :]
    x, weights = encoder_stack(x, parameters["layers"], settings, keys, head_mask)
    if settings.norm_first:
        x = normalise(x, parameters["norm"], settings.eps)
    return x, weights


def encode_words_backward(
    d_states, ids, parameters, settings, mask=None, head_mask=None
):
    """Gradients of `encode_words`: a dict of what it reads of `parameters`."""
    placed, norm = _placed(ids, parameters, settings), parameters["embedding_norm"]
    x = normalise(placed, norm, settings.eps)
    keys = None if mask is None else mask[..., None, :]
    options, gradients = (parameters["layers"], settings, keys, head_mask), {}
    if settings.norm_first:
        states, _ = encoder_stack(x, *options)
        d_states, gradients["norm"] = normalise_backward(
            d_states, states, parameters["norm"], settings.eps
        )
    d_x, gradients["layers"] = encoder_stack_backward(d_states, x, *options)
    d_placed, d_norm = normalise_backward(d_x, placed, norm, settings.eps)
    gradients |= _placed_backward(d_placed, ids, parameters, settings)
    return gradients | {"embedding_norm": d_norm}


def masked_model(ids, parameters, settings, mask=None):
    """Score which word belongs at each place, from the words on both sides.

    Args:
        ids:        (..., n) integers, some of them the mask's
        parameters: dict of embedding (vocab_size, d_model), which is the output matrix
            too; position_table (max_length, d_model) for learned positions; if wanted
            segment_table (n_segments, d_model), of which row 0 is added to all words;
            embedding_norm; layers, a list of parameters of `encoder_layer`; norm for
            settings.norm_first; head, a dict of W (d_model, d_model), b (d_model,) and
            norm; b_out (vocab_size,)
        settings:   `Settings`
        mask:       (..., n) bool, True = a real word. None = all are.

    Returns:
        logits (..., n, vocab_size) and a list of weights (..., n_heads, n, n), one a
        layer.
    """
    check_masked_model(parameters, settings, head=True)
    x, weights = encode_words(ids, parameters, settings, mask)
    head = parameters["head"]
    x = gelu(linear(x, head["W"], head["b"]))
    x = normalise(x, head["norm"], settings.eps)
    return linear(x, parameters["embedding"], parameters["b_out"]), weights


def masked_model_backward(d_logits, ids, parameters, settings, mask=None):
    """Gradients of `masked_model`, a dict like `parameters`.

    Args:
        d_logits: (..., n, vocab_size)
        the others: as they went in

    Returns:
        gradients with the names, nesting and shapes of `parameters`.
    """
    states, _ = encode_words(ids, parameters, settings, mask)
    head = parameters["head"]
    before = linear(states, head["W"], head["b"])
    hidden = gelu(before)
    x = normalise(hidden, head["norm"], settings.eps)
    d_x, d_embedding, d_b_out = linear_backward(
        d_logits, x, parameters["embedding"], parameters["b_out"]
    )
    d_x, d_norm = normalise_backward(d_x, hidden, head["norm"], settings.eps)
    d_states, d_W, d_b = linear_backward(
        gelu_backward(d_x, before), states, head["W"], head["b"]
    )
    gradients = encode_words_backward(d_states, ids, parameters, settings, mask)
    gradients["embedding"] = gradients["embedding"] + d_embedding  # one table, two uses
    gradients["head"] = {"W": d_W, "b": d_b, "norm": d_norm}
    return gradients | {"b_out": d_b_out}


def _placed(ids, parameters, settings):
    """Vectors of words, of segment 0 and of positions, added up."""
    x = embed(ids, parameters["embedding"])
    if "segment_table" in parameters:
        x = x + parameters["segment_table"][0]
    return add_positions(x, settings, parameters.get("position_table"))


def _placed_backward(d_placed, ids, parameters, settings):
    """Gradients of the tables that `_placed` adds up."""
    gradients = {}
    d_words, d_table = add_positions_backward(
        d_placed, d_placed, settings, parameters.get("position_table")
    )
    if d_table is not None:
        gradients["position_table"] = d_table
    if "segment_table" in parameters:
        d_segments = np.zeros_like(parameters["segment_table"])
        d_segments[0] = d_words.reshape(-1, d_words.shape[-1]).sum(axis=0)
        gradients["segment_table"] = d_segments
    d_embedding = embed_backward(d_words, ids, parameters["embedding"])
    return gradients | {"embedding": d_embedding}
