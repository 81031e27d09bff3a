"""The feed-forward network in PyTorch. Twin of `in_numpy.feed_forward`."""

from torch import nn

from course_lib.in_torch.linear import linear
from course_lib.in_torch.ops import gelu, relu, silu
from course_lib.in_torch.parameters import parameter_tree
from course_lib.shapes.basic import check_choice, check_count
from course_lib.shapes.feed_forward import ACTIVATIONS, check_feed_forward


def feed_forward(x, parameters, activation="relu"):
    """Twin of `in_numpy.feed_forward.feed_forward`; shapes as there."""
    check_feed_forward(x, parameters, activation)
    hidden = linear(x, parameters["W_1"], parameters.get("b_1"))  # (..., d_ff)
    if activation == "swiglu":
        gate = linear(x, parameters["W_gate"], parameters.get("b_gate"))
        hidden = silu(gate) * hidden
    else:
        hidden = relu(hidden) if activation == "relu" else gelu(hidden)
    return linear(hidden, parameters["W_2"], parameters.get("b_2"))


class FeedForward(nn.Module):
    """The parameters of `feed_forward`.

    Args:
        d_model:    size of the input and of the output
        d_ff:       size in between
        activation: "relu", "gelu" or "swiglu"
        bias:       whether the linear maps have a bias
    """

    def __init__(self, d_model, d_ff, activation="relu", bias=True):
        super().__init__()
        check_count("d_model", d_model)
        check_count("d_ff", d_ff)
        check_choice("activation", activation, ACTIVATIONS)
        self.activation = activation
        self.W_1 = nn.Linear(d_model, d_ff, bias=bias)
        self.W_2 = nn.Linear(d_ff, d_model, bias=bias)
        if activation == "swiglu":
            self.W_gate = nn.Linear(d_model, d_ff, bias=bias)

    def forward(self, x):
        """x (..., d_model) in, (..., d_model) out."""
        return feed_forward(x, parameter_tree(self), self.activation)
