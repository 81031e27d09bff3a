"""One step of a decoder with attention, in its two classic wirings, for any score.

Bahdanau, Cho and Bengio 2015, arXiv:1409.0473, section 3.1: the previous state asks,
and the answer goes into the next state. Luong, Pham and Manning 2015, arXiv:1508.04025,
section 3: the current state asks, and question and answer together go into the next
state (input feeding, section 3.3).

The parameters of a step are a dict: cell, a dict of the four weights of `gru_cell`;
score, a dict of what the score takes; and W_join (d_joined, d_memory + d_hidden).
"""

import numpy as np

from course_lib.in_numpy.attention import attend, attend_backward
from course_lib.in_numpy.linear import linear, linear_backward
from course_lib.in_numpy.recurrent import gru_cell, gru_cell_backward
from course_lib.in_numpy.scores import (
    additive_scores,
    additive_scores_backward,
    concat_scores,
    concat_scores_backward,
    dot_scores,
    dot_scores_backward,
    general_scores,
    general_scores_backward,
    location_scores,
    location_scores_backward,
    scaled_dot_scores,
    scaled_dot_scores_backward,
)
from course_lib.shapes.recurrent_attention import check_look, check_score, check_step


def _location(query, key, W):
    """`location_scores` with the arguments of the others; keys are only counted."""
    return location_scores(query, W, key.shape[-2])


def _location_backward(d_scores, query, key, W):
    """Gradients of `_location`: the keys get none."""
    d_query, d_W = location_scores_backward(d_scores, query, W, key.shape[-2])
    return d_query, np.zeros_like(key), d_W


# Every score by name: the function, its backward, and the parameters it takes.
SCORES = {
    "dot": (dot_scores, dot_scores_backward, ()),
    "scaled_dot": (scaled_dot_scores, scaled_dot_scores_backward, ()),
    "general": (general_scores, general_scores_backward, ("W",)),
    "concat": (concat_scores, concat_scores_backward, ("W", "v")),
    "additive": (additive_scores, additive_scores_backward, ("W_q", "W_k", "v")),
    "location": (_location, _location_backward, ("W",)),
}


def look_back(query, memory, parameters, score="additive", mask=None):
    """One query asks every state of the encoder and gets their weighted average.

    Args:
        query:      (..., d_query)
        memory:     (..., n_source, d_memory), the states; they are keys and values
        parameters: dict of the arrays that the score takes, by the names of `SCORES`
        score:      a name in `SCORES`
        mask:       (..., n_source) bool, True = a real position. None = all are.

    Returns:
        context (..., d_memory) and weights (..., n_source), summing to 1.
    """
    check_look(query, memory, mask)
    check_score(score, parameters, SCORES)
    function, _, _ = SCORES[score]
    scores = function(query[..., None, :], memory, **parameters)  # (..., 1, n_source)
    allowed = None if mask is None else mask[..., None, :]
    context, weights = attend(scores, memory, allowed)
    return context[..., 0, :], weights[..., 0, :]


def look_back_backward(
    d_context, query, memory, parameters, score="additive", mask=None
):
    """Gradients of `look_back`; memory gets one as the values and one as the keys.

    Args:
        d_context: (..., d_memory)
        the others: as they went in

    Returns:
        d_query, d_memory and d_parameters, a dict.
    """
    _, weights = look_back(query, memory, parameters, score, mask)
    d_scores, d_value = attend_backward(
        d_context[..., None, :], weights[..., None, :], memory
    )
    _, backward, names = SCORES[score]
    d_query, d_key, *d_parameters = backward(
        d_scores, query[..., None, :], memory, **parameters
    )
    d_parameters = dict(zip(names, d_parameters, strict=True))
    return d_query[..., 0, :], d_key + d_value, d_parameters


def join(context, state, W_join):
    """What was found and who asked, in one vector: tanh(W_join [context; state]).

    Luong et al. 2015, section 3, call it the attentional state.

    Args:
        context: (..., d_memory)
        state:   (..., d_hidden)
        W_join:  (d_joined, d_memory + d_hidden)

    Returns:
        joined (..., d_joined).
    """
    return np.tanh(linear(np.concatenate([context, state], axis=-1), W_join))


def join_backward(d_joined, context, state, W_join):
    """Gradients of `join`: d_context, d_state, d_W_join."""
    both = np.concatenate([context, state], axis=-1)
    d_linear = d_joined * (1 - join(context, state, W_join) ** 2)  # before the tanh
    d_both, d_W_join, _ = linear_backward(d_linear, both, W_join)
    return *np.split(d_both, [context.shape[-1]], axis=-1), d_W_join


def bahdanau_step(x, state, joined, memory, parameters, score="additive", mask=None):
    """Look back, then move on: the previous state asks, the answer joins the input.

    Bahdanau et al. 2015, section 3.1. Their output layer is a maxout of the previous
    state, the word and the context (appendix A.2.2); ours is Luong's `join`.

    Args:
        x:      (..., d_x), the last word
        state:  (..., d_hidden), before this step
        joined: (..., d_joined), of the step before; this wiring does not read it
        memory: (..., n_source, d_memory), the states of the encoder
        parameters: dict of cell, score and W_join
        score, mask: as for `look_back`

    Returns:
        new state (..., d_hidden), new joined (..., d_joined), weights (..., n_source).
    """
    check_step(x, state, joined, memory)
    context, weights = look_back(state, memory, parameters["score"], score, mask)
    x_and_context = np.concatenate([x, context], axis=-1)
    state = gru_cell(x_and_context, state, **parameters["cell"])
    return state, join(context, state, parameters["W_join"]), weights


def bahdanau_step_backward(
    d_new_state,
    d_new_joined,
    x,
    state,
    joined,
    memory,
    parameters,
    score="additive",
    mask=None,
):
    """Gradients of `bahdanau_step`, its three parts in reverse.

    Args:
        d_new_state:  (..., d_hidden)
        d_new_joined: (..., d_joined)
        the others: as they went in

    Returns:
        d_x, d_state, d_joined, d_memory and d_parameters, a dict.
    """
    cell, look = parameters["cell"], (parameters["score"], score, mask)
    context, _ = look_back(state, memory, *look)
    x_and_context = np.concatenate([x, context], axis=-1)
    new_state = gru_cell(x_and_context, state, **cell)
    d_context, d_asked, d_W_join = join_backward(
        d_new_joined, context, new_state, parameters["W_join"]
    )
    d_both, d_state, *d_cell = gru_cell_backward(
        d_new_state + d_asked, x_and_context, state, **cell
    )
    d_x, d_context_in = np.split(d_both, [x.shape[-1]], axis=-1)
    d_query, d_memory, d_score = look_back_backward(
        d_context + d_context_in, state, memory, *look
    )
    d_parameters = _step_gradients(d_cell, d_score, d_W_join)
    return d_x, d_state + d_query, np.zeros_like(joined), d_memory, d_parameters


def luong_step(x, state, joined, memory, parameters, score="general", mask=None):
    """Move on, then look back: the current state asks, the last `joined` was fed in.

    Luong et al. 2015, section 3, with the input feeding of section 3.3.

    Args: as for `bahdanau_step`; joined is zeros before the first step

    Returns:
        new state (..., d_hidden), new joined (..., d_joined), weights (..., n_source).
    """
    check_step(x, state, joined, memory)
    x_and_joined = np.concatenate([x, joined], axis=-1)
    state = gru_cell(x_and_joined, state, **parameters["cell"])
    context, weights = look_back(state, memory, parameters["score"], score, mask)
    return state, join(context, state, parameters["W_join"]), weights


def luong_step_backward(
    d_new_state,
    d_new_joined,
    x,
    state,
    joined,
    memory,
    parameters,
    score="general",
    mask=None,
):
    """Gradients of `luong_step`, its three parts in reverse.

    Args and returns: as for `bahdanau_step_backward`.
    """
    cell, look = parameters["cell"], (parameters["score"], score, mask)
    x_and_joined = np.concatenate([x, joined], axis=-1)
    new_state = gru_cell(x_and_joined, state, **cell)
    context, _ = look_back(new_state, memory, *look)
    d_context, d_asked, d_W_join = join_backward(
        d_new_joined, context, new_state, parameters["W_join"]
    )
    d_query, d_memory, d_score = look_back_backward(d_context, new_state, memory, *look)
    d_both, d_state, *d_cell = gru_cell_backward(
        d_new_state + d_asked + d_query, x_and_joined, state, **cell
    )
    d_x, d_joined = np.split(d_both, [x.shape[-1]], axis=-1)
    d_parameters = _step_gradients(d_cell, d_score, d_W_join)
    return d_x, d_state, d_joined, d_memory, d_parameters


# Every wiring by name: one step, and its backward.
WIRINGS = {
    "bahdanau": (bahdanau_step, bahdanau_step_backward),
    "luong": (luong_step, luong_step_backward),
}


def _step_gradients(d_cell, d_score, d_W_join):
    """The gradients of one step, under the names of its parameters."""
    d_cell = dict(zip(("W_x", "W_h", "b_x", "b_h"), d_cell, strict=True))
    return {"cell": d_cell, "score": d_score, "W_join": d_W_join}
