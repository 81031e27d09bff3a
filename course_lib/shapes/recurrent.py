"""Checks of `in_numpy.recurrent` and its twin."""

from course_lib.shapes.basic import (
    check_array,
    check_integers,
    check_mask,
    check_shape,
)


def check_gru(x, state, W_x, W_h, b_x, b_h):
    """Refuse weights of a GRU that fit neither each other nor the input and state."""
    for name, array in {"x": x, "state": state}.items():
        check_array(name, array, 1)
    d_x, d_hidden = x.shape[-1], state.shape[-1]
    expected = {
        "W_x": (W_x, (3 * d_hidden, d_x)),
        "W_h": (W_h, (3 * d_hidden, d_hidden)),
        "b_x": (b_x, (3 * d_hidden,)),
        "b_h": (b_h, (3 * d_hidden,)),
    }
    for name, (array, shape) in expected.items():
        because = f"x has {d_x} features and state has {d_hidden}"
        check_shape(name, array, shape, because)


def check_steps(x, state, mask):
    """Refuse a sequence, a first state and a mask that do not belong together."""
    check_array("x", x, 2)
    check_array("state", state, 1)
    if tuple(state.shape[:-1]) != tuple(x.shape[:-2]):
        raise ValueError(
            f"state has shape {tuple(state.shape)} but x has {tuple(x.shape)}: "
            f"expected batch axes {tuple(x.shape[:-2])}"
        )
    if mask is not None:
        check_mask(mask, x.shape[:-1])
        if tuple(mask.shape) != tuple(x.shape[:-1]):
            raise ValueError(
                f"mask has shape {tuple(mask.shape)} but x has {tuple(x.shape)}: "
                f"expected {tuple(x.shape[:-1])}"
            )


def check_words(source, target_input):
    """Refuse sequences of ids that are no integers, or of which one is missing."""
    check_integers("source", source)
    check_integers("target_input", target_input)
    if len(source.shape) == 0 or source.shape[-1] == 0:
        raise ValueError(
            f"source must have at least one position, but its shape is "
            f"{tuple(source.shape)}"
        )
    if tuple(source.shape[:-1]) != tuple(target_input.shape[:-1]):
        raise ValueError(
            f"source has batch axes {tuple(source.shape[:-1])} and target_input has "
            f"{tuple(target_input.shape[:-1])}: they must be equal"
        )
