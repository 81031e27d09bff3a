"""Recurrent networks: a GRU, through time, and an encoder-decoder built of two.

Cho et al. 2014, arXiv:1406.1078, section 2.3. The reset gate stands where PyTorch's
`nn.GRU` puts it: it scales W_h h + b_h, where the paper scales h before the product.
The rows of W_x and W_h are PyTorch's too, reset gate r, update gate z, then candidate,
so weights can be exchanged with `nn.GRU`.
"""

import numpy as np

from course_lib.in_numpy.linear import embed, embed_backward, linear, linear_backward
from course_lib.in_numpy.ops import sigmoid
from course_lib.shapes.recurrent import check_gru, check_steps, check_words


def gru_cell(x, state, W_x, W_h, b_x, b_h):
    """One step of a GRU: the state is a mix of the old state and a candidate.

    r = sigmoid(W_xr x + b_xr + W_hr h + b_hr)
    z = sigmoid(W_xz x + b_xz + W_hz h + b_hz)
    candidate = tanh(W_xn x + b_xn + r * (W_hn h + b_hn))
    new state = z * h + (1 - z) * candidate

    Args:
        x:     (..., d_x)
        state: (..., d_hidden)
        W_x:   (3 d_hidden, d_x)
        W_h:   (3 d_hidden, d_hidden)
        b_x:   (3 d_hidden,)
        b_h:   (3 d_hidden,)

    Returns:
        new state (..., d_hidden).
    """
    check_gru(x, state, W_x, W_h, b_x, b_h)
    _, z, candidate, _ = _gates(x, state, W_x, W_h, b_x, b_h)
    return z * state + (1 - z) * candidate


def gru_cell_backward(d_new_state, x, state, W_x, W_h, b_x, b_h):
    """Gradients of `gru_cell`; the gates are computed again, so nothing is stored.

    Args:
        d_new_state: (..., d_hidden)
        the others: as they went in

    Returns:
        d_x, d_state, d_W_x, d_W_h, d_b_x, d_b_h, each of the shape of its input.
    """
    r, z, candidate, from_state = _gates(x, state, W_x, W_h, b_x, b_h)
    d_candidate = d_new_state * (1 - z) * (1 - candidate**2)  # before the tanh
    d_z = d_new_state * (state - candidate) * z * (1 - z)  # before the sigmoid
    d_r = d_candidate * from_state * r * (1 - r)
    d_from_x = np.concatenate([d_r, d_z, d_candidate], axis=-1)  # (..., 3 d_hidden)
    d_from_h = np.concatenate([d_r, d_z, d_candidate * r], axis=-1)
    d_x, d_W_x, d_b_x = linear_backward(d_from_x, x, W_x, b_x)
    d_state, d_W_h, d_b_h = linear_backward(d_from_h, state, W_h, b_h)
    return d_x, d_new_state * z + d_state, d_W_x, d_W_h, d_b_x, d_b_h


def gru(x, state, W_x, W_h, b_x, b_h, mask=None):
    """A GRU over a sequence. Where the mask is False the state is kept as it was.

    With padding behind each sequence, the last state is therefore the state after the
    last real position.

    Args:
        x:     (..., n, d_x)
        state: (..., d_hidden), before the first position
        W_x, W_h, b_x, b_h: as for `gru_cell`
        mask:  (..., n) bool, True = a real position. None = all are.

    Returns:
        states (..., n, d_hidden), the state after each position.
    """
    check_steps(x, state, mask)
    check_gru(x, state, W_x, W_h, b_x, b_h)
    states = np.zeros((*x.shape[:-1], state.shape[-1]), np.result_type(x, state, W_x))
    for t in range(x.shape[-2]):
        new_state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        if mask is not None:
            new_state = np.where(mask[..., t, None], new_state, state)
        states[..., t, :] = state = new_state
    return states


def gru_backward(d_states, x, state, W_x, W_h, b_x, b_h, states, mask=None):
    """Gradients of `gru`: backpropagation through time, from the last step back.

    Args:
        d_states: (..., n, d_hidden)
        x, state, W_x, W_h, b_x, b_h, mask: as they went in
        states:   (..., n, d_hidden), as they came out

    Returns:
        d_x, d_state, d_W_x, d_W_h, d_b_x, d_b_h, each of the shape of its input.
    """
    d_x = np.zeros(x.shape, states.dtype)
    d_state = np.zeros(state.shape, states.dtype)  # wanted by the steps after t
    d_weights = [np.zeros(w.shape, states.dtype) for w in (W_x, W_h, b_x, b_h)]
    for t in reversed(range(x.shape[-2])):
        before = states[..., t - 1, :] if t > 0 else state
        d_after = d_state + d_states[..., t, :]
        real = True if mask is None else mask[..., t, None]
        d_x[..., t, :], d_state, *d_step = gru_cell_backward(
            np.where(real, d_after, 0), x[..., t, :], before, W_x, W_h, b_x, b_h
        )
        d_state = d_state + np.where(real, 0, d_after)  # a kept state hands it on
        for total, d_weight in zip(d_weights, d_step, strict=True):
            total += d_weight
    return d_x, d_state, *d_weights


def encoder_decoder(source, target_input, parameters, mask=None):
    """Read a sequence into one vector, then write another from that vector alone.

    The last state of the encoder is the first state of the decoder (Sutskever, Vinyals
    and Le 2014, arXiv:1409.3215), and there is no other way from source to target.

    Args:
        source:       (..., n_source) ids
        target_input: (..., n_target) ids, the target one step late
        parameters:   dict of arrays, named as in `in_torch.recurrent.Seq2Seq`:
            source_embedding (n_words, d_x), target_embedding (n_words', d_x),
            encoder and decoder: each the four weights of `gru_cell`,
            W_out (n_words', d_hidden) and b_out (n_words',)
        mask:         (..., n_source) bool, True = a real position. None = all are.

    Returns:
        logits (..., n_target, n_words').
    """
    check_words(source, target_input)
    _, _, _, states = _encode_decode(source, target_input, parameters, mask)
    return linear(states, parameters["W_out"], parameters["b_out"])


def encoder_decoder_backward(d_logits, source, target_input, parameters, mask=None):
    """Gradients of `encoder_decoder` with respect to its parameters.

    The gradient reaches the encoder through one vector only: d_state of the decoder.

    Args:
        d_logits: (..., n_target, n_words')
        the others: as they went in

    Returns:
        a dict of gradients, with the names and shapes of `parameters`.
    """
    x, encoded, y, decoded = _encode_decode(source, target_input, parameters, mask)
    d_decoded, d_W_out, d_b_out = linear_backward(
        d_logits, decoded, parameters["W_out"], parameters["b_out"]
    )
    d_y, d_vector, *d_decoder = gru_backward(
        d_decoded, y, encoded[..., -1, :], *parameters["decoder"], decoded
    )
    d_encoded = np.zeros_like(encoded)
    d_encoded[..., -1, :] = d_vector
    d_x, _, *d_encoder = gru_backward(
        d_encoded, x, np.zeros_like(d_vector), *parameters["encoder"], encoded, mask
    )
    return {
        "source_embedding": embed_backward(d_x, source, parameters["source_embedding"]),
        "target_embedding": embed_backward(
            d_y, target_input, parameters["target_embedding"]
        ),
        "encoder": tuple(d_encoder),
        "decoder": tuple(d_decoder),
        "W_out": d_W_out,
        "b_out": d_b_out,
    }


def _gates(x, state, W_x, W_h, b_x, b_h):
    """Reset gate, update gate, candidate, and the candidate's share of the state."""
    x_r, x_z, x_n = np.split(linear(x, W_x, b_x), 3, axis=-1)
    h_r, h_z, h_n = np.split(linear(state, W_h, b_h), 3, axis=-1)
    r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
    return r, z, np.tanh(x_n + r * h_n), h_n


def _encode_decode(source, target_input, parameters, mask):
    """Embedded source, encoder states, embedded target and decoder states."""
    x = embed(source, parameters["source_embedding"])  # (..., n_source, d_x)
    y = embed(target_input, parameters["target_embedding"])  # (..., n_target, d_x)
    d_hidden = parameters["encoder"][1].shape[-1]
    zeros = np.zeros((*x.shape[:-2], d_hidden), x.dtype)
    encoded = gru(x, zeros, *parameters["encoder"], mask)
    decoded = gru(y, encoded[..., -1, :], *parameters["decoder"])
    return x, encoded, y, decoded
