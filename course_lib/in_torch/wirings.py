"""One step of a decoder with attention in PyTorch. Twin of `in_numpy.wirings`."""

import torch

from course_lib.in_torch.attention import attend
from course_lib.in_torch.linear import linear
from course_lib.in_torch.recurrent import gru_cell
from course_lib.in_torch.scores import (
    additive_scores,
    concat_scores,
    dot_scores,
    general_scores,
    location_scores,
    scaled_dot_scores,
)
from course_lib.shapes.recurrent_attention import check_look, check_score, check_step


def _location(query, key, W):
    """`location_scores` with the arguments of the others; keys are only counted."""
    return location_scores(query, W, key.shape[-2])


# Every score by name: the function and the parameters it takes.
SCORES = {
    "dot": (dot_scores, ()),
    "scaled_dot": (scaled_dot_scores, ()),
    "general": (general_scores, ("W",)),
    "concat": (concat_scores, ("W", "v")),
    "additive": (additive_scores, ("W_q", "W_k", "v")),
    "location": (_location, ("W",)),
}


def look_back(query, memory, parameters, score="additive", mask=None):
    """Twin of `in_numpy.wirings.look_back`; shapes as there."""
    check_look(query, memory, mask)
    check_score(score, parameters, SCORES)
    function, _ = SCORES[score]
    scores = function(query[..., None, :], memory, **parameters)  # (..., 1, n_source)
    allowed = None if mask is None else mask[..., None, :]
    context, weights = attend(scores, memory, allowed)
    return context[..., 0, :], weights[..., 0, :]


def join(context, state, W_join):
    """Twin of `in_numpy.wirings.join`; shapes as there."""
    return torch.tanh(linear(torch.cat([context, state], dim=-1), W_join))


def bahdanau_step(x, state, joined, memory, parameters, score="additive", mask=None):
    """Twin of `in_numpy.wirings.bahdanau_step`; shapes as there."""
    check_step(x, state, joined, memory)
    context, weights = look_back(state, memory, parameters["score"], score, mask)
    state = gru_cell(torch.cat([x, context], dim=-1), state, **parameters["cell"])
    return state, join(context, state, parameters["W_join"]), weights


def luong_step(x, state, joined, memory, parameters, score="general", mask=None):
    """Twin of `in_numpy.wirings.luong_step`; shapes as there."""
    check_step(x, state, joined, memory)
    state = gru_cell(torch.cat([x, joined], dim=-1), state, **parameters["cell"])
    context, weights = look_back(state, memory, parameters["score"], score, mask)
    return state, join(context, state, parameters["W_join"]), weights


# Every wiring by name.
WIRINGS = {"bahdanau": bahdanau_step, "luong": luong_step}
