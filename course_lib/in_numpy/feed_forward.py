"""The position-wise feed-forward network: each word by itself, the same for all."""

from course_lib.in_numpy.linear import linear, linear_backward
from course_lib.in_numpy.ops import (
    gelu,
    gelu_backward,
    relu,
    relu_backward,
    silu,
    silu_backward,
)
from course_lib.shapes.feed_forward import check_feed_forward

ACTIVATION = {"relu": (relu, relu_backward), "gelu": (gelu, gelu_backward)}


def feed_forward(x, parameters, activation="relu"):
    """W_2 f(W_1 x + b_1) + b_2, with f = relu or gelu, or the gated SwiGLU.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.3. SwiGLU takes
    silu(W_gate x) * (W_1 x) for f(W_1 x): Shazeer 2020, arXiv:2002.05202, section 2.

    Args:
        x:          (..., d_model)
        parameters: dict of W_1 (d_ff, d_model), W_2 (d_model, d_ff), for "swiglu" also
            W_gate (d_ff, d_model), and if wanted b_1, b_2, b_gate, as long as the rows
        activation: "relu", "gelu" or "swiglu"

    Returns:
        output (..., d_model).
    """
    check_feed_forward(x, parameters, activation)
    _, _, hidden = _hidden(x, parameters, activation)
    return linear(hidden, parameters["W_2"], parameters.get("b_2"))


def feed_forward_backward(d_output, x, parameters, activation="relu"):
    """Gradients of `feed_forward`; the hidden layer is computed again.

    Args:
        d_output: (..., d_model)
        x, parameters, activation: as they went in

    Returns:
        d_x (..., d_model) and d_parameters, a dict with the names of `parameters`.
    """
    check_feed_forward(x, parameters, activation)
    W_1, W_2 = parameters["W_1"], parameters["W_2"]
    before, gate, hidden = _hidden(x, parameters, activation)
    d = {}
    d_hidden, d["W_2"], d["b_2"] = linear_backward(
        d_output, hidden, W_2, parameters.get("b_2")
    )
    if activation == "swiglu":
        d_before = d_hidden * silu(gate)
        d_gate = silu_backward(d_hidden * before, gate)
        d_x_by_gate, d["W_gate"], d["b_gate"] = linear_backward(
            d_gate, x, parameters["W_gate"], parameters.get("b_gate")
        )
    else:
        _, backward = ACTIVATION[activation]
        d_before, d_x_by_gate = backward(d_hidden, before), 0
    d_x, d["W_1"], d["b_1"] = linear_backward(d_before, x, W_1, parameters.get("b_1"))
    return d_x + d_x_by_gate, {name: d[name] for name in parameters}


def _hidden(x, parameters, activation):
    """Before the activation, SwiGLU's gate or None, and after; each (..., d_ff)."""
    before = linear(x, parameters["W_1"], parameters.get("b_1"))
    if activation == "swiglu":
        gate = linear(x, parameters["W_gate"], parameters.get("b_gate"))
        return before, gate, silu(gate) * before
    forward, _ = ACTIVATION[activation]
    return before, None, forward(before)
