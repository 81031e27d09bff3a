"""Attention: naive and tiled, banded, linear; additive and dot; ours and torch's."""

import numpy as np
import torch

from benchmarks.measure import once, peak_mib, seconds
from course_lib.in_numpy import attention as in_numpy
from course_lib.in_numpy.linear_attention import linear_attention
from course_lib.in_numpy.scores import additive_scores, scaled_dot_scores
from course_lib.in_numpy.sliding import sliding_window_attention
from course_lib.in_numpy.tiled import tiled_attention
from course_lib.in_torch import attention as in_torch

D = 64  # of query, key and value
WINDOW = 128
NAIVE_UP_TO = 8192  # beyond it memory runs into gigabytes, and times are of one run


def against_length(quick):
    """Time and memory of ways to attend, against the number of positions.

    Single head, float32, every position a query and a key. Tiled attention and naive
    attention are the same function; the window sees 128 positions and linear attention
    has another kernel, so these two compute something else.
    """
    ns = [64, 128] if quick else [1024, 2048, 4096, 8192, 16384, 32768, 100_000]
    return [row for n in ns for row in _at_length(n)]


def _at_length(n):
    """The rows of one length."""
    query, key, value = _floats(3, n, D)
    ways = {
        "tiled": lambda: tiled_attention(query, key, value),
        "tiled, causal": lambda: tiled_attention(query, key, value, causal=True),
        "window": lambda: sliding_window_attention(query, key, value, WINDOW),
        "linear": lambda: linear_attention(query, key, value),
    }
    if n <= NAIVE_UP_TO:
        ways["naive"] = lambda: in_numpy.scaled_dot_product_attention(query, key, value)
    times, memory = zip(*map(once, ways.values()), strict=True)
    if n <= NAIVE_UP_TO:
        times = seconds(5, *ways.values())
    return [
        {"n": n, "way": way, "seconds": taken, "mib": mib}
        for way, taken, mib in zip(ways, times, memory, strict=True)
    ]


def additive_against_dot(quick):
    """Time and memory of the two scores, n queries and n keys of d features.

    The hidden layer of the additive score is as wide as the query, and is formed for
    every pair.
    """
    rows = []
    for n in [16, 32] if quick else [64, 128, 256, 512]:
        query, key = _floats(2, n, D)
        W_q, W_k = _floats(2, D, D)
        (v,) = _floats(1, D)

        def additive(query=query, key=key, weights=(W_q, W_k, v)):
            return (additive_scores(query, key, *weights),)

        def dot(query=query, key=key):
            return (scaled_dot_scores(query, key),)

        slow, fast = seconds(1 if quick else 11, additive, dot)
        rows.append(
            {
                "n": n,
                "additive_seconds": slow,
                "dot_seconds": fast,
                "ratio": slow / fast,
                "additive_mib": peak_mib(additive),
                "dot_mib": peak_mib(dot),
            }
        )
    return rows


def ours_against_torchs(quick):
    """Time of our twin in PyTorch and of PyTorch's own kernel, which keeps no weights.

    Batch of 8, 8 heads of 64 features, float32, forward on the CPU.
    """
    rows = []
    theirs = torch.nn.functional.scaled_dot_product_attention
    for n in [16, 32] if quick else [64, 128, 256, 512]:
        query, key, value = torch.from_numpy(_floats(3, 8, 8, n, D))

        def our(arrays=(query, key, value)):
            return in_torch.scaled_dot_product_attention(*arrays)[0]

        def their(arrays=(query, key, value)):
            return theirs(*arrays)

        assert torch.allclose(our(), their(), atol=1e-5)
        ours, fused = seconds(1 if quick else 11, our, their)
        rows.append(
            {
                "n": n,
                "our_seconds": ours,
                "torch_seconds": fused,
                "ratio": ours / fused,
            }
        )
    return rows


def _floats(*shape):
    """float32, the same every time."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)
