"""The definition of every mechanism: NumPy only, forward and backward, no state.

Here are the names of the first chapters; import the others from their modules.
"""

from course_lib.in_numpy.attention import (
    attend,
    attend_backward,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from course_lib.in_numpy.masks import causal_mask, padding_mask
from course_lib.in_numpy.ops import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    log_softmax_backward,
    masked_softmax,
    softmax,
    softmax_backward,
)
from course_lib.in_numpy.recurrent import (
    encoder_decoder,
    encoder_decoder_backward,
    gru,
    gru_backward,
    gru_cell,
    gru_cell_backward,
)

__all__ = [
    "attend",
    "attend_backward",
    "causal_mask",
    "cross_entropy",
    "cross_entropy_backward",
    "encoder_decoder",
    "encoder_decoder_backward",
    "gru",
    "gru_backward",
    "gru_cell",
    "gru_cell_backward",
    "log_softmax",
    "log_softmax_backward",
    "masked_softmax",
    "padding_mask",
    "scaled_dot_product_attention",
    "scaled_dot_product_attention_backward",
    "softmax",
    "softmax_backward",
]
