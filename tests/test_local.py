"""Local attention: a window around a centre, in both halves of the library."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    SEEDS,
    TOLERANCE,
    assert_all_close,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.attention import attend
from course_lib.in_numpy.local import (
    gaussian_local_attention,
    local_attention,
    local_mask,
    monotonic_centre,
    nearness,
    predicted_centre,
)

N_Q, N_K, D_Q, D_HIDDEN, D_V = 5, 7, 11, 13, 17
BOTH = [local_attention, gaussian_local_attention]


def inputs(seed, batch=(2, 3), dtype="float64"):
    """Scores, value and centre, every axis of its own length."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((*batch, N_Q, N_K))
    value = rng.standard_normal((*batch, N_K, D_V))
    centre = rng.uniform(0, N_K, (*batch, N_Q))
    return [array.astype(dtype) for array in (scores, value, centre)]


def predictor(seed, batch=(2, 3), dtype="float64"):
    """What `predicted_centre` takes."""
    rng = np.random.default_rng(seed)
    shapes = [(*batch, N_Q, D_Q), (D_HIDDEN, D_Q), (D_HIDDEN,)]
    floats = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return *floats, rng.integers(1, N_K + 1, batch)


# One number by hand -------------------------------------------------------------------


def test_a_window_by_hand():
    scores, value = np.zeros((2, 4)), np.array([[3.0], [6], [9], [100]])
    centre = np.array([1.0, 0.5])
    output, weights = local_attention(scores, value, centre, 1)
    third = pytest.approx(1 / 3, abs=1e-15)
    assert weights.tolist() == [[third, third, third, 0], [0.5, 0.5, 0, 0]]
    assert output.tolist() == [[pytest.approx(6)], [pytest.approx(4.5)]]


def test_a_gaussian_window_by_hand():
    # Half a width of 2 gives sigma = 1.
    near = nearness(np.array([2.0]), 2, 5)[0]
    expected = [math.exp(-2), math.exp(-0.5), 1, math.exp(-0.5), math.exp(-2)]
    assert near == pytest.approx(expected, abs=1e-15)
    scores, value = np.zeros((1, 5)), np.array([[5.0], [0], [0], [0], [0]])
    output, weights = gaussian_local_attention(scores, value, np.array([2.0]), 2)
    assert weights[0] == pytest.approx(np.array(expected) / 5, abs=1e-15)
    assert output[0, 0] == pytest.approx(math.exp(-2), abs=1e-15)


def test_centres_by_hand():
    assert monotonic_centre(4).tolist() == [0, 1, 2, 3]
    query, W_p, v_p = np.array([[0.0], [1.0]]), np.array([[2.0]]), np.array([3.0])
    half, later = predicted_centre(query, W_p, v_p, np.array(6))
    assert half == 3  # nothing known: the middle
    assert later == pytest.approx(6 / (1 + math.exp(-3 * math.tanh(2))), abs=1e-14)


# The twins agree ----------------------------------------------------------------------


@drawn
@given(
    seed=SEEDS,
    batch=st.sampled_from([(), (2,), (2, 3)]),
    half_width=st.integers(1, 9),
    masked=st.booleans(),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", BOTH)
def test_attention_agrees_with_its_twin(
    function, dtype, seed, batch, half_width, masked
):
    arrays = inputs(seed, batch, dtype)
    mask = np.random.default_rng(seed).random((N_Q, N_K)) < 0.6 if masked else None
    ours = function(*arrays, half_width, mask)
    theirs = twin_of(function)(*to_torch(*arrays), half_width, *to_torch(mask))
    assert {array.dtype.name for array in ours} == {dtype}
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


@drawn
@given(seed=SEEDS, batch=st.sampled_from([(), (2,), (2, 3), (0,)]))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_centres_agree_with_their_twins(dtype, seed, batch):
    arrays = predictor(seed, batch, dtype)
    ours = predicted_centre(*arrays)
    theirs = twin_of(predicted_centre)(*to_torch(*arrays))
    assert ours.dtype == dtype
    assert_all_close([ours], [theirs.numpy()], **TOLERANCE[dtype])
    lengths = arrays[-1][..., None]
    assert np.all((ours >= 0) & (ours <= lengths))


def test_the_monotonic_centre_takes_a_dtype_in_torch():
    torch = need_torch()
    twin = twin_of(monotonic_centre)
    assert twin(N_Q).dtype == torch.float32
    centre = twin(N_Q, dtype=torch.float64, device="meta")
    assert (centre.dtype, centre.device.type) == (torch.float64, "meta")
    assert twin(N_Q).tolist() == monotonic_centre(N_Q).tolist()


@pytest.mark.parametrize("whole", [False, True])  # whole: keys lie on the very edge
@pytest.mark.parametrize("function", [local_mask, nearness])
def test_windows_agree_with_their_twins(function, whole):
    _, _, centre = inputs(1)
    centre = centre.round() if whole else centre
    theirs = twin_of(function)(*to_torch(centre), 2, N_K).numpy()
    assert_all_close([theirs], [function(centre, 2, N_K)], rtol=0, atol=1e-15)


# Gradients, from autograd -------------------------------------------------------------


def test_the_gradient_of_the_centre_equals_central_differences():
    scores, value, centre = inputs(2)
    output, _ = gaussian_local_attention(scores, value, centre, 2)
    d_output = np.random.default_rng(3).standard_normal(output.shape)
    tensors = to_torch(scores, value, centre, requires_grad=True)
    theirs, _ = twin_of(gaussian_local_attention)(*tensors, 2)
    theirs.backward(*to_torch(d_output))
    differences = central_differences(
        lambda *arrays: gaussian_local_attention(*arrays, 2)[0],
        [scores, value, centre],
        d_output,
    )
    gradients = [tensor.grad.numpy() for tensor in tensors]
    assert_all_close(gradients, differences, rtol=0, atol=1e-8)
    assert np.all(gradients[2] != 0)


def test_only_the_gaussian_tells_the_centre_where_to_move():
    torch = need_torch()
    tensors = to_torch(*inputs(4), requires_grad=True)
    output, _ = twin_of(local_attention)(*tensors, 2)
    assert torch.autograd.grad(output.sum(), tensors[2], allow_unused=True) == (None,)
    # A centre left of the only key worth looking at moves right, and so learns.
    centre = torch.tensor([2.0], requires_grad=True)
    scores, value = torch.zeros(1, N_K), torch.eye(N_K)
    _, weights = twin_of(gaussian_local_attention)(scores, value, centre, 3)
    weights[0, 4].backward()
    assert centre.grad.item() > 0


def test_the_weights_of_the_predictor_get_a_gradient():
    query, W_p, v_p, lengths = predictor(5)
    scores, value, _ = inputs(5)
    tensors = to_torch(query, W_p, v_p, requires_grad=True)
    centre = twin_of(predicted_centre)(*tensors, *to_torch(lengths))
    output, _ = twin_of(gaussian_local_attention)(*to_torch(scores, value), centre, 9)
    d_output = np.random.default_rng(6).standard_normal(output.shape)
    output.backward(*to_torch(d_output))

    def forward(query, W_p, v_p):
        centre = predicted_centre(query, W_p, v_p, lengths)
        return gaussian_local_attention(scores, value, centre, 9)[0]

    differences = central_differences(forward, [query, W_p, v_p], d_output)
    gradients = [tensor.grad.numpy() for tensor in tensors]
    assert_all_close(gradients, differences, rtol=0, atol=1e-8)


# Rules --------------------------------------------------------------------------------


@drawn
@given(seed=SEEDS, half_width=st.integers(1, 9))
def test_a_window_lets_through_what_is_at_most_half_its_width_away(seed, half_width):
    _, _, centre = inputs(seed)
    mask = local_mask(centre, half_width, N_K)
    assert mask.dtype == bool
    for *row, j in np.ndindex(mask.shape):
        assert mask[(*row, j)] == (abs(j - centre[tuple(row)]) <= half_width)
    assert mask.sum(axis=-1).max() <= 2 * half_width + 1
    near = nearness(centre, half_width, N_K)
    np.testing.assert_array_equal(near >= math.exp(-2), mask)
    assert np.all((near > 0) & (near <= 1))


def test_the_monotonic_window_is_a_band_along_the_diagonal():
    mask = local_mask(monotonic_centre(N_K), 2, N_K)
    ones = np.ones((N_K, N_K), bool)
    np.testing.assert_array_equal(mask, np.tril(ones, 2) & np.triu(ones, -2))


def test_a_window_as_wide_as_the_sequence_is_plain_attention():
    scores, value, centre = inputs(7)
    local = local_attention(scores, value, centre, N_K)
    assert_all_close(local, attend(scores, value), rtol=0)


@drawn
@given(seed=SEEDS, half_width=st.integers(1, 9), masked=st.booleans())
def test_the_gaussian_multiplies_the_weights_and_nothing_brings_them_back_to_one(
    seed, half_width, masked
):
    scores, value, centre = inputs(seed)
    mask = np.random.default_rng(seed).random((N_Q, N_K)) < 0.6 if masked else None
    output, weights = gaussian_local_attention(scores, value, centre, half_width, mask)
    _, plain = local_attention(scores, value, centre, half_width, mask)
    sigma = half_width / 2
    distance = np.arange(N_K) - centre[..., None]
    gaussian = np.exp(-(distance**2) / (2 * sigma**2))
    np.testing.assert_allclose(weights, plain * gaussian, rtol=0, atol=1e-15)
    np.testing.assert_allclose(output, weights @ value, rtol=0, atol=1e-14)
    some = plain.sum(axis=-1) > 0
    total = weights.sum(axis=-1)
    assert np.all(total[some] >= math.exp(-2) - 1e-12)
    assert np.all(total[some] < 1)
    assert np.all(total[~some] == 0)


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize(("dtype", "huge"), [("float64", 1e300), ("float32", 1e30)])
def test_what_is_masked_or_outside_the_window_has_no_influence(function, dtype, huge):
    scores, value, centre = inputs(8, dtype=dtype)
    centre[:] = centre[0, 0]  # the same keys are out of reach in the whole batch
    mask = np.arange(N_K) != 3
    seen = local_mask(centre, 2, N_K) & mask
    other_scores = np.where(seen, scores, np.array(-huge, dtype))
    other_value = value.copy()
    unseen = ~seen[0, 0].any(axis=0)
    assert 1 < unseen.sum() < N_K
    other_value[..., unseen, :] = huge
    found = []
    for s, v in ((scores, value), (other_scores, other_value)):
        ours = function(s, v, centre, 2, mask)
        tensors = to_torch(s, v, centre, requires_grad=True)
        output, weights = twin_of(function)(*tensors, 2, *to_torch(mask))
        output.backward(to_torch(np.ones_like(ours[0]))[0])
        gradients = [t.grad.numpy() for t in tensors if t.grad is not None]
        found.append([*ours, output.detach(), weights.detach(), *gradients])
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("function", BOTH)
def test_a_window_with_nothing_allowed_gives_zeros_and_no_gradient(function):
    scores, value, centre = inputs(9)
    centre[..., 2] = N_K + 3  # out of reach of every key
    mask = np.ones((N_Q, N_K), bool)
    mask[4] = False
    empty = [2, 4]
    output, weights = function(scores, value, centre, 2, mask)
    assert np.all(output[..., empty, :] == 0)
    assert np.all(weights[..., empty, :] == 0)
    assert np.all(weights[..., [0, 1, 3], :].sum(axis=-1) > 0)
    tensors = to_torch(scores, value, centre, requires_grad=True)
    theirs, _ = twin_of(function)(*tensors, 2, *to_torch(mask))
    theirs[..., empty, :].sum().backward()
    assert all(np.all(t.grad.numpy() == 0) for t in tensors if t.grad is not None)


@pytest.mark.parametrize("function", BOTH)
@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_gives_an_empty_answer(function, batch):
    arrays = inputs(10, batch)
    output, weights = function(*arrays, 2)
    assert output.shape == (*batch, N_Q, D_V)
    assert weights.shape == (*batch, N_Q, N_K)
    theirs, _ = twin_of(function)(*to_torch(*arrays), 2)
    assert tuple(theirs.shape) == output.shape


@pytest.mark.parametrize("function", BOTH)
def test_one_centre_for_each_query_serves_the_whole_batch(function):
    scores, value, _ = inputs(11)
    centre = monotonic_centre(N_Q)
    one = function(scores, value, centre, 2)
    many = function(scores, value, np.broadcast_to(centre, (2, 3, N_Q)), 2)
    assert_all_close(one, many, rtol=0)
    single = function(scores[..., :1, :1], value[..., :1, :], centre[:1], 2)
    assert np.all(single[1] == 1)


@pytest.mark.parametrize("function", BOTH)
def test_inputs_are_never_changed(function):
    arrays, mask = inputs(12), np.arange(N_K) < 5
    kept = [array.copy() for array in (*arrays, mask)]
    function(*arrays, 2, mask)
    assert_all_close((*arrays, mask), kept, rtol=0)
    *tensors, tensor_mask = to_torch(*arrays, mask)
    twin_of(function)(*tensors, 2, tensor_mask)
    found = [tensor.numpy() for tensor in (*tensors, tensor_mask)]
    assert_all_close(found, kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("function", BOTH)
def test_every_twin_runs_on_any_device(function, device):
    device_or_skip(device)
    arrays = inputs(13)
    theirs = twin_of(function)(*to_torch(*arrays, device=device), 2)
    centre = twin_of(predicted_centre)(*to_torch(*predictor(13), device=device))
    assert {t.device.type for t in (*theirs, centre)} == {device}
    assert tuple(theirs[0].shape) == (2, 3, N_Q, D_V)
    assert tuple(centre.shape) == (2, 3, N_Q)
    if device == "cuda":
        ours = function(*arrays, 2)
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])


@pytest.mark.parametrize("function", BOTH)
def test_every_twin_is_traced_whole_by_torch_compile(function):
    torch = need_torch()
    scores, value, _ = inputs(14)
    arrays = predictor(14)

    def model(query, W_p, v_p, lengths, scores, value):
        centre = twin_of_predicted(query, W_p, v_p, lengths)
        return twin(scores, value, centre, 2)[0]

    twin, twin_of_predicted = twin_of(function), twin_of(predicted_centre)
    tensors = to_torch(*arrays, scores, value)
    traced = torch.compile(model, backend="eager", fullgraph=True)(*tensors)
    ours, _ = function(scores, value, predicted_centre(*arrays), 2)
    np.testing.assert_allclose(traced, ours, rtol=0, atol=1e-10)
