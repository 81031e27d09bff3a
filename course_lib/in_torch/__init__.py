"""The trainable twin of `in_numpy`: same files, same functions, any device."""

from course_lib.in_torch.attention import attend, scaled_dot_product_attention
from course_lib.in_torch.masks import causal_mask, padding_mask
from course_lib.in_torch.ops import cross_entropy, log_softmax, masked_softmax, softmax

__all__ = [
    "attend",
    "causal_mask",
    "cross_entropy",
    "log_softmax",
    "masked_softmax",
    "padding_mask",
    "scaled_dot_product_attention",
    "softmax",
]
