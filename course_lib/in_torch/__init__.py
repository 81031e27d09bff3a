"""The trainable twin of `in_numpy`: same files, same functions, any device.

Here are the names of the first chapters; import the others from their modules.
"""

from course_lib.in_torch.attention import attend, scaled_dot_product_attention
from course_lib.in_torch.masks import causal_mask, padding_mask
from course_lib.in_torch.ops import cross_entropy, log_softmax, masked_softmax, softmax
from course_lib.in_torch.recurrent import (
    Encoder,
    Seq2Seq,
    encoder_decoder,
    gru,
    gru_cell,
)

__all__ = [
    "Encoder",
    "Seq2Seq",
    "attend",
    "causal_mask",
    "cross_entropy",
    "encoder_decoder",
    "gru",
    "gru_cell",
    "log_softmax",
    "masked_softmax",
    "padding_mask",
    "scaled_dot_product_attention",
    "softmax",
]
