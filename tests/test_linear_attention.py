"""Linear attention: the quadratic form with the same kernel, in linear time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    assert_refused,
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.linear_attention import (
    elu_features,
    elu_features_backward,
    linear_attention,
    linear_attention_backward,
)
from course_lib.in_numpy.masks import causal_mask, combine_masks, padding_mask

N_Q, N_K, D_K, D_V = 5, 7, 11, 13
# (query, key, value) batch axes. The last three broadcast.
BATCHES = [
    ((), (), ()),
    ((2, 3), (2, 3), (2, 3)),
    ((2, 1), (3,), (3,)),
    ((), (2, 3), (2, 3)),
    ((3,), (1,), (2, 1)),
]
MASK_SHAPES = [None, (N_K,), (1, N_K), (3, 1, N_K)]
drawn_case = given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES[1:4]),  # those to which every mask broadcasts
    mask_shape=st.sampled_from(MASK_SHAPES),
    scale=st.floats(0.01, 5),
)


def inputs(seed=0, batches=((2, 3),) * 3, mask_shape=None, causal=False, scale=1.0):
    """Query, key, value and mask; if causal, with a query for every key."""
    rng = np.random.default_rng(seed)
    sizes = [(N_K if causal else N_Q, D_K), (N_K, D_K), (N_K, D_V)]
    arrays = [
        rng.normal(0, scale, (*batch, *rows))
        for batch, rows in zip(batches, sizes, strict=True)
    ]
    mask = None if mask_shape is None else rng.random(mask_shape) < 0.6
    return *arrays, mask


def quadratic(query, key, value, mask=None, causal=False):
    """The same with every weight formed: phi(Q) phi(K)^T masked, rows over their sum.

    phi(x) = elu(x) + 1 is written out as the paper has it.
    """
    phi_query, phi_key = (
        np.where(x > 0, x, np.expm1(np.minimum(x, 0))) + 1 for x in (query, key)
    )
    weights = phi_query @ np.swapaxes(phi_key, -1, -2)  # (..., n_q, n_k)
    allowed = combine_masks(mask, causal_mask(key.shape[-2]) if causal else None)
    if allowed is not None:
        weights = np.where(allowed, weights, 0)
    normaliser = weights.sum(axis=-1, keepdims=True)
    weights = weights / np.where(normaliser > 0, normaliser, 1)
    output = weights @ value
    return output, np.broadcast_to(normaliser[..., 0], output.shape[:-1])


def test_by_hand():
    # phi(1) = 2, phi(0) = 1, phi(-ln 2) = 1/2: the weights are 2/3, 1/3, then 4/5, 1/5.
    assert elu_features(np.array([1, 0, -math.log(2)])) == pytest.approx([2, 1, 0.5])
    query, value = np.zeros((2, 1)), np.array([[9.0], [3.0]])
    output, normaliser = linear_attention(query, np.array([[1.0], [0]]), value)
    assert output[:, 0] == pytest.approx([7, 7], abs=1e-14)
    assert normaliser == pytest.approx([3, 3], abs=1e-15)
    key = np.array([[1.0], [-math.log(2)]])
    output, normaliser = linear_attention(query, key, value, causal=True)
    assert output[:, 0] == pytest.approx([9, 9 * 0.8 + 3 * 0.2], abs=1e-14)
    assert normaliser == pytest.approx([2, 2.5], abs=1e-15)


@drawn
@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_features_are_torchs_elu_plus_one_with_its_gradient(seed, scale):
    torch = need_torch()
    x = np.random.default_rng(seed).normal(0, scale, (3, 5))
    x[0, 0] = 0
    d_features = np.random.default_rng(seed + 1).standard_normal(x.shape)
    (tensor,) = to_torch(x, requires_grad=True)
    theirs = torch.nn.functional.elu(tensor) + 1
    features = elu_features(x)
    assert np.all(features >= 0)
    np.testing.assert_allclose(features, theirs.detach().numpy(), rtol=0, atol=1e-13)
    ours = [elu_features_backward(d_features, x)]
    assert_all_close(ours, autograd(theirs, [tensor], d_features), rtol=0, atol=1e-13)
    twin = twin_of(elu_features)(tensor).detach().numpy()
    np.testing.assert_allclose(twin, features, rtol=0, atol=1e-13)


@drawn
@drawn_case
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_it_is_the_quadratic_form_in_both_halves(
    dtype, causal, seed, batches, mask_shape, scale
):
    *arrays, mask = inputs(seed, batches, mask_shape, causal, scale)
    arrays = [array.astype(dtype) for array in arrays]
    ours = linear_attention(*arrays, mask, causal)
    assert {array.dtype.name for array in ours} == {dtype}
    # In float32 a sum of up to 1,000 carries an error of 1e-4.
    tolerance = TOLERANCE[dtype] if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-4}
    assert_all_close(ours, quadratic(*arrays, mask, causal), **tolerance)
    theirs = twin_of(linear_attention)(*to_torch(*arrays, mask), causal)
    assert_all_close([t.numpy() for t in theirs], ours, **tolerance)


@drawn
@drawn_case
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_equal_autograd_through_the_twin(
    causal, seed, batches, mask_shape, scale
):
    *arrays, mask = inputs(seed, batches, mask_shape, causal, scale)
    output, normaliser = linear_attention(*arrays, mask, causal)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    ours = linear_attention_backward(
        d_output, *arrays, output, normaliser, mask, causal
    )
    tensors = to_torch(*arrays, requires_grad=True)
    theirs, _ = twin_of(linear_attention)(*tensors, *to_torch(mask), causal)
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("batches", BATCHES)
def test_gradients_equal_central_differences_of_the_quadratic_form(batches, causal):
    *arrays, mask = inputs(3, batches, (N_K,), causal)
    output, normaliser = linear_attention(*arrays, mask, causal)
    d_output = np.random.default_rng(5).standard_normal(output.shape)
    ours = linear_attention_backward(
        d_output, *arrays, output, normaliser, mask, causal
    )

    def forward(query, key, value):
        return quadratic(query, key, value, mask, causal)[0]

    differences = central_differences(forward, arrays, d_output)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_weights_sum_to_one_so_equal_values_come_back(causal):
    query, key, value, _ = inputs(6, causal=causal)
    output, _ = linear_attention(query, key, np.ones_like(value), causal=causal)
    np.testing.assert_allclose(output, 1, rtol=0, atol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("huge", [1e100, -1e100])
def test_a_masked_key_has_no_influence_not_by_one_bit(huge, causal):
    query, key, value, _ = inputs(7, causal=causal)
    hidden = [1, 4]
    mask = np.ones(N_K, bool)
    mask[hidden] = False
    other_key, other_value = key.copy(), value.copy()
    other_key[..., hidden, :] = huge
    other_value[..., hidden, :] = -huge
    results = []
    for k, v in ((key, value), (other_key, other_value)):
        forward = linear_attention(query, k, v, mask, causal)
        d_output = np.ones_like(forward[0])
        backward = linear_attention_backward(
            d_output, query, k, v, *forward, mask, causal
        )
        assert np.all(backward[1][..., hidden, :] == 0)
        assert np.all(backward[2][..., hidden, :] == 0)
        tensors = to_torch(query, k, v, requires_grad=True)
        theirs, _ = twin_of(linear_attention)(*tensors, *to_torch(mask), causal)
        gradients = autograd(theirs, tensors, d_output)
        results.append([*forward, *backward, theirs.detach().numpy(), *gradients])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("causal", [False, True])
def test_where_nothing_may_be_attended_to_there_are_zeros_and_no_gradient(causal):
    *arrays, _ = inputs(8, ((3,),) * 3, causal=causal)
    lengths = np.array([N_K, 0, 2])
    mask = padding_mask(lengths, N_K)  # (3, 1, n_k): nothing is left of the second
    output, normaliser = linear_attention(*arrays, mask, causal)
    assert np.all(output[1] == 0)
    assert np.all(normaliser[1] == 0)
    assert np.all(normaliser[[0, 2]] > 0)
    d_output = np.zeros_like(output)
    d_output[1] = 1
    ours = linear_attention_backward(
        d_output, *arrays, output, normaliser, mask, causal
    )
    tensors = to_torch(*arrays, requires_grad=True)
    theirs, _ = twin_of(linear_attention)(*tensors, *to_torch(mask), causal)
    for gradient in [*ours, *autograd(theirs, tensors, d_output)]:
        assert np.all(gradient == 0)


def test_no_past_output_depends_on_the_future_if_causal():
    query, key, value, _ = inputs(9, causal=True)
    expected, _ = linear_attention(query, key, value, causal=True)
    key[..., -1, :] += 3
    value[..., -1, :] += 100
    changed, _ = linear_attention(query, key, value, causal=True)
    np.testing.assert_array_equal(changed[..., :-1, :], expected[..., :-1, :])
    assert not np.allclose(changed[..., -1, :], expected[..., -1, :])


def test_the_order_of_the_keys_does_not_matter():
    query, key, value, mask = inputs(10, mask_shape=(N_K,))
    order = np.random.default_rng(10).permutation(N_K)
    expected = linear_attention(query, key, value, mask)
    moved = linear_attention(
        query, key[..., order, :], value[..., order, :], mask[order]
    )
    assert_all_close(moved, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_a_single_key_gets_all_the_weight(causal):
    query, key, value, _ = inputs(11)
    query = query[..., :1, :] if causal else query
    output, _ = linear_attention(
        query, key[..., :1, :], value[..., :1, :], causal=causal
    )
    expected = np.broadcast_to(value[..., :1, :], output.shape)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_gives_an_empty_answer(batch, causal):
    *arrays, _ = inputs(12, (batch,) * 3, causal=causal)
    forward = linear_attention(*arrays, causal=causal)
    n_q = arrays[0].shape[-2]
    assert [array.shape for array in forward] == [(*batch, n_q, D_V), (*batch, n_q)]
    gradients = linear_attention_backward(forward[0], *arrays, *forward, causal=causal)
    for gradient, array in zip(gradients, arrays, strict=True):
        assert gradient.shape == array.shape
    theirs = twin_of(linear_attention)(*to_torch(*arrays), causal=causal)
    assert_all_close([t.numpy() for t in theirs], forward)


# Any device, and what is refused ------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("mask_shape", [None, (N_K,)])
@pytest.mark.parametrize("causal", [False, True])
def test_the_twins_run_on_any_device(device, mask_shape, causal):
    device_or_skip(device)
    arrays = inputs(17, mask_shape=mask_shape, causal=causal)
    query, key, value, mask = to_torch(*arrays, device=device)
    theirs = twin_of(linear_attention)(query, key, value, mask, causal)
    n_q = query.shape[-2]
    assert {tensor.device.type for tensor in theirs} == {device}
    assert [tuple(t.shape) for t in theirs] == [(2, 3, n_q, D_V), (2, 3, n_q)]
    assert twin_of(elu_features)(query).device.type == device
    if device == "cuda":
        ours = linear_attention(*arrays, causal)
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])


QUERY, KEY, VALUE = np.zeros((3, 7)), np.zeros((5, 7)), np.zeros((5, 11))
REFUSED = {
    "features of a list": (
        elu_features,
        ([1.0],),
        "x must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "a query and a key of unlike width": (
        linear_attention,
        (QUERY, KEY[:, :2], VALUE),
        "query has 7 features but key has 2",
    ),
    "no keys": (
        linear_attention,
        (QUERY, KEY[:0], VALUE[:0]),
        "key must have at least one position, but its shape is (0, 7)",
    ),
    "causal with fewer queries than keys": (
        linear_attention,
        (QUERY, KEY, VALUE, None, True),
        "query has 3 positions but key has 5",
    ),
    "a mask that differs from query to query": (
        linear_attention,
        (QUERY, KEY, VALUE, np.ones((3, 5), bool)),
        "mask has shape (3, 5), but linear attention hides a key from all queries or "
        "from none: expected a shape that broadcasts to (1, 5)",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, *REFUSED[case])
