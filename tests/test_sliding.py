"""Sliding-window attention: plain attention under its mask, from the band alone."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from course_lib.in_numpy.masks import sliding_window_mask
from course_lib.in_numpy.sliding import (
    sliding_window_attention,
    sliding_window_attention_backward,
)

N, D_K, D_V = 7, 11, 13
# (query, key, value) batch axes. The last three broadcast.
BATCHES = [
    ((), (), ()),
    ((2, 3), (2, 3), (2, 3)),
    ((2, 1), (3,), (3,)),
    ((), (2, 3), (2, 3)),
    ((3,), (1,), (2, 1)),
]
drawn_case = given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    n=st.integers(1, 7),
    window=st.integers(1, 9),
)


def inputs(seed=0, batches=((2, 3),) * 3, n=N):
    """Query, key and value with every axis of its own length."""
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((*batch, n, d))
        for batch, d in zip(batches, [D_K, D_K, D_V], strict=True)
    ]


def as_square(band):
    """The (..., n, n) matrix of which band (..., n, window) keeps the diagonals."""
    n, window = band.shape[-2:]
    square = np.zeros((*band.shape[:-2], n, n))
    for i in range(n):
        for t in range(min(window, i + 1)):
            square[..., i, i - t] = band[..., i, t]
    return square


def test_by_hand():
    # d_k = 1. A window of 2: the third query scores keys 2 and 1 with ln 3 and 0.
    query, value = np.ones((3, 1)), np.array([[100.0], [4.0], [8.0]])
    key = np.array([[50.0], [0.0], [math.log(3)]])
    output, weights = sliding_window_attention(query, key, value, 2)
    assert weights[0].tolist() == [1, 0]  # itself, and nothing before it
    assert weights[2] == pytest.approx([0.75, 0.25], abs=1e-15)
    assert output[2, 0] == pytest.approx(7, abs=1e-14)
    d_output = np.array([[0.0], [0.0], [1.0]])
    _, d_key, d_value = sliding_window_attention_backward(
        d_output, query, key, value, 2, weights
    )
    assert d_key[:, 0] == pytest.approx([0, -0.75, 0.75], abs=1e-14)
    assert d_value[:, 0] == pytest.approx([0, 0.25, 0.75], abs=1e-15)


@drawn
@drawn_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_it_is_plain_attention_under_the_windows_mask(dtype, seed, batches, n, window):
    arrays = [array.astype(dtype) for array in inputs(seed, batches, n)]
    plain = scaled_dot_product_attention(*arrays, sliding_window_mask(n, window))
    output, weights = sliding_window_attention(*arrays, window)
    assert {output.dtype.name, weights.dtype.name} == {dtype}
    assert weights.shape[-1] == window
    assert_all_close((output, as_square(weights)), plain, **TOLERANCE[dtype])
    theirs = twin_of(sliding_window_attention)(*to_torch(*arrays), window)
    ours = (output, weights)
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


@drawn
@drawn_case
def test_gradients_equal_those_of_plain_attention_and_autograd(
    seed, batches, n, window
):
    arrays = inputs(seed, batches, n)
    output, weights = sliding_window_attention(*arrays, window)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    ours = sliding_window_attention_backward(d_output, *arrays, window, weights)
    _, square = scaled_dot_product_attention(*arrays, sliding_window_mask(n, window))
    plain = scaled_dot_product_attention_backward(d_output, *arrays, square)
    assert_all_close(ours, plain, **GRADIENT_TOLERANCE)
    tensors = to_torch(*arrays, requires_grad=True)
    theirs, _ = twin_of(sliding_window_attention)(*tensors, window)
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("batches", [((), (), ()), ((2, 1), (3,), (3,))])
def test_gradients_equal_central_differences(batches):
    arrays = inputs(3, batches)
    output, weights = sliding_window_attention(*arrays, 3)
    d_output = np.random.default_rng(5).standard_normal(output.shape)
    ours = sliding_window_attention_backward(d_output, *arrays, 3, weights)

    def forward(query, key, value):
        return sliding_window_attention(query, key, value, 3)[0]

    differences = central_differences(forward, arrays, d_output)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


# Rules --------------------------------------------------------------------------------


@drawn
@drawn_case
def test_rows_sum_to_one_and_nothing_lies_before_the_beginning(
    seed, batches, n, window
):
    _, weights = sliding_window_attention(*inputs(seed, batches, n), window)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-14)
    before = np.arange(window) > np.arange(n)[:, None]
    assert np.all(np.where(before, weights, 0) == 0)
    assert np.all(np.where(before, 1, weights) > 0)


@pytest.mark.parametrize("huge", [1e100, -1e100])
def test_a_key_is_seen_by_window_queries_and_by_no_other_not_by_one_bit(huge):
    query, key, value = inputs(9)
    expected, _ = sliding_window_attention(query, key, value, 3)
    key[..., 2, :], value[..., 2, :] = key[..., 2, :] + 1, huge
    changed, _ = sliding_window_attention(query, key, value, 3)
    unseen = [0, 1, 5, 6]
    np.testing.assert_array_equal(changed[..., unseen, :], expected[..., unseen, :])
    for row in (2, 3, 4):
        assert not np.allclose(changed[..., row, :], expected[..., row, :])


def test_far_positions_get_no_gradient():
    query, key, value = inputs(10)
    output, weights = sliding_window_attention(query, key, value, 3)
    d_output = np.zeros_like(output)
    d_output[..., 5, :] = 1
    gradients = sliding_window_attention_backward(
        d_output, query, key, value, 3, weights
    )
    for gradient in gradients:
        assert np.all(gradient[..., [0, 1, 2, 6], :] == 0)


def test_a_window_of_one_returns_the_values():
    query, key, value = inputs(11)
    output, weights = sliding_window_attention(query, key, value, 1)
    np.testing.assert_array_equal(output, value)
    assert np.all(weights == 1)


@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_gives_an_empty_answer(batch):
    arrays = inputs(14, (batch,) * 3)
    output, weights = sliding_window_attention(*arrays, 3)
    assert output.shape == (*batch, N, D_V)
    assert weights.shape == (*batch, N, 3)
    gradients = sliding_window_attention_backward(output, *arrays, 3, weights)
    for gradient, array in zip(gradients, arrays, strict=True):
        assert gradient.shape == array.shape
    theirs = twin_of(sliding_window_attention)(*to_torch(*arrays), 3)
    assert [tuple(t.shape) for t in theirs] == [output.shape, weights.shape]


def test_memory_grows_with_positions_times_window_not_with_their_square():
    n, window, d = 20_000, 16, 8
    rng = np.random.default_rng(15)
    arrays = rng.standard_normal((3, n, d), np.float32)
    tracemalloc.start()  # NumPy reports its arrays to it
    try:
        output, weights = sliding_window_attention(*arrays, window)
        sliding_window_attention_backward(output, *arrays, window, weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A dozen arrays of the size of the band or of an input; the square has 1.6e9 bytes.
    assert peak < 12 * n * (window + d) * 4


# Any device, and what is refused ------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twin_runs_on_any_device(device):
    device_or_skip(device)
    arrays = inputs(17)
    theirs = twin_of(sliding_window_attention)(*to_torch(*arrays, device=device), 3)
    assert {tensor.device.type for tensor in theirs} == {device}
    assert [tuple(t.shape) for t in theirs] == [(2, 3, N, D_V), (2, 3, N, 3)]
    if device == "cuda":
        ours = sliding_window_attention(*arrays, 3)
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])


QUERY, VALUE = np.zeros((5, 7)), np.zeros((5, 11))
REFUSED = {
    "fewer queries than keys": (
        (QUERY[:3], QUERY, VALUE, 2),
        "query has 3 positions but key has 5",
    ),
    "a query and a key of unlike width": (
        (QUERY, QUERY[:, :2], VALUE, 2),
        "query has 7 features but key has 2",
    ),
    "a window of nothing": (
        (QUERY, QUERY, VALUE, 0),
        "window must be a whole number from 1 up, got 0",
    ),
    "no positions": (
        (QUERY[:0], QUERY[:0], VALUE[:0], 2),
        "key must have at least one position, but its shape is (0, 7)",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    (*arrays, window), sentence = REFUSED[case]
    function = sliding_window_attention
    if half == "torch":
        function, arrays = twin_of(function), to_torch(*arrays)
    with pytest.raises(ValueError) as error:
        function(*arrays, window)
    assert str(error.value) == sentence
