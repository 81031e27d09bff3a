"""Where a word stands: added to it, turned into it, or taken off the scores.

Attention alone cannot tell the order of its keys. Sinusoidal and learned positions are
added to the embeddings, rotary angles turn queries and keys, ALiBi lowers the scores of
what is far away. The four need no state: what comes after n words starts at n.
"""

import numpy as np

from course_lib.shapes.basic import check_positive
from course_lib.shapes.positions import (
    check_even,
    check_places,
    check_rotation,
    check_table,
    check_window,
)


def sinusoidal_positions(n, d_model, start=0, base=10000.0):
    """Sines and cosines of the position, of wavelengths from 2 pi to almost 2 pi base.

    Vaswani et al. 2017, arXiv:1706.03762, section 3.5: feature 2i is
    sin(position / base^(2i / d_model)), feature 2i + 1 the cosine of the same angle.

    Args:
        n:       int, number of positions
        d_model: int, even
        start:   int, the first position
        base:    positive number

    Returns:
        positions (n, d_model), float64.
    """
    check_even("d_model", d_model)
    angles = rotary_angles(n, d_model, start, base)
    pairs = np.stack([np.sin(angles), np.cos(angles)], axis=-1)  # (n, d_model / 2, 2)
    return pairs.reshape(n, d_model)


def learned_positions(table, n, start=0):
    """One learned vector for each position, as far as the table goes.

    Args:
        table: (n_positions, d_model)
        n:     int, number of positions
        start: int, the first position; start + n <= n_positions

    Returns:
        positions (n, d_model).
    """
    check_table(table, n, start)
    return table[start : start + n]


def learned_positions_backward(d_positions, table, n, start=0):
    """Gradient of `learned_positions`: the rows that were not used get zeros.

    Args:
        d_positions: (n, d_model)
        table, n, start: as they went in

    Returns:
        d_table (n_positions, d_model).
    """
    d_table = np.zeros(table.shape, d_positions.dtype)
    d_table[start : start + n] = d_positions
    return d_table


def rotary_angles(n, d_head, start=0, base=10000.0):
    """The angle of each position and pair of features: position / base^(2i / d_head).

    Su et al. 2021, arXiv:2104.09864, section 3.2.2. They are the angles of
    `sinusoidal_positions`, before sine and cosine.

    Args:
        n:      int, number of positions
        d_head: int, even
        start:  int, the first position
        base:   positive number

    Returns:
        angles (n, d_head / 2), float64, in radians.
    """
    check_places(n, start)
    check_even("d_head", d_head)
    check_positive("base", base)
    position = np.arange(start, start + n)
    wavelength = base ** (np.arange(0, d_head, 2) / d_head)  # (d_head / 2,), over 2 pi
    return position[:, None] / wavelength


def rotate(x, angles):
    """Turn each pair of features (2i, 2i + 1) by its angle.

    Su et al. 2021, arXiv:2104.09864, section 3.2.2. The dot product of a turned query
    and a turned key depends on the difference of their angles, so on their distance.

    Args:
        x:      (..., n, d_head)
        angles: (n, d_head / 2)

    Returns:
        turned (..., n, d_head), of the type of x.
    """
    check_rotation(x, angles)
    cos, sin = np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]  # (..., n, d_head / 2) each
    turned = [even * cos - odd * sin, even * sin + odd * cos]
    return np.stack(turned, axis=-1).reshape(x.shape)


def rotate_backward(d_turned, angles):
    """Gradient of `rotate` with respect to x: turned back by the same angles.

    Args:
        d_turned: (..., n, d_head)
        angles:   as they went in; positions are given, so they get no gradient

    Returns:
        d_x (..., n, d_head).
    """
    return rotate(d_turned, -angles)


def alibi_slopes(n_heads):
    """How much each head minds distance: 2^(-8/n_heads), its square, its cube ...

    Press, Smith and Lewis 2021, arXiv:2108.12409, section 3: a geometric sequence, from
    1/2 to 1/256 for 8 heads. We take this formula for any number of heads. The authors'
    program differs from it where n_heads is no power of two: it fills up with slopes of
    the next power.

    Args:
        n_heads: int

    Returns:
        slopes (n_heads,), float64.
    """
    check_window(n_heads, 0, 0)
    return 2.0 ** (-8 * np.arange(1, n_heads + 1) / n_heads)


def alibi_bias(n_heads, n_q, n_k=None):
    """What ALiBi adds to the scores: minus slope times distance.

    Press, Smith and Lewis 2021, arXiv:2108.12409, section 3. The paper's queries see no
    future. Where ours do, the future is as far as the past.

    Args:
        n_heads: int
        n_q:     int, number of queries: the last of the n_k positions
        n_k:     int, number of keys. None = n_q.

    Returns:
        bias (n_heads, n_q, n_k), float64.
    """
    n_k = n_q if n_k is None else n_k
    check_window(n_heads, n_q, n_k)
    position = np.arange(n_k)
    distance = np.abs(position[n_k - n_q :, None] - position)  # (n_q, n_k)
    return -alibi_slopes(n_heads)[:, None, None] * distance
