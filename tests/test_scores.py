"""Scores: both halves agree, with the formulas and with the rules, before and after
they are put into `attend`."""

import math
from functools import partial

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

from course_lib.in_numpy import scores as library
from course_lib.in_numpy.attention import attend, attend_backward

N_Q, N_K, N_MAX, D_Q, D_K, D_HIDDEN, D_V = 5, 7, 23, 11, 13, 17, 19
# Batch axes of query and key. The last three broadcast.
BATCHES = [((), ()), ((2, 3), (2, 3)), ((2, 1), (3,)), ((), (2, 3)), ((3,), (2, 1))]
# What a function takes: shapes of its arrays, then what is no array.
PARAMETERS = {
    "dot": ([(D_Q, D_Q)], []),
    "scaled_dot": ([(D_Q, D_Q)], [0.7]),
    "general": ([(D_Q, D_K), (D_Q, D_K)], []),
    "concat": ([(D_Q, D_K), (D_HIDDEN, D_Q + D_K), (D_HIDDEN,)], []),
    "additive": ([(D_Q, D_K), (D_HIDDEN, D_Q), (D_HIDDEN, D_K), (D_HIDDEN,)], []),
    "location": ([(D_Q, None), (N_MAX, D_Q)], [N_K]),
}
NAMES = list(PARAMETERS)
WITH_KEYS = [name for name in NAMES if name != "location"]
MASK_SHAPES = [(N_K,), (N_Q, N_K), (3, N_Q, N_K), (N_Q, 1)]


def functions(name):
    """A function of scores and its backward, what is no array filled in at the end."""
    _, others = PARAMETERS[name]
    forward = getattr(library, f"{name}_scores")
    backward = getattr(library, f"{name}_scores_backward")
    twin = partial(_with, twin_of(forward), others)
    return partial(_with, forward, others), partial(_with, backward, others), twin


def _with(function, others, *arrays):
    return function(*arrays, *others)


def inputs(name, seed=0, batches=((2, 3), (2, 3)), n_q=N_Q, scale=1.0):
    """Query, key (but for location) and weights, every axis of its own length."""
    rng = np.random.default_rng(seed)
    ((d_q, d_k), *shapes), _ = PARAMETERS[name]
    shapes = [(*batches[0], n_q, d_q), (*batches[1], N_K, d_k), *shapes]
    shapes = [shape for shape in shapes if None not in shape]
    return [rng.normal(0, scale, shape) for shape in shapes]


def attended(name, arrays, value, mask, d_output):
    """Output, weights and the gradients of everything, from either half."""
    forward, backward, twin = functions(name)
    output, weights = attend(forward(*arrays), value, mask)
    d_scores, d_value = attend_backward(d_output, weights, value)
    yield "numpy", [output, weights, *backward(d_scores, *arrays), d_value]
    *tensors, value = to_torch(*arrays, value, requires_grad=True)
    output, weights = twin_of(attend)(twin(*tensors), value, *to_torch(mask))
    gradients = autograd(output, [*tensors, value], d_output)
    yield "torch", [output.detach().numpy(), weights.detach().numpy(), *gradients]


# One number by hand -------------------------------------------------------------------

QUERY, KEY = np.array([[1.0, 2, 0, 1]]), np.array([[3.0, 1, 5, 1], [0, 0, 1, -4]])


def test_products_by_hand():
    assert library.dot_scores(QUERY, KEY).tolist() == [[6, -4]]
    assert library.scaled_dot_scores(QUERY, KEY).tolist() == [[3, -2]]
    assert library.scaled_dot_scores(QUERY, KEY, 0.5).tolist() == [[6, -4]]
    W = np.array([[0.0, 1, 0, 0]] + [[0.0] * 4] * 2 + [[0, 0, 0, 2]])
    assert library.general_scores(QUERY, KEY, W).tolist() == [[1 + 2, 0 - 8]]
    d_query, d_key = library.dot_scores_backward(np.array([[1.0, 10]]), QUERY, KEY)
    assert d_query.tolist() == [[3, 1, 15, -39]]
    assert d_key.tolist() == [[1, 2, 0, 1], [10, 20, 0, 10]]
    d_query, d_key = library.scaled_dot_scores_backward(np.ones((1, 2)), QUERY, KEY, 5)
    assert d_query == pytest.approx(np.array([[0.3, 0.1, 0.6, -0.3]]), abs=1e-15)
    assert d_key == pytest.approx(np.array([[0.1, 0.2, 0, 0.1]] * 2), abs=1e-15)


def test_additive_and_concat_by_hand():
    query, key = np.array([[1.0]]), np.array([[2.0], [0.0]])
    W_q, W_k, v = np.array([[1.0], [0]]), np.array([[0.5], [1]]), np.array([1.0, -1])
    # key 2: tanh(1 + 1) - tanh(0 + 2) = 0. key 0: tanh(1) - tanh(0).
    expected = pytest.approx(np.array([[0, math.tanh(1)]]), abs=1e-15)
    assert library.additive_scores(query, key, W_q, W_k, v) == expected
    W = np.array([[1, 0.5], [0, 1]])
    assert library.concat_scores(query, key, W, v) == expected


def test_location_by_hand():
    W = np.array([[1.0, 0], [0, 1], [1, 1], [9, 9]])
    query = np.array([[2.0, 3]])
    assert library.location_scores(query, W, 3).tolist() == [[2, 3, 5]]
    d_query, d_W = library.location_scores_backward(
        np.array([[1.0, 2, 3]]), query, W, 3
    )
    assert d_query.tolist() == [[4, 5]]
    assert d_W.tolist() == [[2, 3], [4, 6], [6, 9], [0, 0]]


# Every pair has the score its formula gives -------------------------------------------

FORMULAS = {
    "dot": lambda q, k: q @ k,
    "scaled_dot": lambda q, k: q @ k / math.sqrt(D_Q) / 0.7,
    "general": lambda q, k, W: q @ W @ k,
    "concat": lambda q, k, W, v: v @ np.tanh(W @ np.concatenate([q, k])),
    "additive": lambda q, k, W_q, W_k, v: v @ np.tanh(W_q @ q + W_k @ k),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_pair_has_the_score_that_the_formula_gives(name):
    query, key, *weights = inputs(name, 1, ((2, 3), (2, 3)))
    scores = functions(name)[0](query, key, *weights)
    assert scores.shape == (2, 3, N_Q, N_K)
    for *batch, i, j in np.ndindex(scores.shape):
        pair = query[(*batch, i)], key[(*batch, j)]
        expected = FORMULAS[name](*pair, *weights)
        assert scores[(*batch, i, j)] == pytest.approx(expected, abs=1e-12)


def test_the_score_of_a_location_depends_on_the_query_and_the_position_alone():
    query, W = inputs("location", 2)
    scores = library.location_scores(query, W, N_K)
    for position in range(N_K):
        expected = query @ W[position]
        np.testing.assert_allclose(scores[..., position], expected, rtol=0, atol=1e-12)


def test_concat_is_additive_with_its_matrix_cut_in_two():
    query, key, W, v = inputs("concat", 3)
    parts = np.split(W, [D_Q], axis=-1)
    scores = library.concat_scores(query, key, W, v)
    same = library.additive_scores(query, key, *parts, v)
    np.testing.assert_array_equal(scores, same)
    d_scores = np.random.default_rng(4).standard_normal(scores.shape)
    d_query, d_key, d_W, d_v = library.concat_scores_backward(
        d_scores, query, key, W, v
    )
    d_same = library.additive_scores_backward(d_scores, query, key, *parts, v)
    d_parts = np.split(d_W, [D_Q], axis=-1)
    assert_all_close((d_query, d_key, *d_parts, d_v), d_same, rtol=0)


def test_general_with_the_identity_is_the_dot_product():
    query, key = inputs("dot", 5)
    general = library.general_scores(query, key, np.eye(D_Q))
    np.testing.assert_array_equal(general, library.dot_scores(query, key))


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(seed=SEEDS, batches=st.sampled_from(BATCHES), scale=st.floats(0.01, 3))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_twins_agree(name, dtype, seed, batches, scale):
    arrays = [array.astype(dtype) for array in inputs(name, seed, batches, scale=scale)]
    forward, _, twin = functions(name)
    ours, theirs = forward(*arrays), twin(*to_torch(*arrays))
    assert ours.dtype == dtype
    # A float32 score has seven digits, and the sum of 143 products can reach 1,000.
    tolerance = TOLERANCE[dtype] if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-3}
    assert_all_close([ours], [theirs.numpy()], **tolerance)


@drawn
@given(seed=SEEDS, batches=st.sampled_from(BATCHES))
@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_autograd(name, seed, batches):
    arrays = inputs(name, seed, batches)
    forward, backward, twin = functions(name)
    d_scores = np.random.default_rng(seed + 1).standard_normal(forward(*arrays).shape)
    tensors = to_torch(*arrays, requires_grad=True)
    theirs = autograd(twin(*tensors), tensors, d_scores)
    assert_all_close(backward(d_scores, *arrays), theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("batches", [((), ()), ((2, 1), (3,))])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_central_differences(name, batches):
    arrays = inputs(name, 6, batches)
    forward, backward, _ = functions(name)
    d_scores = np.random.default_rng(7).standard_normal(forward(*arrays).shape)
    differences = central_differences(forward, arrays, d_scores)
    assert_all_close(backward(d_scores, *arrays), differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_keep_float32(name):
    arrays = [array.astype("float32") for array in inputs(name, 8)]
    forward, backward, _ = functions(name)
    gradients = backward(forward(*arrays), *arrays)
    assert {gradient.dtype.name for gradient in gradients} == {"float32"}


def test_the_temperature_is_one_unless_another_is_given():
    query, key = inputs("dot", 9)
    scores = library.scaled_dot_scores(query, key)
    np.testing.assert_array_equal(library.scaled_dot_scores(query, key, 1.0), scores)
    ours = library.scaled_dot_scores_backward(scores, query, key)
    same = library.scaled_dot_scores_backward(scores, query, key, 1.0)
    assert_all_close(ours, same, rtol=0)
    twin = twin_of(library.scaled_dot_scores)(*to_torch(query, key))
    np.testing.assert_allclose(twin.numpy(), scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [np.float64(2), np.int64(2), np.float32(2)])
def test_a_temperature_never_changes_the_dtype(temperature):
    query, key = (array.astype("float32") for array in inputs("dot", 9))
    cold = library.scaled_dot_scores(query, key, temperature)
    assert cold.dtype == "float32"
    np.testing.assert_array_equal(cold, library.scaled_dot_scores(query, key, 2.0))
    gradients = library.scaled_dot_scores_backward(cold, query, key, temperature)
    assert {gradient.dtype for gradient in gradients} == {query.dtype}


# Rules, with the scores put into `attend` ---------------------------------------------


def values(seed, batch=(2, 3), n_q=N_Q):
    """A value and the gradient of the output that it gives."""
    rng = np.random.default_rng(seed)
    shapes = (*batch, N_K, D_V), (*batch, n_q, D_V)
    return [rng.standard_normal(shape) for shape in shapes]


@drawn
@given(seed=SEEDS, mask_shape=st.sampled_from(MASK_SHAPES), shift=st.floats(-9, 9))
@pytest.mark.parametrize("name", NAMES)
def test_rows_sum_to_one_and_moving_all_scores_moves_no_weight(
    name, seed, mask_shape, shift
):
    mask = np.random.default_rng(seed).random(mask_shape) < 0.6
    scores = functions(name)[0](*inputs(name, seed))
    value, _ = values(seed)
    expected = attend(scores, value, mask)
    some = np.broadcast_to(mask, scores.shape).any(axis=-1)
    np.testing.assert_allclose(expected[1].sum(axis=-1), some, rtol=0, atol=1e-14)
    assert_all_close(attend(scores + shift, value, mask), expected, rtol=0, atol=1e-10)


@drawn
@given(
    seed=SEEDS,
    dtype_and_huge=st.sampled_from([("float64", 1e300), ("float32", 1e30)]),
    sign=st.sampled_from([-1, 1]),
)
@pytest.mark.parametrize("name", NAMES)
def test_a_masked_key_has_no_influence_not_by_one_bit(name, seed, dtype_and_huge, sign):
    dtype, huge = dtype_and_huge
    rng = np.random.default_rng(seed)
    hidden = rng.permutation(N_K)[: rng.integers(1, N_K)]
    mask = rng.random((N_Q, N_K)) < 0.7
    mask[:, hidden] = False
    arrays, (value, d_output) = inputs(name, seed), values(seed)
    arrays, value, d_output = (
        [array.astype(dtype) for array in arrays],
        value.astype(dtype),
        d_output.astype(dtype),
    )
    changed, other_value = [array.copy() for array in arrays], value.copy()
    noise = rng.choice([-1, 0.5, 1], (len(hidden), D_V)) * huge
    other_value[..., hidden, :] = noise
    if name in WITH_KEYS:
        changed[1][..., hidden, :] = sign * huge
    one, other = (
        attended(name, some_arrays, some_value, mask, d_output)
        for some_arrays, some_value in ((arrays, value), (changed, other_value))
    )
    for (half, expected), (_, found) in zip(one, other, strict=True):
        for array, same in zip(found, expected, strict=True):
            np.testing.assert_array_equal(array, same, err_msg=half)
        d_value = found[-1][..., hidden, :]
        assert np.all(d_value == 0)


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "general"])
def test_not_even_where_the_masked_score_overflows(name):
    mask = np.ones(N_K, bool)
    mask[[1, 4]] = False
    arrays, (value, d_output) = inputs(name, 10), values(10)
    changed, other_value = [array.copy() for array in arrays], value.copy()
    changed[1][..., [1, 4], :] = other_value[..., [1, 4], :] = np.finfo(float).max
    with np.errstate(over="ignore", invalid="ignore"):  # in scores that are masked
        pairs = zip(
            attended(name, arrays, value, mask, d_output),
            attended(name, changed, other_value, mask, d_output),
            strict=True,
        )
        for (half, expected), (_, found) in pairs:
            for array, same in zip(found, expected, strict=True):
                np.testing.assert_array_equal(array, same, err_msg=half)


@pytest.mark.parametrize("name", NAMES)
def test_a_query_that_may_attend_to_nothing_gives_zeros_and_no_gradient(name):
    arrays, (value, _) = inputs(name, 11), values(11)
    mask = np.ones((N_Q, N_K), bool)
    mask[2] = False
    d_output = np.zeros((2, 3, N_Q, D_V))
    d_output[..., 2, :] = 1
    for _, (output, weights, *gradients) in attended(
        name, arrays, value, mask, d_output
    ):
        assert np.all(output[..., 2, :] == 0)
        assert np.all(weights[..., 2, :] == 0)
        assert all(np.all(gradient == 0) for gradient in gradients)


@pytest.mark.parametrize("name", WITH_KEYS)
def test_the_order_of_the_keys_does_not_matter(name):
    (query, key, *weights), (value, d_output) = inputs(name, 12), values(12)
    order = np.random.default_rng(12).permutation(N_K)
    mask = np.random.default_rng(13).random((N_Q, N_K)) < 0.7
    plain = attended(name, (query, key, *weights), value, mask, d_output)
    moved = attended(
        name,
        (query, key[..., order, :], *weights),
        value[..., order, :],
        mask[:, order],
        d_output,
    )
    for (_, expected), (_, found) in zip(plain, moved, strict=True):
        expected[1] = expected[1][..., order]
        expected[3], expected[-1] = (
            expected[3][..., order, :],
            expected[-1][..., order, :],
        )
        assert_all_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_colder_the_nearer_to_the_best_key_alone(name):
    scores = functions(name)[0](*inputs(name, 14))
    value, _ = values(14)
    best = np.eye(N_K)[scores.argmax(axis=-1)]
    distances = [
        np.abs(attend(scores / temperature, value)[1] - best).max()
        for temperature in (10, 1, 0.1, 1e-5)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-12


def test_fewer_keys_are_the_first_of_a_location():
    query, W = inputs("location", 15)
    scores = library.location_scores(query, W, N_MAX)
    for n_k in (1, 2, N_K):
        fewer = library.location_scores(query, W, n_k)
        np.testing.assert_allclose(fewer, scores[..., :n_k], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_gives_an_empty_answer(name, batch):
    arrays = inputs(name, 16, (batch, batch))
    forward, backward, twin = functions(name)
    scores = forward(*arrays)
    assert scores.shape == (*batch, N_Q, N_K)
    assert tuple(twin(*to_torch(*arrays)).shape) == scores.shape
    for gradient, array in zip(backward(scores, *arrays), arrays, strict=True):
        assert gradient.shape == array.shape
        assert np.all(gradient == 0)


@pytest.mark.parametrize("n_q", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_one_query_or_none_and_one_key(name, n_q):
    arrays = inputs(name, 17, n_q=n_q)
    value, d_output = values(17, n_q=n_q)
    for _, found in attended(name, arrays, value, None, d_output):
        assert found[0].shape == (2, 3, n_q, D_V)
        assert found[1].shape == (2, 3, n_q, N_K)
    if name in WITH_KEYS:
        arrays[1], value = arrays[1][..., :1, :], value[..., :1, :]
        for _, found in attended(name, arrays, value, None, d_output):
            assert np.all(found[1] == 1)
            assert found[1].shape == (2, 3, n_q, 1)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_never_changed(name):
    arrays, (value, d_output) = inputs(name, 18), values(18)
    kept = [array.copy() for array in arrays]
    list(attended(name, arrays, value, None, d_output))
    assert_all_close(arrays, kept, rtol=0)
    tensors = to_torch(*arrays)
    functions(name)[2](*tensors)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_every_twin_runs_on_any_device(name, device):
    device_or_skip(device)
    arrays = inputs(name, 19)
    forward, _, twin = functions(name)
    theirs = twin(*to_torch(*arrays, device=device))
    assert theirs.device.type == device
    assert tuple(theirs.shape) == (2, 3, N_Q, N_K)
    if device == "cuda":
        np.testing.assert_allclose(theirs.cpu(), forward(*arrays), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_every_twin_is_traced_whole_by_torch_compile(name):
    torch = need_torch()
    arrays = inputs(name, 20)
    twin = functions(name)[2]
    traced = torch.compile(twin, backend="eager", fullgraph=True)(*to_torch(*arrays))
    np.testing.assert_allclose(traced, functions(name)[0](*arrays), rtol=0, atol=1e-10)
