"""Checks of `in_numpy.recurrent_attention` and its twin, and the shapes of scores."""

from course_lib.shapes.basic import (
    check_array,
    check_choice,
    check_count,
    check_integers,
    check_mask,
    check_shape,
)


def score_shapes(d_query, d_key, d_hidden, max_length):
    """The parameters of every score, in the order of its arguments.

    Args:
        d_query, d_key: sizes of one query and of one key
        d_hidden:       size of the hidden layer of "concat" and "additive"
        max_length:     the most keys that "location" can have

    Returns:
        a dict of dicts: score, then parameter, then shape.
    """
    return {
        "dot": {},
        "scaled_dot": {},
        "general": {"W": (d_query, d_key)},
        "concat": {"W": (d_hidden, d_query + d_key), "v": (d_hidden,)},
        "additive": {
            "W_q": (d_hidden, d_query),
            "W_k": (d_hidden, d_key),
            "v": (d_hidden,),
        },
        "location": {"W": (max_length, d_query)},
    }


def check_score(score, parameters, scores):
    """Refuse a score that is not in the table, or has not the parameters it takes."""
    check_choice("score", score, scores)
    taken = scores[score][-1]
    if set(parameters) != set(taken):
        raise ValueError(
            f"parameters['score'] holds {_listed(parameters)} but the score {score!r} "
            f"takes {_listed(taken)}"
        )


def check_look(query, memory, mask):
    """Refuse a query, a memory and a mask that do not belong together."""
    check_array("query", query, 1)
    check_array("memory", memory, 2)
    _check_batch("query", query.shape[:-1], memory)
    if mask is not None:
        check_mask(mask, memory.shape[:-1])
        because = f"memory has {tuple(memory.shape)}"
        check_shape("mask", mask, memory.shape[:-1], because)


def check_step(x, state, joined, memory):
    """Refuse inputs of one step that do not have the same batch axes."""
    check_array("memory", memory, 2)
    for name, array in {"x": x, "state": state, "joined": joined}.items():
        check_array(name, array, 1)
        _check_batch(name, array.shape[:-1], memory)


def check_decoder(target_input, state, memory, wiring, wirings):
    """Refuse what the loop of a decoder cannot start from."""
    check_choice("wiring", wiring, wirings)
    check_integers("target_input", target_input)
    check_array("target_input", target_input, 1)
    check_array("state", state, 1)
    check_array("memory", memory, 2)
    _check_batch("target_input", target_input.shape[:-1], memory)
    _check_batch("state", state.shape[:-1], memory)


def check_settings(d_hidden, score, scores, wiring, wirings, bidirectional, max_length):
    """Refuse settings of which no model can be built."""
    check_count("d_hidden", d_hidden)
    check_choice("score", score, scores)
    check_choice("wiring", wiring, wirings)
    if bidirectional and d_hidden % 2:
        raise ValueError(
            "d_hidden must be even, half of it for either direction of the encoder, "
            f"got {d_hidden}"
        )
    if score == "location":
        check_count("max_length", max_length)


def _check_batch(name, axes, memory):
    if tuple(axes) != tuple(memory.shape[:-2]):
        raise ValueError(
            f"{name} has batch axes {tuple(axes)} and memory has "
            f"{tuple(memory.shape[:-2])}: they must be equal"
        )


def _listed(names):
    return ", ".join(names) or "nothing"
