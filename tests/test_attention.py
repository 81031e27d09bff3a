"""Attention: both halves agree, with each other, with torch's and with the rules."""

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
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.attention import (
    additive_attention,
    additive_attention_backward,
    attend,
    attend_backward,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward,
)
from course_lib.in_numpy.masks import causal_mask
from course_lib.in_numpy.scores import additive_scores, scaled_dot_scores

N_Q, N_K, D_K, D_V = 5, 7, 11, 13
# (query, key, value) batch axes. The last three broadcast.
BATCHES = [
    ((), (), ()),
    ((2,), (2,), (2,)),
    ((2, 3), (2, 3), (2, 3)),
    ((2, 1), (3,), (3,)),
    ((), (2, 3), (2, 3)),
    ((3,), (1,), (2, 1)),
]
MASK_SHAPES = [None, (N_K,), (N_Q, N_K), (1, N_K), (N_Q, 1)]


def inputs(seed=0, batches=((2, 3),) * 3, mask_shape=None, scale=1.0):
    """Query, key, value and mask with every axis of its own length."""
    rng = np.random.default_rng(seed)
    query, key, value = (
        rng.normal(0, scale, (*batch, *rows))
        for batch, rows in zip(
            batches, [(N_Q, D_K), (N_K, D_K), (N_K, D_V)], strict=True
        )
    )
    return (
        query,
        key,
        value,
        None if mask_shape is None else rng.random(mask_shape) < 0.6,
    )


# One number by hand -------------------------------------------------------------------


def test_attend_by_hand():
    scores = np.array([[math.log(3), 0.0]])  # weights 3/4 and 1/4
    value = np.array([[8.0], [4.0]])
    output, weights = attend(scores, value)
    assert weights[0] == pytest.approx([0.75, 0.25], abs=1e-15)
    assert output[0, 0] == pytest.approx(7, abs=1e-14)
    d_scores, d_value = attend_backward(np.ones((1, 1)), weights, value)
    assert d_scores[0] == pytest.approx([0.75, -0.75], abs=1e-14)
    assert d_value[:, 0] == pytest.approx([0.75, 0.25], abs=1e-14)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_scaled_dot_product_attention_by_hand(temperature):
    # d_k = 4, so q.k is divided by 2 and by the temperature: the scores are ln 3 and 0.
    query = np.array([[2.0, 0, 0, 0]])
    key = np.array([[temperature * math.log(3), 0, 0, 0], [0, 5.0, 0, 0]])
    value = np.array([[8.0], [4.0]])
    arguments = query, key, value
    output, weights = scaled_dot_product_attention(*arguments, temperature=temperature)
    assert weights[0] == pytest.approx([0.75, 0.25], abs=1e-15)
    assert output[0, 0] == pytest.approx(7, abs=1e-14)
    d_query, d_key, _ = scaled_dot_product_attention_backward(
        np.ones((1, 1)), *arguments, weights, temperature
    )
    assert d_query[0, 0] == pytest.approx(0.75 * math.log(3) / 2, abs=1e-14)
    assert d_key[:, 0] == pytest.approx([0.75 / temperature, -0.75 / temperature])


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    scale=st.floats(0.01, 5),
    temperature=st.floats(0.1, 10),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, batches, mask_shape, scale, temperature, dtype):
    *arrays, mask = inputs(seed, batches, mask_shape, scale)
    arrays = [array.astype(dtype) for array in arrays]
    ours = scaled_dot_product_attention(*arrays, mask, temperature)
    twin = twin_of(scaled_dot_product_attention)
    theirs = twin(*to_torch(*arrays, mask), temperature)
    assert {array.dtype.name for array in ours} == {dtype}
    # A float32 score s carries an error of s * 1e-7 into its weight: up to 1e-3 here.
    tolerance = TOLERANCE[dtype] if dtype == "float64" else {"rtol": 0, "atol": 2e-3}
    assert_all_close([tensor.numpy() for tensor in theirs], ours, **tolerance)


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    temperature=st.floats(0.1, 10),
)
def test_gradients_equal_autograd(seed, batches, mask_shape, temperature):
    *arrays, mask = inputs(seed, batches, mask_shape)
    output, weights = scaled_dot_product_attention(*arrays, mask, temperature)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    ours = scaled_dot_product_attention_backward(
        d_output, *arrays, weights, temperature
    )
    tensors = to_torch(*arrays, requires_grad=True)
    twin = twin_of(scaled_dot_product_attention)
    theirs, _ = twin(*tensors, *to_torch(mask), temperature)
    theirs.backward(*to_torch(d_output))
    gradients = [tensor.grad.numpy() for tensor in tensors]
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("batches", BATCHES)
def test_attend_gradients_equal_autograd(batches):
    rng = np.random.default_rng(4)
    scores = rng.standard_normal((*batches[0], N_Q, N_K))
    value = rng.standard_normal((*batches[2], N_K, D_V))
    output, weights = attend(scores, value)
    d_output = rng.standard_normal(output.shape)
    tensors = to_torch(scores, value, requires_grad=True)
    theirs, _ = twin_of(attend)(*tensors)
    theirs.backward(*to_torch(d_output))
    gradients = [tensor.grad.numpy() for tensor in tensors]
    ours = attend_backward(d_output, weights, value)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
@pytest.mark.parametrize("batches", [((), (), ()), ((2, 1), (3,), (3,))])
def test_gradients_equal_central_differences(batches, mask_shape):
    *arrays, mask = inputs(3, batches, mask_shape)
    output, weights = scaled_dot_product_attention(*arrays, mask, temperature=0.7)
    d_output = np.random.default_rng(5).standard_normal(output.shape)
    ours = scaled_dot_product_attention_backward(d_output, *arrays, weights, 0.7)

    def forward(query, key, value):
        return scaled_dot_product_attention(query, key, value, mask, 0.7)[0]

    differences = central_differences(forward, arrays, d_output)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


def additive(seed, batches=((2, 3),) * 3, mask_shape=None):
    """Query, key, value, W_q, W_k, v and mask; the query has its own width."""
    query, key, value, mask = inputs(seed, batches, mask_shape)
    rng = np.random.default_rng(seed + 1)
    weights = [rng.standard_normal(shape) for shape in [(19, 17), (19, D_K), (19,)]]
    query = rng.standard_normal((*query.shape[:-1], 17))
    return query, key, value, *weights, mask


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
)
def test_additive_attention_and_its_gradients_agree_with_torch(
    seed, batches, mask_shape
):
    *arrays, mask = additive(seed, batches, mask_shape)
    output, weights = additive_attention(*arrays, mask)
    tensors = to_torch(*arrays, requires_grad=True)
    theirs = twin_of(additive_attention)(*tensors, *to_torch(mask))
    found = [tensor.detach().numpy() for tensor in theirs]
    assert_all_close(found, (output, weights), **TOLERANCE["float64"])
    d_output = np.random.default_rng(seed + 2).standard_normal(output.shape)
    gradients = additive_attention_backward(d_output, *arrays, weights)
    expected = autograd(theirs[0], tensors, d_output)
    assert_all_close(gradients, expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
def test_gradients_of_additive_attention_equal_central_differences(mask_shape):
    *arrays, mask = additive(18, (((2, 1), (3,), (3,))), mask_shape)
    output, weights = additive_attention(*arrays, mask)
    d_output = np.random.default_rng(19).standard_normal(output.shape)
    gradients = additive_attention_backward(d_output, *arrays, weights)
    differences = central_differences(
        lambda *arrays: additive_attention(*arrays, mask)[0], arrays, d_output
    )
    assert_all_close(gradients, differences, **GRADIENT_TOLERANCE)


def test_each_attention_is_its_scores_put_into_attend():
    query, key, value, *weights, mask = additive(20, mask_shape=(N_Q, N_K))
    scores = additive_scores(query, key, *weights)
    found = additive_attention(query, key, value, *weights, mask)
    assert_all_close(found, attend(scores, value, mask), rtol=0)
    query, key, value, mask = inputs(20, mask_shape=(N_Q, N_K))
    scores = scaled_dot_scores(query, key, 0.7)
    found = scaled_dot_product_attention(query, key, value, mask, 0.7)
    assert_all_close(found, attend(scores, value, mask), rtol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_attentions_keep_the_dtype(dtype):
    *arrays, _ = additive(21)
    arrays = [array.astype(dtype) for array in arrays]
    output, weights = additive_attention(*arrays)
    gradients = additive_attention_backward(output, *arrays, weights)
    assert {array.dtype.name for array in (output, weights, *gradients)} == {dtype}
    theirs = twin_of(additive_attention)(*to_torch(*arrays))
    found = [tensor.numpy() for tensor in theirs]
    assert_all_close(found, (output, weights), **TOLERANCE[dtype])


@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
def test_gradients_agree_with_those_of_torchs_own_attention(mask_shape):
    torch = need_torch()
    *arrays, mask = inputs(22, mask_shape=mask_shape)
    if mask_shape is not None:
        mask[..., 0] = True
        mask = np.broadcast_to(mask, (N_Q, N_K)).copy()
    output, weights = scaled_dot_product_attention(*arrays, mask)
    d_output = np.random.default_rng(23).standard_normal(output.shape)
    tensors = to_torch(*arrays, requires_grad=True)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *tensors, attn_mask=to_torch(mask)[0]
    )
    ours = scaled_dot_product_attention_backward(d_output, *arrays, weights)
    assert_all_close(ours, autograd(theirs, tensors, d_output), **GRADIENT_TOLERANCE)


def test_agrees_with_torchs_own_causal_attention():
    torch = need_torch()
    _, key, value, _ = inputs(24)
    output, _ = scaled_dot_product_attention(key, key, value, causal_mask(N_K))
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *to_torch(key, key, value), is_causal=True
    )
    np.testing.assert_allclose(output, theirs.numpy(), **TOLERANCE["float64"])


@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
def test_agrees_with_torchs_own_attention_and_its_mask_convention(mask_shape):
    torch = need_torch()
    query, key, value, mask = inputs(6, mask_shape=mask_shape)
    if mask_shape is not None:
        mask[..., 0] = True  # torch gives no promise for a row with nothing allowed
    if mask_shape is not None and len(mask_shape) < 2:
        mask = mask[None]  # torch wants two axes at least
    output, _ = scaled_dot_product_attention(query, key, value, mask)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        *to_torch(query, key, value), attn_mask=to_torch(mask)[0]
    )
    np.testing.assert_allclose(output, theirs.numpy(), **TOLERANCE["float64"])


# Rules --------------------------------------------------------------------------------


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    scale=st.floats(0.01, 100),
)
def test_rows_sum_to_one_and_outputs_lie_among_the_values(
    seed, batches, mask_shape, scale
):
    query, key, value, mask = inputs(seed, batches, mask_shape, scale)
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    some = True if mask is None else np.broadcast_to(mask, weights.shape).any(axis=-1)
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0 * some, rtol=0, atol=1e-14)
    rows = np.broadcast_to(some, output.shape[:-1])[..., None]
    low, high = value.min(axis=-2, keepdims=True), value.max(axis=-2, keepdims=True)
    slack = 1e-12 * scale
    assert np.all(np.where(rows, (low - slack <= output), output == 0))
    assert np.all(np.where(rows, (output <= high + slack), output == 0))


def test_adding_1000_to_every_score_changes_nothing():
    scores = np.random.default_rng(7).standard_normal((2, N_Q, N_K))
    _, _, value, mask = inputs(7, ((2,),) * 3, (N_Q, N_K))
    moved, plain = attend(scores + 1000, value, mask), attend(scores, value, mask)
    assert_all_close(moved, plain, rtol=0, atol=1e-10)


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_gives_no_gradient():
    *arrays, _ = inputs(8)
    mask = np.ones((N_Q, N_K), bool)
    mask[2] = False
    output, weights = scaled_dot_product_attention(*arrays, mask)
    assert np.all(output[..., 2, :] == 0)
    assert np.all(weights[..., 2, :] == 0)
    d_output = np.zeros_like(output)
    d_output[..., 2, :] = 1
    ours = scaled_dot_product_attention_backward(d_output, *arrays, weights)
    tensors = to_torch(*arrays, requires_grad=True)
    twin = twin_of(scaled_dot_product_attention)
    theirs, _ = twin(*tensors, *to_torch(mask))
    assert np.all(theirs[..., 2, :].detach().numpy() == 0)
    theirs.backward(*to_torch(d_output))
    for gradient in [*ours, *(tensor.grad.numpy() for tensor in tensors)]:
        assert np.all(gradient == 0)


@pytest.mark.parametrize("huge", [1e100, -1e100])
def test_a_masked_key_has_no_influence_not_by_one_bit(huge):
    query, key, value, _ = inputs(9)
    hidden = [1, 4]
    mask = np.ones(N_K, bool)
    mask[hidden] = False
    other_key, other_value = key.copy(), value.copy()
    other_key[..., hidden, :] = huge
    other_value[..., hidden, :] = -huge
    expected = scaled_dot_product_attention(query, key, value, mask)
    changed = scaled_dot_product_attention(query, other_key, other_value, mask)
    for one, other in zip(expected, changed, strict=True):
        np.testing.assert_array_equal(one, other)
    twin = twin_of(scaled_dot_product_attention)
    expected = twin(*to_torch(query, key, value, mask))
    changed = twin(*to_torch(query, other_key, other_value, mask))
    for one, other in zip(expected, changed, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_no_past_output_depends_on_the_future_under_a_causal_mask():
    query, key, value, _ = inputs(10)
    query, mask = key[..., ::-1, :], causal_mask(N_K)
    expected, _ = scaled_dot_product_attention(query, key, value, mask)
    value[..., -1, :] += 100
    changed, _ = scaled_dot_product_attention(query, key, value, mask)
    np.testing.assert_array_equal(changed[..., :-1, :], expected[..., :-1, :])
    assert not np.allclose(changed[..., -1, :], expected[..., -1, :])


def test_the_order_of_the_keys_does_not_matter():
    query, key, value, mask = inputs(11, mask_shape=(N_Q, N_K))
    order = np.random.default_rng(11).permutation(N_K)
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    moved, moved_weights = scaled_dot_product_attention(
        query, key[..., order, :], value[..., order, :], mask[:, order]
    )
    assert_all_close([moved], [output], rtol=0, atol=1e-13)
    assert_all_close([moved_weights], [weights[..., order]], rtol=0, atol=1e-13)


def test_a_cold_query_takes_the_best_key_and_a_hot_one_takes_all_alike():
    query, key, value, _ = inputs(12)
    best = (query @ np.swapaxes(key, -1, -2)).argmax(axis=-1)
    _, cold = scaled_dot_product_attention(query, key, value, temperature=1e-4)
    np.testing.assert_allclose(cold, np.eye(N_K)[best], rtol=0, atol=1e-12)
    output, hot = scaled_dot_product_attention(query, key, value, temperature=1e9)
    np.testing.assert_allclose(hot, 1 / N_K, rtol=0, atol=1e-8)
    mean = np.broadcast_to(value.mean(axis=-2, keepdims=True), output.shape)
    np.testing.assert_allclose(output, mean, rtol=0, atol=1e-7)


def test_a_single_key_gets_all_the_weight():
    query, key, value, _ = inputs(13)
    output, weights = scaled_dot_product_attention(
        query, key[..., :1, :], value[..., :1, :]
    )
    assert np.all(weights == 1)
    np.testing.assert_array_equal(
        output, np.broadcast_to(value[..., :1, :], output.shape)
    )


@pytest.mark.parametrize(
    ("batches", "n_q"), [(((0,),) * 3, N_Q), (((2, 0), (0,), ()), N_Q), (((),) * 3, 0)]
)
def test_an_empty_batch_or_no_query_gives_an_empty_answer(batches, n_q):
    query, key, value, _ = inputs(14, batches)
    query = query[..., :n_q, :]
    output, weights = scaled_dot_product_attention(query, key, value)
    assert output.shape == (*batches[0], n_q, D_V)
    gradients = scaled_dot_product_attention_backward(
        output, query, key, value, weights
    )
    for gradient, array in zip(gradients, (query, key, value), strict=True):
        assert gradient.shape == array.shape
    theirs, _ = twin_of(scaled_dot_product_attention)(*to_torch(query, key, value))
    assert tuple(theirs.shape) == output.shape


def test_the_layout_in_memory_does_not_matter():
    *arrays, mask = inputs(15, mask_shape=(N_Q, N_K))
    strided = [
        np.ascontiguousarray(np.swapaxes(array, -1, -2)).swapaxes(-1, -2)
        for array in arrays
    ]
    assert not any(array.flags.c_contiguous for array in strided)
    expected = scaled_dot_product_attention(*arrays, mask)
    ours = scaled_dot_product_attention(*strided, np.asfortranarray(mask))
    assert_all_close(ours, expected, rtol=0, atol=1e-13)
    transposed = [
        to_torch(np.swapaxes(array, -1, -2).copy())[0].transpose(-1, -2)
        for array in arrays
    ]
    theirs = twin_of(scaled_dot_product_attention)(*transposed, *to_torch(mask))
    assert_all_close([t.numpy() for t in theirs], expected, **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    *arrays, mask = inputs(16, mask_shape=(N_Q, N_K))
    kept = [array.copy() for array in (*arrays, mask)]
    output, weights = scaled_dot_product_attention(*arrays, mask)
    kept_weights = weights.copy()
    scaled_dot_product_attention_backward(output, *arrays, weights)
    attend(weights, arrays[2], mask)
    attend_backward(output, weights, arrays[2])
    assert_all_close((*arrays, mask, weights), (*kept, kept_weights), rtol=0)
    tensors = to_torch(*arrays, mask)
    twin_of(scaled_dot_product_attention)(*tensors)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)
    *arrays, mask = additive(16, mask_shape=(N_Q, N_K))
    kept = [array.copy() for array in (*arrays, mask)]
    output, weights = additive_attention(*arrays, mask)
    additive_attention_backward(output, *arrays, weights)
    tensors = to_torch(*arrays, mask)
    twin_of(additive_attention)(*tensors)
    assert_all_close((*arrays, mask), kept, rtol=0)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
def test_every_twin_runs_on_any_device(device, mask_shape):
    device_or_skip(device)
    arrays = inputs(17, mask_shape=mask_shape)
    query, key, value, mask = to_torch(*arrays, device=device)
    theirs = twin_of(scaled_dot_product_attention)(query, key, value, mask)
    again = twin_of(attend)(query @ key.transpose(-1, -2), value, mask)
    third = twin_of(additive_attention)(
        *to_torch(*additive(17, mask_shape=mask_shape), device=device)
    )
    for output, weights in (theirs, again, third):
        assert {output.device.type, weights.device.type} == {device}
        assert tuple(output.shape) == (2, 3, N_Q, D_V)
        assert tuple(weights.shape) == (2, 3, N_Q, N_K)
    if device == "cuda":
        ours = scaled_dot_product_attention(*arrays)
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])
