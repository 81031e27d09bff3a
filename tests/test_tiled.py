"""Tiled attention: plain attention to the last digits, with no square of scores."""

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
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from course_lib.in_numpy.masks import causal_mask, combine_masks
from course_lib.in_numpy.ops import softmax
from course_lib.in_numpy.tiled import (
    online_softmax,
    tiled_attention,
    tiled_attention_backward,
)

N_Q, N_K, D_K, D_V = 5, 7, 11, 13
# (query, key, value) batch axes. The last three broadcast.
BATCHES = [
    ((), (), ()),
    ((2, 3), (2, 3), (2, 3)),
    ((2, 1), (3,), (3,)),
    ((), (2, 3), (2, 3)),
    ((3,), (1,), (2, 1)),
]
MASK_SHAPES = [None, (N_K,), (N_Q, N_K), (1, N_K), (N_Q, 1)]
TILES = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 11])
MIB = 2**20
drawn_case = given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    causal=st.booleans(),
    tile=TILES,
)


def inputs(seed=0, batches=((2, 3),) * 3, mask_shape=None, scale=1.0):
    """Query, key, value and mask with every axis of its own length."""
    rng = np.random.default_rng(seed)
    sizes = [(N_Q, D_K), (N_K, D_K), (N_K, D_V)]
    arrays = [
        rng.normal(0, scale, (*batch, *rows))
        for batch, rows in zip(batches, sizes, strict=True)
    ]
    mask = None if mask_shape is None else rng.random(mask_shape) < 0.6
    return *arrays, mask


def whole_mask(mask, causal):
    """The mask that plain attention needs for the same."""
    return combine_masks(mask, causal_mask(N_Q, N_K) if causal else None)


# By hand ------------------------------------------------------------------------------


def test_online_softmax_by_hand():
    # e^0 = 1; then 1 + 1/2; then a larger score, ln 2 more than the largest so far,
    # halves what was summed and adds 1.
    scores = np.array([0.0, -math.log(2), math.log(2)])
    weights, running_max, running_sum = online_softmax(scores)
    assert running_max == pytest.approx([0, 0, math.log(2)], abs=1e-15)
    assert running_sum == pytest.approx([1, 1.5, 1.75], abs=1e-15)
    assert weights == pytest.approx([2 / 7, 1 / 7, 4 / 7], abs=1e-15)


@pytest.mark.parametrize("tile", [1, 2, 3])
def test_tiled_attention_by_hand(tile):
    # d_k = 4, so the scores are q.k / 2: ln 3 and 0. Weights 3/4 and 1/4.
    query = np.array([[2.0, 0, 0, 0]])
    key = np.array([[math.log(3), 0, 0, 0], [0, 5.0, 0, 0]])
    value = np.array([[8.0], [4.0]])
    output, log_sum_exp = tiled_attention(query, key, value, tile=tile)
    assert output[0, 0] == pytest.approx(7, abs=1e-14)
    assert log_sum_exp[0] == pytest.approx(math.log(4), abs=1e-15)
    d_query, d_key, d_value = tiled_attention_backward(
        np.ones((1, 1)), query, key, value, output, log_sum_exp, tile=tile
    )
    assert d_query[0, 0] == pytest.approx(0.75 * math.log(3) / 2, abs=1e-14)
    assert d_key[:, 0] == pytest.approx([0.75, -0.75], abs=1e-14)
    assert d_value[:, 0] == pytest.approx([0.75, 0.25], abs=1e-14)


# It is plain attention ----------------------------------------------------------------


@drawn
@given(
    seed=SEEDS,
    shape=st.sampled_from([(7,), (1,), (2, 3), (0, 3), (2, 1, 5)]),
    scale=st.floats(0.01, 300),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_online_softmax_equals_softmax_and_knows_every_prefix(
    seed, shape, scale, dtype
):
    scores = np.random.default_rng(seed).normal(0, scale, shape).astype(dtype)
    ours = online_softmax(scores)
    assert {array.dtype.name for array in ours} == {dtype}
    weights, running_max, running_sum = ours
    np.testing.assert_allclose(weights, softmax(scores), **TOLERANCE[dtype])
    for t in range(shape[-1]):
        prefix = scores[..., : t + 1]
        np.testing.assert_array_equal(running_max[..., t], prefix.max(axis=-1))
        total = np.exp(prefix - prefix.max(axis=-1, keepdims=True)).sum(axis=-1)
        np.testing.assert_allclose(running_sum[..., t], total, **TOLERANCE[dtype])
    theirs = twin_of(online_softmax)(*to_torch(scores))
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


def test_online_softmax_twin_has_the_gradient_of_softmax():
    scores, d_weights = np.random.default_rng(1).standard_normal((2, 3, 5))
    (tensor,) = to_torch(scores, requires_grad=True)
    ours = autograd(twin_of(online_softmax)(tensor)[0], [tensor], d_weights)
    (other,) = to_torch(scores, requires_grad=True)
    theirs = autograd(other.softmax(-1), [other], d_weights)
    assert_all_close(ours, theirs, **GRADIENT_TOLERANCE)


@drawn
@drawn_case
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_tile_gives_plain_attention_in_both_halves(
    dtype, seed, batches, mask_shape, causal, tile
):
    *arrays, mask = inputs(seed, batches, mask_shape)
    arrays = [array.astype(dtype) for array in arrays]
    plain, _ = scaled_dot_product_attention(*arrays, whole_mask(mask, causal))
    ours = tiled_attention(*arrays, mask, causal, tile)
    assert {array.dtype.name for array in ours} == {dtype}
    np.testing.assert_allclose(ours[0], plain, **TOLERANCE[dtype])
    theirs = twin_of(tiled_attention)(*to_torch(*arrays, mask), causal, tile)
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


@drawn
@drawn_case
def test_log_sum_exp_equals_torchs(seed, batches, mask_shape, causal, tile):
    torch = need_torch()
    query, key, value, mask = inputs(seed, batches, mask_shape)
    output, log_sum_exp = tiled_attention(query, key, value, mask, causal, tile)
    scores = query @ np.swapaxes(key, -1, -2) / math.sqrt(D_K)
    allowed = whole_mask(mask, causal)
    if allowed is not None:
        scores = np.where(allowed, scores, -np.inf)
    theirs = torch.logsumexp(*to_torch(scores), dim=-1).numpy()
    theirs = np.broadcast_to(theirs, output.shape[:-1])
    np.testing.assert_allclose(log_sum_exp, theirs, **TOLERANCE["float64"])


@drawn
@drawn_case
def test_gradients_equal_those_of_plain_attention_and_autograd(
    seed, batches, mask_shape, causal, tile
):
    *arrays, mask = inputs(seed, batches, mask_shape)
    output, log_sum_exp = tiled_attention(*arrays, mask, causal, tile)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    ours = tiled_attention_backward(
        d_output, *arrays, output, log_sum_exp, mask, causal, tile
    )
    _, weights = scaled_dot_product_attention(*arrays, whole_mask(mask, causal))
    plain = scaled_dot_product_attention_backward(d_output, *arrays, weights)
    assert_all_close(ours, plain, **GRADIENT_TOLERANCE)
    tensors = to_torch(*arrays, requires_grad=True)
    theirs, _ = twin_of(tiled_attention)(*tensors, *to_torch(mask), causal, tile)
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
@pytest.mark.parametrize("batches", [((), (), ()), ((2, 1), (3,), (3,))])
def test_gradients_equal_central_differences(batches, mask_shape):
    *arrays, mask = inputs(3, batches, mask_shape)
    output, log_sum_exp = tiled_attention(*arrays, mask, True, 2)
    d_output = np.random.default_rng(5).standard_normal(output.shape)
    ours = tiled_attention_backward(
        d_output, *arrays, output, log_sum_exp, mask, True, 2
    )

    def forward(query, key, value):
        return tiled_attention(query, key, value, mask, True, 2)[0]

    differences = central_differences(forward, arrays, d_output)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("causal", [False, True])
def test_agrees_with_torchs_own_attention(causal):
    torch = need_torch()
    query, key, value, _ = inputs(6)
    if causal:  # torch aligns the first query with the first key, we the last ones
        key, value = key[..., :N_Q, :], value[..., :N_Q, :]
    output, _ = tiled_attention(query, key, value, causal=causal, tile=3)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *to_torch(query, key, value), is_causal=causal
    )
    np.testing.assert_allclose(output, theirs.numpy(), **TOLERANCE["float64"])


# Rules --------------------------------------------------------------------------------


def test_scores_beyond_what_exp_can_hold_are_no_trouble():
    # q.k / sqrt(d_k) runs to about 10,000: exp of it is infinite, the shifted one not.
    query, key, value, _ = inputs(7, scale=60)
    plain, _ = scaled_dot_product_attention(query, key, value)
    for tile in (1, 3, 7):
        output, log_sum_exp = tiled_attention(query, key, value, tile=tile)
        np.testing.assert_allclose(output, plain, rtol=0, atol=1e-8)
        assert np.all(np.isfinite(log_sum_exp))


@pytest.mark.parametrize("tile", [1, 2, 7])
def test_a_query_that_may_attend_to_nothing_gets_zeros_and_gives_no_gradient(tile):
    *arrays, _ = inputs(8)
    mask = np.ones((N_Q, N_K), bool)
    mask[2] = False
    output, log_sum_exp = tiled_attention(*arrays, mask, tile=tile)
    assert np.all(output[..., 2, :] == 0)
    assert np.all(log_sum_exp[..., 2] == -np.inf)
    assert np.all(np.isfinite(np.delete(log_sum_exp, 2, axis=-1)))
    d_output = np.zeros_like(output)
    d_output[..., 2, :] = 1
    ours = tiled_attention_backward(
        d_output, *arrays, output, log_sum_exp, mask, tile=tile
    )
    tensors = to_torch(*arrays, requires_grad=True)
    theirs = twin_of(tiled_attention)(*tensors, *to_torch(mask), tile=tile)
    assert np.all(theirs[0][..., 2, :].detach().numpy() == 0)
    for gradient in [*ours, *autograd(theirs[0], tensors, d_output)]:
        assert np.all(gradient == 0)


@pytest.mark.parametrize("huge", [1e100, -1e100])
@pytest.mark.parametrize("tile", [1, 2, 7])
def test_a_masked_key_has_no_influence_not_by_one_bit(huge, tile):
    query, key, value, _ = inputs(9)
    hidden = [0, 1, 4]  # with tiles of 1 or 2 a whole tile is hidden
    mask = np.ones(N_K, bool)
    mask[hidden] = False
    other_key, other_value = key.copy(), value.copy()
    other_key[..., hidden, :] = huge
    other_value[..., hidden, :] = -huge
    results = []
    for k, v in ((key, value), (other_key, other_value)):
        forward = tiled_attention(query, k, v, mask, tile=tile)
        d_output = np.ones_like(forward[0])
        backward = tiled_attention_backward(
            d_output, query, k, v, *forward, mask, tile=tile
        )
        tensors = to_torch(query, k, v, requires_grad=True)
        theirs, _ = twin_of(tiled_attention)(*tensors, *to_torch(mask), tile=tile)
        gradients = autograd(theirs, tensors, d_output)
        results.append([*forward, *backward, theirs.detach().numpy(), *gradients])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("tile", [1, 3, 11])
def test_no_past_output_depends_on_the_future_if_causal(tile):
    query, key, value, _ = inputs(10)
    expected, _ = tiled_attention(query, key, value, causal=True, tile=tile)
    key[..., -1, :] += 3
    value[..., -1, :] += 100
    changed, _ = tiled_attention(query, key, value, causal=True, tile=tile)
    np.testing.assert_array_equal(changed[..., :-1, :], expected[..., :-1, :])
    assert not np.allclose(changed[..., -1, :], expected[..., -1, :])


def test_the_order_of_the_keys_does_not_matter():
    query, key, value, mask = inputs(11, mask_shape=(N_Q, N_K))
    order = np.random.default_rng(11).permutation(N_K)
    expected = tiled_attention(query, key, value, mask, tile=3)
    moved = tiled_attention(
        query, key[..., order, :], value[..., order, :], mask[:, order], tile=3
    )
    assert_all_close(moved, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch", "n_q"), [((0,), N_Q), ((2, 0), N_Q), ((), 0)])
def test_an_empty_batch_or_no_query_gives_an_empty_answer(batch, n_q):
    query, key, value, _ = inputs(14, (batch,) * 3)
    query = query[..., :n_q, :]
    output, log_sum_exp = tiled_attention(query, key, value)
    assert output.shape == (*batch, n_q, D_V)
    assert log_sum_exp.shape == (*batch, n_q)
    gradients = tiled_attention_backward(output, query, key, value, output, log_sum_exp)
    for gradient, array in zip(gradients, (query, key, value), strict=True):
        assert gradient.shape == array.shape
    theirs = twin_of(tiled_attention)(*to_torch(query, key, value))
    assert_all_close([t.numpy() for t in theirs], (output, log_sum_exp))


def test_a_single_key_gets_all_the_weight():
    query, key, value, _ = inputs(13)
    output, _ = tiled_attention(query, key[..., :1, :], value[..., :1, :])
    expected = np.broadcast_to(value[..., :1, :], output.shape)
    np.testing.assert_array_equal(output, expected)


# Memory -------------------------------------------------------------------------------


def peak_above(function, *arrays, **options):
    """The most memory that a call held, in bytes, less what it returned."""
    tracemalloc.start()  # NumPy reports its arrays to it
    try:
        results = function(*arrays, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return peak - sum(array.nbytes for array in results), results


@pytest.mark.parametrize("causal", [False, True])
def test_100_000_keys_of_64_in_float32_need_less_than_64_mib(causal):
    # All keys and values, and the last 1,024 queries: a whole run is the same loop 98
    # times. `benchmarks/attention.py` makes the whole run, and its results are kept.
    rng = np.random.default_rng(0)
    key, value = rng.standard_normal((2, 100_000, 64), np.float32)
    query = rng.standard_normal((1_024, 64), np.float32)
    mask = rng.random((1, 100_000)) < 0.9
    peak, forward = peak_above(tiled_attention, query, key, value, mask, causal=causal)
    assert peak < 16 * MIB
    output, _ = forward
    rows = [0, 600, 1_023]
    allowed = mask & causal_mask(1_024, 100_000)[rows] if causal else mask
    plain, _ = scaled_dot_product_attention(query[rows], key, value, allowed)
    np.testing.assert_allclose(output[rows], plain, rtol=0, atol=2e-6)
    few = query[:256], key, value, output[:256], forward[1][:256]
    peak, _ = peak_above(tiled_attention_backward, np.ones_like(output[:256]), *few)
    assert peak < 16 * MIB


# Any device, and what is refused ------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
def test_the_twins_run_on_any_device(device, mask_shape):
    device_or_skip(device)
    arrays = inputs(17, mask_shape=mask_shape)
    query, key, value, mask = to_torch(*arrays, device=device)
    theirs = twin_of(tiled_attention)(query, key, value, mask, True, 3)
    assert {tensor.device.type for tensor in theirs} == {device}
    assert [tuple(t.shape) for t in theirs] == [(2, 3, N_Q, D_V), (2, 3, N_Q)]
    softmaxed = twin_of(online_softmax)(query)
    assert {tuple(tensor.shape) for tensor in softmaxed} == {(2, 3, N_Q, D_K)}
    if device == "cuda":
        ours = tiled_attention(*arrays, True, 3)
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])


QUERY, KEY, VALUE = np.zeros((3, 7)), np.zeros((5, 7)), np.zeros((5, 11))
MASK = np.ones((3, 5), bool)
REFUSED = {
    "a query and a key of unlike width": (
        (QUERY, KEY[:, :2], VALUE),
        "query has 7 features but key has 2",
    ),
    "fewer values than keys": (
        (QUERY, KEY, VALUE[:2]),
        "key has 5 positions but value has 2",
    ),
    "a query and a value of unlike batch": (
        (np.zeros((2, 3, 7)), KEY, np.zeros((13, 5, 11))),
        "query has batch axes (2,) and value has (13,): they must be equal, or 1",
    ),
    "a key and a value of unlike batch": (
        (QUERY, np.zeros((2, 5, 7)), np.zeros((13, 5, 11))),
        "key has batch axes (2,) and value has (13,): they must be equal, or 1",
    ),
    "no keys": (
        (QUERY, KEY[:0], VALUE[:0]),
        "key must have at least one position, but its shape is (0, 7)",
    ),
    "a mask transposed": (
        (QUERY, KEY, VALUE, MASK.T),
        "mask has shape (5, 3), which does not broadcast to the scores' shape (3, 5)",
    ),
    "a mask with one axis too many": (
        (np.zeros((2, 1, 3, 7)), np.zeros((13, 5, 7)), VALUE, MASK[None, None, None]),
        "mask has shape (1, 1, 1, 3, 5), which does not broadcast to the scores' shape "
        "(2, 13, 3, 5)",
    ),
    "a tile of nothing": (
        (QUERY, KEY, VALUE, None, False, 0),
        "tile must be a whole number from 1 up, got 0",
    ),
    "more causal queries than keys": (
        (KEY, QUERY, VALUE[:3], None, True),
        None,  # as causal_mask says it
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    arguments, sentence = REFUSED[case]
    if sentence is None:
        with pytest.raises(ValueError) as error:
            causal_mask(5, 3)
        sentence = str(error.value)
    function = tiled_attention
    if half == "torch":
        function = twin_of(function)
        arguments = [
            to_torch(argument)[0] if isinstance(argument, np.ndarray) else argument
            for argument in arguments
        ]
    with pytest.raises(ValueError) as error:
        function(*arguments)
    assert str(error.value) == sentence
