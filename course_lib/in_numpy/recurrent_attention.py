"""Recurrent seq2seq with any score as its cross-attention, in either wiring.

A decoder is a loop over the steps of `wirings`. Its parameters are a dict: embedding
(n_words, d_x); cell, score and W_join, those of a step; W_out (n_words, d_joined) and
b_out (n_words,).
"""

import numpy as np

from course_lib.in_numpy.linear import embed, embed_backward, linear, linear_backward
from course_lib.in_numpy.recurrent import gru, gru_backward
from course_lib.in_numpy.wirings import WIRINGS
from course_lib.shapes.recurrent import check_words
from course_lib.shapes.recurrent_attention import check_decoder


def attention_decoder(
    target_input,
    state,
    memory,
    parameters,
    score="additive",
    wiring="bahdanau",
    mask=None,
):
    """Score every next word, looking back at the source for each.

    Args:
        target_input: (..., n_target) ids, the target one step late
        state:        (..., d_hidden), before the first word
        memory:       (..., n_source, d_memory), the states of the encoder
        parameters:   dict of arrays, as above
        score:        a name in `wirings.SCORES`
        wiring:       a name in `wirings.WIRINGS`
        mask:         (..., n_source) bool, True = a real position. None = all are.

    Returns:
        logits (..., n_target, n_words) and weights (..., n_target, n_source).

    Raises:
        ValueError or TypeError naming the argument that does not fit.
    """
    check_decoder(target_input, state, memory, wiring, WIRINGS)
    _, _, joined, weights = _steps(
        target_input, state, memory, parameters, score, wiring, mask
    )
    logits = linear(joined[..., 1:, :], parameters["W_out"], parameters["b_out"])
    return logits, weights


def attention_decoder_backward(
    d_logits,
    target_input,
    state,
    memory,
    parameters,
    score="additive",
    wiring="bahdanau",
    mask=None,
):
    """Gradients of `attention_decoder`: backpropagation through time.

    Every step hands gradients to the one before it, in two vectors, and adds its share
    to those of the memory and the parameters.

    Args:
        d_logits: (..., n_target, n_words)
        the others: as they went in

    Returns:
        d_state, d_memory, and d_parameters, a dict with the names of `parameters`.
    """
    how = score, wiring, mask
    words, states, joined, _ = _steps(target_input, state, memory, parameters, *how)
    d_outputs, d_W_out, d_b_out = linear_backward(
        d_logits, joined[..., 1:, :], parameters["W_out"], parameters["b_out"]
    )
    _, step_backward = WIRINGS[wiring]
    d_words, d_memory = np.zeros_like(words), np.zeros_like(memory)
    d_state, d_joined = np.zeros_like(state), np.zeros_like(joined[..., 0, :])
    d_parameters = _zeros_like(parameters) | {"W_out": d_W_out, "b_out": d_b_out}
    for t in reversed(range(target_input.shape[-1])):
        d_words[..., t, :], d_state, d_joined, d_looked_at, d_step = step_backward(
            d_state,
            d_joined + d_outputs[..., t, :],
            words[..., t, :],
            states[..., t, :],
            joined[..., t, :],
            memory,
            parameters,
            score,
            mask,
        )
        d_memory += d_looked_at
        _add_to(d_parameters, d_step)
    d_parameters["embedding"] = embed_backward(
        d_words, target_input, parameters["embedding"]
    )
    return d_state, d_memory, d_parameters


def attention_encoder_decoder(
    source, target_input, parameters, score="additive", wiring="bahdanau", mask=None
):
    """Read a sequence, then write another, looking back at every step.

    The decoder starts from tanh(W_start h + b_start), h being the encoder's last state
    (Bahdanau et al. 2015, arXiv:1409.0473, appendix A.2.2, where it is the first state
    of an encoder that reads from the end).

    Args:
        source:       (..., n_source) ids
        target_input: (..., n_target) ids, the target one step late
        parameters:   dict of source_embedding (n_words', d_x); encoder, a dict of the
            four weights of `gru_cell`; W_start (d_hidden, d_memory) and b_start
            (d_hidden,); and decoder, a dict as for `attention_decoder`
        score, wiring, mask: as for `attention_decoder`

    Returns:
        logits (..., n_target, n_words) and weights (..., n_target, n_source).

    Raises:
        ValueError or TypeError naming the argument that does not fit.
    """
    check_words(source, target_input)
    _, memory, state = _encode(source, parameters, mask)
    how = score, wiring, mask
    return attention_decoder(target_input, state, memory, parameters["decoder"], *how)


def attention_encoder_decoder_backward(
    d_logits,
    source,
    target_input,
    parameters,
    score="additive",
    wiring="bahdanau",
    mask=None,
):
    """Gradients of `attention_encoder_decoder` with respect to its parameters.

    The gradient reaches every state of the encoder, not its last one alone.

    Args:
        d_logits: (..., n_target, n_words)
        the others: as they went in

    Returns:
        a dict of gradients, with the names and shapes of `parameters`.
    """
    x, memory, state = _encode(source, parameters, mask)
    d_state, d_memory, d_decoder = attention_decoder_backward(
        d_logits,
        target_input,
        state,
        memory,
        parameters["decoder"],
        score,
        wiring,
        mask,
    )
    weights = parameters["W_start"], parameters["b_start"]
    d_last, d_W_start, d_b_start = linear_backward(
        d_state * (1 - state**2), memory[..., -1, :], *weights
    )
    d_memory[..., -1, :] += d_last
    zeros = np.zeros_like(d_last)
    d_x, _, *d_encoder = gru_backward(
        d_memory, x, zeros, **parameters["encoder"], states=memory, mask=mask
    )
    return {
        "source_embedding": embed_backward(d_x, source, parameters["source_embedding"]),
        "encoder": dict(zip(("W_x", "W_h", "b_x", "b_h"), d_encoder, strict=True)),
        "W_start": d_W_start,
        "b_start": d_b_start,
        "decoder": d_decoder,
    }


def _steps(target_input, state, memory, parameters, score, wiring, mask):
    """The loop forward: embedded words, states, joined, weights.

    states and joined are (..., n_target + 1, d): the first is the one before any step.
    """
    words = embed(target_input, parameters["embedding"])  # (..., n_target, d_x)
    *batch, n_target = target_input.shape
    d_joined = len(parameters["W_join"])
    states = np.zeros((*batch, n_target + 1, state.shape[-1]), words.dtype)
    joined = np.zeros((*batch, n_target + 1, d_joined), words.dtype)
    weights = np.zeros((*batch, n_target, memory.shape[-2]), words.dtype)
    states[..., 0, :] = state
    step, _ = WIRINGS[wiring]
    for t in range(n_target):
        states[..., t + 1, :], joined[..., t + 1, :], weights[..., t, :] = step(
            words[..., t, :],
            states[..., t, :],
            joined[..., t, :],
            memory,
            parameters,
            score,
            mask,
        )
    return words, states, joined, weights


def _encode(source, parameters, mask):
    """Embedded source, the encoder's states, and the decoder's first state."""
    x = embed(source, parameters["source_embedding"])  # (..., n_source, d_x)
    d_memory = parameters["encoder"]["W_h"].shape[-1]
    zeros = np.zeros((*x.shape[:-2], d_memory), x.dtype)
    memory = gru(x, zeros, **parameters["encoder"], mask=mask)
    start = linear(memory[..., -1, :], parameters["W_start"], parameters["b_start"])
    return x, memory, np.tanh(start)


def _zeros_like(parameters):
    """A dict of zeros with the names and shapes of a dict of arrays, nested or not."""
    return {
        name: _zeros_like(value) if isinstance(value, dict) else np.zeros_like(value)
        for name, value in parameters.items()
    }


def _add_to(total, part):
    """Add a dict of gradients to those of the same names, in place."""
    for name, gradient in part.items():
        if isinstance(gradient, dict):
            _add_to(total[name], gradient)
        else:
            total[name] += gradient
