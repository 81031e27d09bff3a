"""Softmax and its relatives: both halves agree, with each other and with the rules."""

import math

import hypothesis.extra.numpy as hnp
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

from course_lib.in_numpy import ops

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=7)
BY_ROW = [ops.softmax, ops.masked_softmax, ops.log_softmax]
ACTIVATIONS = [ops.relu, ops.sigmoid, ops.silu, ops.gelu]
NORMS = [ops.layer_norm, ops.rms_norm]
DTYPES = ["float64", "float32"]
SMOOTHING = st.sampled_from([0.0, 0.1, 1])
rng = np.random.default_rng(2)


@st.composite
def scores_and_mask(draw):
    """Scores of any shape and scale, and a mask that broadcasts to them."""
    scores = draw(hnp.arrays(float, draw(SHAPES), elements=st.floats(-50, 50)))
    sides = [draw(st.sampled_from([1, size])) for size in scores.shape]
    mask = draw(hnp.arrays(bool, sides[draw(st.integers(0, scores.ndim - 1)) :]))
    return scores, mask


def classes(seed, shape=(2, 3, 5), n_classes=7):
    """Logits, targets and a mask for cross_entropy."""
    local = np.random.default_rng(seed)
    logits = local.normal(0, 3, (*shape, n_classes))
    return logits, local.integers(0, n_classes, shape), local.random(shape) < 0.6


# One number by hand -------------------------------------------------------------------


def test_scores_2_1_0_by_hand():
    scores = np.array([2.0, 1.0, 0.0])
    total = 1 + math.exp(-1) + math.exp(-2)
    assert ops.softmax(scores) == pytest.approx(
        [1 / total, math.exp(-1) / total, math.exp(-2) / total], abs=1e-15
    )
    assert round(ops.softmax(scores)[0], 3) == 0.665
    assert ops.log_softmax(scores)[2] == pytest.approx(-2 - math.log(total), abs=1e-15)


def test_masked_softmax_by_hand():
    weights = ops.masked_softmax(
        np.array([2.0, 9.0, 0.0]), np.array([True, False, True])
    )
    first = 1 / (1 + math.exp(-2))
    assert weights == pytest.approx([first, 0, 1 - first], abs=1e-15)


def test_cross_entropy_by_hand():
    logits = np.array([[0.0, math.log(3)], [5.0, 5.0]])  # (1/4, 3/4) and (1/2, 1/2)
    target = np.array([1, 0])
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert ops.cross_entropy(logits, target) == pytest.approx(expected, abs=1e-15)
    one = ops.cross_entropy(logits, target, np.array([True, False]))
    assert one == pytest.approx(math.log(4 / 3), abs=1e-15)


def test_label_smoothing_by_hand():
    logits = np.array([[0.0, math.log(3)]])  # (1/4, 3/4)
    right, mean = math.log(4 / 3), (math.log(4) + math.log(4 / 3)) / 2
    loss = ops.cross_entropy(logits, np.array([1]), label_smoothing=0.2)
    assert loss == pytest.approx(0.8 * right + 0.2 * mean, abs=1e-15)
    d_logits = ops.cross_entropy_backward(logits, np.array([1]), label_smoothing=0.2)
    assert d_logits[0] == pytest.approx([0.25 - 0.1, 0.75 - 0.9], abs=1e-15)


def test_norms_by_hand():
    x, gain, bias = np.array([7.0, 1.0]), np.array([1.0, 10]), np.array([100.0, 0])
    # mean 4, variance 9: (1, -1). Root mean square 5: (1.4, 0.2).
    assert ops.layer_norm(x, gain, bias, 0) == pytest.approx([101, -10], abs=1e-13)
    assert ops.layer_norm(x, gain, bias, 7) == pytest.approx([100.75, -7.5], abs=1e-13)
    assert ops.rms_norm(x, gain, 0) == pytest.approx([1.4, 2], abs=1e-14)
    assert ops.rms_norm(x, gain, 11) == pytest.approx([7 / 6, 10 / 6], abs=1e-14)


def test_activations_by_hand():
    x = np.array([-2.0, 0, 2])
    assert ops.relu(x).tolist() == [0, 0, 2]
    assert ops.sigmoid(x) == pytest.approx(
        [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-2))], abs=1e-15
    )
    assert ops.silu(x) == pytest.approx(x / (1 + np.exp(-x)), abs=1e-15)
    below = (1 + math.erf(math.sqrt(2))) / 2  # two standard deviations: 0.977
    assert ops.gelu(x) == pytest.approx([-2 * (1 - below), 0, 2 * below], abs=1e-15)
    ones = np.ones(3)
    assert ops.relu_backward(ones, x).tolist() == [0, 0, 1]
    assert ops.sigmoid_backward(ones, x)[1] == 0.25
    assert ops.silu_backward(ones, x)[1] == 0.5
    assert ops.gelu_backward(ones, x)[1] == 0.5


def test_backward_steps_by_hand():
    weights, d_weights = np.array([0.75, 0.25]), np.array([8.0, 4.0])
    assert ops.softmax_backward(d_weights, weights).tolist() == [0.75, -0.75]
    d_scores = ops.log_softmax_backward(np.array([1.0, 0.0]), np.log(weights))
    assert d_scores == pytest.approx([0.25, -0.25], abs=1e-15)
    d_logits = ops.cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([1]))
    assert d_logits.tolist() == [[0.5, -0.5]]


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(drawn_pair=scores_and_mask())
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_twins_agree(drawn_pair, dtype):
    scores, mask = drawn_pair[0].astype(dtype), drawn_pair[1]
    tensor, tensor_mask = to_torch(scores, mask)
    for function in (ops.softmax, ops.log_softmax):
        ours, theirs = function(scores), twin_of(function)(tensor)
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])
    ours = ops.masked_softmax(scores, mask)
    theirs = twin_of(ops.masked_softmax)(tensor, tensor_mask)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])


@drawn
@given(seed=SEEDS, masked=st.booleans(), smoothing=SMOOTHING)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cross_entropy_twins_agree(seed, masked, smoothing, dtype):
    logits, target, mask = classes(seed)
    arrays = (logits.astype(dtype), target, mask if masked else None)
    ours = ops.cross_entropy(*arrays, smoothing)
    theirs = twin_of(ops.cross_entropy)(*to_torch(*arrays), smoothing)
    assert ours.dtype == dtype
    assert ours == pytest.approx(theirs.item(), abs=TOLERANCE[dtype]["atol"])


@drawn
@given(drawn_pair=scores_and_mask(), seed=SEEDS)
def test_softmax_gradients_equal_autograd(drawn_pair, seed):
    scores, mask = drawn_pair
    d_output = np.random.default_rng(seed).standard_normal(scores.shape)
    pairs = [
        (ops.softmax, ops.softmax_backward, ()),
        (ops.masked_softmax, ops.softmax_backward, (mask,)),
        (ops.log_softmax, ops.log_softmax_backward, ()),
    ]
    for forward, backward, more in pairs:
        ours = backward(d_output, forward(scores, *more))
        tensors = to_torch(scores, *more, requires_grad=True)
        theirs = autograd(twin_of(forward)(*tensors), tensors[:1], d_output)
        assert_all_close([ours], theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_equal_central_differences(masked):
    scores, d_output = rng.normal(0, 2, (2, 3, 5, 7))
    mask = rng.random((5, 7)) < 0.6 if masked else None
    steps = [(lambda s: ops.masked_softmax(s, mask), ops.softmax_backward)]
    if not masked:
        steps += [
            (ops.softmax, ops.softmax_backward),
            (ops.log_softmax, ops.log_softmax_backward),
        ]
    for forward, backward in steps:
        ours = backward(d_output, forward(scores))
        differences = central_differences(forward, [scores], d_output)
        assert_all_close([ours], differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_entropy_gradient_equals_autograd_and_central_differences(
    masked, smoothing
):
    logits, target, mask = classes(seed=3)
    mask = mask if masked else None
    ours = ops.cross_entropy_backward(logits, target, mask, smoothing)
    differences = central_differences(
        lambda x: ops.cross_entropy(x, target, mask, smoothing), [logits], 1.0
    )
    assert_all_close([ours], differences, **GRADIENT_TOLERANCE)
    tensors = to_torch(logits, target, mask, requires_grad=True)
    loss = twin_of(ops.cross_entropy)(*tensors, smoothing)
    theirs = autograd(loss, tensors[:1], 1.0)
    assert_all_close([ours], theirs, **GRADIENT_TOLERANCE)


@drawn
@given(x=hnp.arrays(float, SHAPES, elements=st.floats(-50, 50)), seed=SEEDS)
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_and_their_gradients_agree_with_torch(function, x, seed):
    d_output = np.random.default_rng(seed).standard_normal(x.shape)
    tensors = to_torch(x, requires_grad=True)
    output = twin_of(function)(*tensors)
    ours, theirs = function(x), output.detach().numpy()
    np.testing.assert_allclose(ours, theirs, **TOLERANCE["float64"])
    backward = getattr(ops, f"{function.__name__}_backward")
    gradient = autograd(output, tensors, d_output)
    assert_all_close([backward(d_output, x)], gradient, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("function", ACTIVATIONS)
def test_gradients_of_activations_equal_central_differences(function):
    x, d_output = rng.normal(0, 2, (2, 5, 7))
    backward = getattr(ops, f"{function.__name__}_backward")
    differences = central_differences(function, [x], d_output)
    assert_all_close([backward(d_output, x)], differences, **GRADIENT_TOLERANCE)


def normed(function, seed, batch=(2, 3), dtype="float64", scale=1.0):
    """x, gain and, for layer norm, bias."""
    local = np.random.default_rng(seed)
    x, gain, bias = local.normal(0.5, scale, (*batch, 7)), *local.normal(0, 1, (2, 7))
    arrays = (x, gain, bias) if function is ops.layer_norm else (x, gain)
    return [array.astype(dtype) for array in arrays]


@drawn
@given(
    seed=SEEDS,
    batch=st.sampled_from([(), (5,), (2, 3), (0,)]),
    scale=st.floats(0.01, 50),
    eps=st.sampled_from([1e-5, 0.1]),
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", NORMS)
def test_norms_and_their_gradients_agree_with_torch(
    function, dtype, seed, batch, scale, eps
):
    arrays = normed(function, seed, batch, dtype, scale)
    tensors = to_torch(*arrays, requires_grad=True)
    output = twin_of(function)(*tensors, eps)
    ours = function(*arrays, eps)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, output.detach().numpy(), **TOLERANCE[dtype])
    d_output = np.random.default_rng(seed + 1).standard_normal(ours.shape).astype(dtype)
    backward = getattr(ops, f"{function.__name__}_backward")
    gradients = backward(d_output, *arrays, eps)
    assert {gradient.dtype.name for gradient in gradients} == {dtype}
    # Small vectors have steep gradients: up to 100 here, so float32 keeps 1e-5 of it.
    tolerance = GRADIENT_TOLERANCE if dtype == "float64" else {"rtol": 1e-3}
    tolerance = {"atol": 2e-3, **tolerance}
    assert_all_close(gradients, autograd(output, tensors, d_output), **tolerance)


@pytest.mark.parametrize("function", NORMS)
def test_gradients_of_norms_equal_central_differences(function):
    arrays = normed(function, 9)
    d_output = rng.standard_normal(arrays[0].shape)
    backward = getattr(ops, f"{function.__name__}_backward")
    differences = central_differences(function, arrays, d_output)
    assert_all_close(backward(d_output, *arrays), differences, **GRADIENT_TOLERANCE)


def test_backward_builds_no_jacobian():
    n = 1_000_003  # an n x n Jacobian would need 8 TB
    weights = np.full(n, 1 / n)
    d_weights = np.linspace(-1, 1, n)
    assert ops.softmax_backward(d_weights, weights).shape == (n,)
    assert ops.log_softmax_backward(d_weights, np.log(weights)).shape == (n,)


# Rules --------------------------------------------------------------------------------


@drawn
@given(drawn_pair=scores_and_mask())
def test_rows_sum_to_one_or_to_zero_where_nothing_is_allowed(drawn_pair):
    scores, mask = drawn_pair
    np.testing.assert_allclose(ops.softmax(scores).sum(axis=-1), 1, rtol=0, atol=1e-14)
    weights = ops.masked_softmax(scores, mask)
    some = np.broadcast_to(mask, scores.shape).any(axis=-1)
    np.testing.assert_allclose(weights.sum(axis=-1), some, rtol=0, atol=1e-14)
    assert np.all(weights[~np.broadcast_to(mask, scores.shape)] == 0)
    assert np.all(weights >= 0)


@drawn
@given(drawn_pair=scores_and_mask())
def test_adding_1000_to_every_score_changes_no_weight(drawn_pair):
    scores, mask = drawn_pair
    for function in (*BY_ROW, lambda s: ops.masked_softmax(s, mask)):
        moved = function(scores + 1000)
        np.testing.assert_allclose(moved, function(scores), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_huge_scores_stay_finite_in_both_halves(dtype, extreme):
    scores = np.array([extreme, 0.0, extreme], dtype=dtype)
    for function in BY_ROW:
        ours, theirs = function(scores), twin_of(function)(*to_torch(scores))
        assert np.all(np.isfinite(ours))
        np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])


def test_log_softmax_is_exact_where_softmax_rounds_to_zero():
    scores = np.array([0.0, -1000.0])
    assert ops.softmax(scores)[1] == 0
    assert ops.log_softmax(scores)[1] == -1000


def test_masked_softmax_is_the_softmax_of_what_is_allowed():
    scores = rng.standard_normal(11)
    mask = rng.random(11) < 0.5
    assert 0 < mask.sum() < 11
    weights = ops.masked_softmax(scores, mask)
    np.testing.assert_allclose(weights[mask], ops.softmax(scores[mask]), atol=1e-15)


@pytest.mark.parametrize("huge", [1e300, -1e300])
def test_a_masked_score_has_no_influence_not_by_one_bit(huge):
    scores = rng.standard_normal((5, 7))
    mask = rng.random((5, 7)) < 0.5
    changed = np.where(mask, scores, huge)
    expected = ops.masked_softmax(scores, mask)
    np.testing.assert_array_equal(ops.masked_softmax(changed, mask), expected)
    twin = twin_of(ops.masked_softmax)
    one, other = twin(*to_torch(scores, mask)), twin(*to_torch(changed, mask))
    np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_allowed_scores_far_below_zero_keep_their_weight():
    scores, mask = np.array([-1e12, -1e12, 0.0]), np.array([True, True, False])
    assert ops.masked_softmax(scores, mask).tolist() == [0.5, 0.5, 0]
    twin = twin_of(ops.masked_softmax)(*to_torch(scores, mask))
    assert twin.tolist() == [0.5, 0.5, 0]


def test_a_row_with_nothing_allowed_has_zero_weights_and_zero_gradient():
    scores, d_weights = rng.standard_normal((2, 3, 5))
    mask = np.array([[True] * 5, [False] * 5, [False, True, True, False, True]])
    weights = ops.masked_softmax(scores, mask)
    assert np.all(weights[1] == 0)
    assert np.all(ops.softmax_backward(d_weights, weights)[1] == 0)
    tensors = to_torch(scores, mask, requires_grad=True)
    twin = twin_of(ops.masked_softmax)(*tensors)
    assert np.all(twin[1].detach().numpy() == 0)
    # Anomaly detection fails on a nan anywhere on the way back, not only at its end.
    with need_torch().autograd.set_detect_anomaly(True):
        (gradient,) = autograd(twin, tensors[:1], d_weights)
    assert np.all(gradient[1] == 0)


def test_a_loss_in_which_nothing_counts_is_zero_and_so_is_its_gradient():
    logits, target, _ = classes(seed=5)
    nothing = np.zeros(target.shape, dtype=bool)
    assert ops.cross_entropy(logits, target, nothing) == 0
    assert np.all(ops.cross_entropy_backward(logits, target, nothing) == 0)
    tensors = to_torch(logits, target, nothing, requires_grad=True)
    loss = twin_of(ops.cross_entropy)(*tensors)
    assert loss.item() == 0
    assert np.all(autograd(loss, tensors[:1], 1.0)[0] == 0)


def test_a_weight_of_zero_passes_nothing_on_not_even_infinity():
    d_weights, weights = np.array([1.0, np.inf, 3.0]), np.array([0.25, 0, 0.75])
    expected = ops.softmax_backward(np.array([1.0, 0, 3.0]), weights)
    found = ops.softmax_backward(d_weights, weights)
    np.testing.assert_array_equal(found, expected)
    assert d_weights[1] == np.inf  # nor is the input changed


@pytest.mark.parametrize("label", [-1, -100, 7, 1000])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_target_that_does_not_count_is_never_looked_up(label, smoothing):
    logits, target, mask = classes(seed=19)
    other = np.where(mask, target, label)
    expected = ops.cross_entropy(logits, target, mask, smoothing)
    assert ops.cross_entropy(logits, other, mask, smoothing) == expected
    np.testing.assert_array_equal(
        ops.cross_entropy_backward(logits, other, mask, smoothing),
        ops.cross_entropy_backward(logits, target, mask, smoothing),
    )
    tensors = to_torch(logits, other, mask, requires_grad=True)
    loss = twin_of(ops.cross_entropy)(*tensors, smoothing)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    (gradient,) = autograd(loss, tensors[:1], 1.0)
    assert np.all(gradient[~mask] == 0)
    assert np.all(gradient[mask] != 0)


def test_a_class_that_is_ruled_out_costs_nothing_without_smoothing():
    logits, target = np.array([[0.0, 0.0, -np.inf]]), np.array([1])
    assert ops.cross_entropy(logits, target) == pytest.approx(math.log(2), abs=1e-15)
    twin = twin_of(ops.cross_entropy)(*to_torch(logits, target))
    assert twin.item() == pytest.approx(math.log(2), abs=1e-15)


@pytest.mark.parametrize("allowed", [True, False])
def test_one_mask_for_everything_is_a_mask(allowed):
    scores = rng.standard_normal((3, 5))
    mask = np.array(allowed)
    weights = ops.masked_softmax(scores, mask)
    np.testing.assert_array_equal(weights, ops.softmax(scores) * allowed)
    twin = twin_of(ops.masked_softmax)(*to_torch(scores, mask))
    np.testing.assert_allclose(twin.numpy(), weights, rtol=0, atol=1e-15)


@drawn
@given(seed=SEEDS, scale=st.floats(0.1, 50), shift=st.floats(-9, 9))
def test_norms_forget_the_scale_and_layer_norm_the_mean_too(seed, scale, shift):
    x, gain, bias = normed(ops.layer_norm, seed)
    plain = ops.layer_norm(x, gain, bias, 0)
    moved = ops.layer_norm(scale * x + shift, gain, bias, 0)
    np.testing.assert_allclose(moved, plain, rtol=0, atol=1e-9)
    unit = ops.layer_norm(x, np.ones(7), np.zeros(7), 0)
    np.testing.assert_allclose(unit.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(unit.std(axis=-1), 1, rtol=0, atol=1e-12)
    scaled = ops.rms_norm(scale * x, gain, 0)
    np.testing.assert_allclose(scaled, ops.rms_norm(x, gain, 0), rtol=0, atol=1e-9)
    size = (ops.rms_norm(x, np.ones(7), 0) ** 2).mean(axis=-1)
    np.testing.assert_allclose(size, 1, rtol=0, atol=1e-12)


@pytest.mark.parametrize("function", NORMS)
def test_a_constant_vector_gives_no_division_by_zero(function):
    x, *weights = normed(function, 21)
    x[:] = 0
    d_x, *_ = getattr(ops, f"{function.__name__}_backward")(x + 1, x, *weights)
    assert np.all(np.isfinite(d_x))
    expected = weights[1] if function is ops.layer_norm else 0
    np.testing.assert_array_equal(function(x, *weights), x + expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", ACTIVATIONS)
def test_activations_far_out_are_finite_flat_and_keep_their_dtype(function, dtype):
    x = np.array([-1e4, -60, 0, 60, 1e4], dtype=dtype)
    outputs = function(x)
    backward = getattr(ops, f"{function.__name__}_backward")
    slopes = backward(np.ones_like(x), x)
    assert outputs.dtype == slopes.dtype == dtype
    rises = 0 if function is ops.sigmoid else 1  # the sigmoid is flat on both sides
    expected = 1 if function is ops.sigmoid else x[3:]
    np.testing.assert_allclose(outputs[:2], 0, atol=1e-7)
    np.testing.assert_allclose(outputs[3:], expected, rtol=1e-7)
    np.testing.assert_allclose(slopes[:2], 0, atol=1e-7)
    np.testing.assert_allclose(slopes[3:], rises, rtol=0, atol=1e-7)


def test_a_single_entry_takes_all_the_weight():
    scores = rng.standard_normal((2, 3, 1))
    for half in (lambda f: f(scores), lambda f: twin_of(f)(*to_torch(scores)).numpy()):
        assert np.all(half(ops.softmax) == 1)
        assert np.all(half(ops.masked_softmax) == 1)
        assert np.all(half(ops.log_softmax) == 0)


def test_an_empty_batch_gives_an_empty_answer():
    scores = np.zeros((0, 3, 5))
    target = np.zeros((0, 3), dtype=int)
    for function in BY_ROW:
        assert function(scores).shape == (0, 3, 5)
        assert twin_of(function)(*to_torch(scores)).shape == (0, 3, 5)
    for function in ACTIVATIONS:
        assert function(scores).shape == (0, 3, 5)
        backward = getattr(ops, f"{function.__name__}_backward")
        assert backward(scores, scores).shape == (0, 3, 5)
    assert ops.masked_softmax(scores, np.ones((3, 5), bool)).shape == (0, 3, 5)
    assert ops.cross_entropy(scores, target) == 0
    assert ops.cross_entropy_backward(scores, target).shape == (0, 3, 5)
    assert twin_of(ops.cross_entropy)(*to_torch(scores, target)).item() == 0


def test_the_layout_in_memory_does_not_matter():
    scores = rng.standard_normal((7, 5, 3)).T  # (3, 5, 7), strides reversed
    assert not scores.flags.c_contiguous
    for function in BY_ROW:
        expected = function(np.ascontiguousarray(scores))
        np.testing.assert_allclose(function(scores), expected, rtol=0, atol=1e-14)
        twin = twin_of(function)(to_torch(scores.T)[0].permute(2, 1, 0))
        np.testing.assert_allclose(twin.numpy(), expected, **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    logits, target, mask = classes(seed=7)
    kept = [logits.copy(), target.copy(), mask.copy()]
    weights = ops.masked_softmax(logits, mask[..., None])
    kept_weights = weights.copy()
    ops.softmax(logits)
    ops.log_softmax(logits)
    ops.softmax_backward(logits, weights)
    ops.log_softmax_backward(logits, weights)
    ops.cross_entropy(logits, target, mask)
    ops.cross_entropy_backward(logits, target, mask)
    x, *weights_of_norm = normed(ops.layer_norm, 7)
    kept_x = x.copy()
    ops.layer_norm_backward(x, x, *weights_of_norm)
    ops.layer_norm(x, *weights_of_norm)
    tensors = to_torch(logits, target, mask)
    for function in ACTIVATIONS:
        function(x)
        getattr(ops, f"{function.__name__}_backward")(x, x)
        twin_of(function)(tensors[0])
    np.testing.assert_array_equal(x, kept_x)
    twin_of(ops.masked_softmax)(tensors[0], tensors[2][..., None])
    twin_of(ops.cross_entropy)(*tensors, 0.1)
    assert_all_close([logits, target, mask, weights], [*kept, kept_weights], rtol=0)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_targets_may_be_integers_of_any_size(dtype):
    logits, target, _ = classes(seed=11)
    ours = ops.cross_entropy(logits, target.astype(dtype))
    theirs = twin_of(ops.cross_entropy)(*to_torch(logits, target.astype(dtype)))
    assert ours == ops.cross_entropy(logits, target)
    assert theirs.item() == pytest.approx(ours, abs=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_cross_entropy_and_its_gradient_agree_with_torchs_own(masked, smoothing):
    torch = need_torch()
    logits, target, mask = classes(seed=13)
    if not masked:
        mask = None
    else:
        target[~mask] = -100  # what torch skips by itself
    tensor, tensor_target = to_torch(logits, target, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(
        tensor.reshape(-1, 7), tensor_target.reshape(-1), label_smoothing=smoothing
    )
    ours = ops.cross_entropy(logits, target, mask, smoothing)
    assert ours == pytest.approx(theirs.item(), abs=1e-12)
    twin = twin_of(ops.cross_entropy)(*to_torch(logits, target, mask), smoothing)
    assert twin.item() == pytest.approx(theirs.item(), abs=1e-12)
    gradient = ops.cross_entropy_backward(logits, target, mask, smoothing)
    assert_all_close([gradient], autograd(theirs, [tensor], 1.0), rtol=0, atol=1e-12)


# Devices ------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_every_twin_runs_on_any_device(device):
    device_or_skip(device)
    arrays = classes(seed=17)
    logits, target, mask = to_torch(*arrays, device=device)
    calls = [
        (ops.softmax, (logits,)),
        (ops.masked_softmax, (logits, mask[..., None])),
        (ops.log_softmax, (logits,)),
        (ops.cross_entropy, (logits, target)),
        (ops.cross_entropy, (logits, target, mask)),
        *((function, (logits,)) for function in ACTIVATIONS),
        (ops.rms_norm, (logits, logits[0, 0, 0])),
        (ops.layer_norm, (logits, logits[0, 0, 0], logits[0, 0, 1])),
    ]
    for function, tensors in calls:
        theirs = twin_of(function)(*tensors)
        assert theirs.device.type == device
        assert theirs.shape in (logits.shape, ())
        if device == "cuda":
            ours = function(*[tensor.cpu().numpy() for tensor in tensors])
            np.testing.assert_allclose(theirs.cpu(), ours, **TOLERANCE["float64"])
