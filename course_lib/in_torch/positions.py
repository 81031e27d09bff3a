"""Where a word stands, in PyTorch. Twin of `in_numpy.positions`.

Angles and distances are counted in float32 at least, and rounded to `dtype` at the end:
bfloat16 cannot tell position 256 from 257.
"""

import torch

from course_lib.shapes.basic import check_positive
from course_lib.shapes.positions import (
    check_even,
    check_places,
    check_rotation,
    check_table,
    check_window,
)


def sinusoidal_positions(n, d_model, start=0, base=10000.0, dtype=None, device=None):
    """Twin of `in_numpy.positions.sinusoidal_positions`; shapes as there."""
    check_even("d_model", d_model)
    angles = rotary_angles(n, d_model, start, base, _counting(dtype), device)
    pairs = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (n, d_model / 2, 2)
    return pairs.reshape(n, d_model).to(dtype or torch.float32)


def learned_positions(table, n, start=0):
    """Twin of `in_numpy.positions.learned_positions`; shapes as there."""
    check_table(table, n, start)
    return table[start : start + n]


def rotary_angles(n, d_head, start=0, base=10000.0, dtype=None, device=None):
    """Twin of `in_numpy.positions.rotary_angles`; shapes as there."""
    check_places(n, start)
    check_even("d_head", d_head)
    check_positive("base", base)
    counting = {"dtype": _counting(dtype), "device": device}
    position = torch.arange(start, start + n, **counting)
    wavelength = base ** (torch.arange(0, d_head, 2, **counting) / d_head)
    return (position[:, None] / wavelength).to(dtype or torch.float32)


def rotate(x, angles):
    """Twin of `in_numpy.positions.rotate`; shapes as there."""
    check_rotation(x, angles)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., n, d_head / 2) each
    turned = [even * cos - odd * sin, even * sin + odd * cos]
    return torch.stack(turned, dim=-1).reshape(x.shape)


def alibi_slopes(n_heads, dtype=None, device=None):
    """Twin of `in_numpy.positions.alibi_slopes`; shapes as there."""
    check_window(n_heads, 0, 0)
    head = torch.arange(1, n_heads + 1, dtype=_counting(dtype), device=device)
    return (2.0 ** (-8 * head / n_heads)).to(dtype or torch.float32)


def alibi_bias(n_heads, n_q, n_k=None, dtype=None, device=None):
    """Twin of `in_numpy.positions.alibi_bias`; shapes as there."""
    n_k = n_q if n_k is None else n_k
    check_window(n_heads, n_q, n_k)
    slopes = alibi_slopes(n_heads, _counting(dtype), device)
    position = torch.arange(n_k, device=device)
    distance = (position[n_k - n_q :, None] - position).abs()  # (n_q, n_k)
    return (-slopes[:, None, None] * distance).to(dtype or torch.float32)


def _counting(dtype):
    """A type of float that can count positions: `dtype`, or float32 if that is more."""
    return torch.promote_types(dtype or torch.float32, torch.float32)
