"""Checks of `in_numpy.feed_forward` and its twin."""

from course_lib.shapes.basic import check_array, check_choice
from course_lib.shapes.parameters import check_names, check_parameters

ACTIVATIONS = ("relu", "gelu", "swiglu")


def check_feed_forward(x, parameters, activation):
    """Refuse parameters that fit neither the input nor the activation."""
    check_array("x", x, 1)
    check_choice("activation", activation, ACTIVATIONS)
    gate = ("gate",) if activation == "swiglu" else ()
    needed = [f"W_{name}" for name in ("1", "2", *gate)]
    check_names(parameters, needed, [name.replace("W", "b") for name in needed])
    check_array("W_1", parameters["W_1"], 2)
    d_model, d_ff = x.shape[-1], parameters["W_1"].shape[0]
    expected = {
        "W_1": (d_ff, d_model),
        "W_2": (d_model, d_ff),
        "W_gate": (d_ff, d_model),
        "b_1": (d_ff,),
        "b_2": (d_model,),
        "b_gate": (d_ff,),
    }
    because = f"x has {d_model} features and W_1 has {d_ff} rows"
    check_parameters(parameters, expected, because)
