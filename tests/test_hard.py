"""Hard attention: what is chosen, how likely it was, and what the scores learn from it.

What holds only on average is tested with seeded samples and room: an estimate may be
five standard errors off before a test is red.
"""

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

from course_lib.in_numpy import hard
from course_lib.in_numpy.attention import attend
from course_lib.in_numpy.ops import masked_softmax

N_Q, N_K, D_V = 5, 7, 11
# (scores, value) batch axes. The last three broadcast.
BATCHES = [
    ((), ()),
    ((2,), (2,)),
    ((2, 3), (2, 3)),
    ((2, 1), (3,)),
    ((), (2, 3)),
    ((3,), (2, 1)),
]
MASK_SHAPES = [None, (), (N_K,), (N_Q, N_K), (1, N_K), (N_Q, 1)]


def inputs(seed=0, batches=((2, 3),) * 2, mask_shape=None, scale=1.0):
    """Scores, value, Gumbel noise and mask with every axis of its own length."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, scale, (*batches[0], N_Q, N_K))
    value = rng.normal(0, 1, (*batches[1], N_K, D_V))
    mask = None if mask_shape is None else np.asarray(rng.random(mask_shape) < 0.6)
    return scores, value, rng.gumbel(size=scores.shape), mask


def losses_like(scores, seed=1):
    return np.random.default_rng(seed).normal(2, 1, scores.shape)


def samples(scores, mask=None, n=40_000, seed=2):
    """Many choices (n, ...) from the same scores, and the scores as often."""
    noise = np.random.default_rng(seed).gumbel(size=(n, *scores.shape))
    many = np.broadcast_to(scores, noise.shape)
    return many, hard.choose(many + noise, mask)


def assert_mean(estimates, expected):
    """The mean of estimates (n, ...) is expected, within five standard errors."""
    error = estimates.std(axis=0) / math.sqrt(len(estimates))
    np.testing.assert_array_less(
        np.abs(estimates.mean(axis=0) - expected), 5 * error + 1e-12
    )


# By hand ------------------------------------------------------------------------------


def test_a_choice_by_hand():
    scores, value = np.array([[2.0, 1.0, 0.0]]), np.array([[8.0], [4.0], [5.0]])
    output, weights = hard.attend_hard(scores, value)
    assert (weights.tolist(), output.tolist()) == ([[1, 0, 0]], [[8]])
    noise = np.array([[-1.5, 0.0, 0.75]])  # 0.5, 1 and 0.75
    output, weights = hard.attend_hard(scores, value, noise=noise)
    assert (weights.tolist(), output.tolist()) == ([[0, 1, 0]], [[4]])
    mask = np.array([True, False, True])
    output, weights = hard.attend_hard(scores, value, mask, noise)
    assert (weights.tolist(), output.tolist()) == ([[0, 0, 1]], [[5]])
    d_scores, d_value = hard.attend_hard_backward(np.array([[3.0]]), weights, value)
    assert (d_scores.tolist(), d_value.tolist()) == ([[0, 0, 0]], [[0], [0], [3]])


def test_the_score_function_gradient_by_hand():
    scores = np.array([[math.log(3), 0.0]])  # chosen with probability 3/4 and 1/4
    first, second = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    assert hard.log_probability(scores, first)[0] == pytest.approx(math.log(0.75))
    loss_first, loss_second = np.array([2.0]), np.array([6.0])
    from_first = hard.score_function_gradient(scores, first, loss_first)
    from_second = hard.score_function_gradient(scores, second, loss_second)
    assert from_first[0] == pytest.approx([0.5, -0.5])  # 2 times (1, 0) - (3/4, 1/4)
    assert from_second[0] == pytest.approx([-4.5, 4.5])  # 6 times (0, 1) - (3/4, 1/4)
    # The expected loss is 3; its gradient 3/4 (2 - 3) is the mean of both estimates.
    losses = np.array([[2.0, 6.0]])
    assert hard.expected_loss(scores, losses)[0] == pytest.approx(3)
    exact, _ = hard.expected_loss_backward(np.ones(1), scores, losses)
    assert exact[0] == pytest.approx([-0.75, 0.75])
    assert (0.75 * from_first + 0.25 * from_second)[0] == pytest.approx(exact[0])
    # With the mean loss as baseline: -1 and 3 instead of 2 and 6.
    from_first = hard.score_function_gradient(
        scores, first, loss_first, baseline=np.array([3.0])
    )
    assert from_first[0] == pytest.approx([-0.25, 0.25])


def test_straight_through_by_hand():
    scores, noise = np.array([[math.log(3), 0.0]]), np.array([[0.0, 2.0]])
    value = np.array([[8.0], [4.0]])
    output, weights = hard.attend_straight_through(scores, value, noise)
    assert (weights.tolist(), output.tolist()) == ([[0, 1]], [[4]])
    noise[:] = 0  # then the soft weights are 3/4 and 1/4, and the hard ones 1 and 0
    d_scores, d_value = hard.attend_straight_through_backward(
        np.ones((1, 1)), scores, value, noise
    )
    assert d_scores[0] == pytest.approx([0.75, -0.75])
    assert d_value[:, 0] == pytest.approx([1, 0])


def test_baselines_by_hand():
    loss = np.array([1.0, 3.0])
    assert hard.moving_average(7.0, loss) == pytest.approx(0.9 * 7 + 0.1 * 2)
    assert hard.moving_average(7.0, loss, decay=0) == 2
    baseline = np.array([0.0, 1.0])
    assert hard.baseline_error(baseline, loss) == 2.5  # (1 + 4) / 2
    assert hard.baseline_error_backward(baseline, loss).tolist() == [-1, -2]


# The twins agree, and so do the gradients ---------------------------------------------


def everything(half, scores, value, noise, mask, losses, temperature):
    """What all the functions of a half make of the same inputs, by name."""
    sampled, weights = half["attend_hard"](scores, value, mask, noise)
    loss = (weights * losses).sum(-1)
    best, best_weights = half["attend_hard"](scores, value, mask)
    through, hard_weights = half["attend_straight_through"](
        scores, value, noise, mask, temperature
    )
    return {
        "choose": half["choose"](scores, mask),
        "best": best,
        "best weights": best_weights,
        "sampled": sampled,
        "sampled weights": weights,
        "log_probability": half["log_probability"](scores, weights, mask),
        "no baseline": half["score_function_gradient"](scores, weights, loss, mask),
        "one baseline": half["score_function_gradient"](
            scores, weights, loss, mask, half["moving_average"](1.5, loss, 0.75)
        ),
        "a baseline each": half["score_function_gradient"](
            scores, weights, loss, mask, losses[..., 0]
        ),
        "moving_average": half["moving_average"](1.5, loss, 0.75),
        "baseline_error": half["baseline_error"](losses[..., 0], loss),
        "straight through": through,
        "straight through weights": hard_weights,
        "expected_loss": half["expected_loss"](scores, losses, mask),
    }


NAMES = [
    "choose",
    "attend_hard",
    "log_probability",
    "score_function_gradient",
    "moving_average",
    "baseline_error",
    "attend_straight_through",
    "expected_loss",
]
IN_NUMPY = {name: getattr(hard, name) for name in NAMES}


def in_torch():
    return {name: twin_of(function) for name, function in IN_NUMPY.items()}


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    scale=st.floats(0.01, 30),
    temperature=st.floats(0.1, 10),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, batches, mask_shape, scale, temperature, dtype):
    *arrays, mask = inputs(seed, batches, mask_shape, scale)
    arrays = [array.astype(dtype) for array in (*arrays, losses_like(arrays[0]))]
    scores, value, noise, losses = arrays
    ours = everything(IN_NUMPY, scores, value, noise, mask, losses, temperature)
    scores, value, noise, mask, losses = to_torch(scores, value, noise, mask, losses)
    theirs = everything(in_torch(), scores, value, noise, mask, losses, temperature)
    assert {array.dtype.name for array in ours.values()} == {dtype}
    assert {str(tensor.dtype) for tensor in theirs.values()} == {f"torch.{dtype}"}
    # float32: a log-probability of -100 is good to seven digits, times a loss of up to
    # ten. The choices themselves are equal, or the outputs would differ by about one.
    tolerance = TOLERANCE[dtype] if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-4}
    for name, array in ours.items():
        assert array.shape == tuple(theirs[name].shape), name
        np.testing.assert_allclose(theirs[name], array, err_msg=name, **tolerance)


def test_float32_choices_stay_float32_whatever_the_noise():
    scores, value, noise, _ = inputs(1)
    scores, value = scores.astype("float32"), value.astype("float32")
    for half, arrays in (
        (IN_NUMPY, (scores, value, noise)),
        (in_torch(), to_torch(scores, value, noise)),
    ):
        scores, value, noise = arrays
        for attended in (
            half["attend_hard"](scores, value, noise=noise),
            half["attend_straight_through"](scores, value, noise, temperature=0.5),
        ):
            assert {str(a.dtype).removeprefix("torch.") for a in attended} == {
                "float32"
            }
    arrays = scores.numpy(), value.numpy(), noise.numpy()
    gradients = hard.attend_straight_through_backward(attended[0].numpy(), *arrays)
    assert {gradient.dtype.name for gradient in gradients} == {"float32"}


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASK_SHAPES),
    temperature=st.floats(0.2, 5),
)
def test_attention_gradients_equal_autograd(seed, batches, mask_shape, temperature):
    scores, value, noise, mask = inputs(seed, batches, mask_shape)
    output, weights = hard.attend_hard(scores, value, mask, noise)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    tensors = to_torch(scores, value, requires_grad=True)
    rest = to_torch(noise, mask)
    theirs, _ = twin_of(hard.attend_straight_through)(*tensors, *rest, temperature)
    ours = hard.attend_straight_through_backward(
        d_output, scores, value, noise, mask, temperature
    )
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)
    tensors = to_torch(scores, value, requires_grad=True)
    theirs, _ = twin_of(hard.attend_hard)(*tensors, *rest[::-1])
    theirs.backward(*to_torch(d_output))
    assert tensors[0].grad is None  # a choice is no function that autograd knows
    ours = hard.attend_hard_backward(d_output, weights, value)
    expected = [np.zeros_like(scores), tensors[1].grad.numpy()]
    assert_all_close(ours, expected, **GRADIENT_TOLERANCE)


@drawn
@given(seed=SEEDS, mask_shape=st.sampled_from(MASK_SHAPES), scale=st.floats(0.01, 5))
def test_loss_gradients_equal_autograd(seed, mask_shape, scale):
    scores, value, noise, mask = inputs(seed, mask_shape=mask_shape, scale=scale)
    _, weights = hard.attend_hard(scores, value, mask, noise)
    losses = losses_like(scores)
    d_output = np.random.default_rng(seed + 1).standard_normal(scores.shape[:-1])
    tensors = to_torch(scores, losses, requires_grad=True)
    theirs = twin_of(hard.expected_loss)(*tensors, *to_torch(mask))
    ours = hard.expected_loss_backward(d_output, scores, losses, mask)
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close(ours, gradients, **GRADIENT_TOLERANCE)
    tensors = to_torch(scores, requires_grad=True)
    theirs = twin_of(hard.log_probability)(*tensors, *to_torch(weights, mask))
    ours = hard.log_probability_backward(d_output, scores, weights, mask)
    gradients = autograd(theirs, tensors, d_output)
    assert_all_close([ours], gradients, **GRADIENT_TOLERANCE)
    baseline, loss = losses[..., 0], losses[..., 1]
    tensors = to_torch(baseline, loss, requires_grad=True)
    twin_of(hard.baseline_error)(*tensors).backward()
    ours = hard.baseline_error_backward(baseline, loss)
    assert_all_close([ours], [tensors[0].grad.numpy()], **GRADIENT_TOLERANCE)
    assert tensors[1].grad is None  # the loss is not pulled towards its baseline


@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
def test_gradients_equal_central_differences(mask_shape):
    scores, value, noise, mask = inputs(3, ((2, 1), (3,)), mask_shape)
    output, weights = hard.attend_hard(scores, value, mask, noise)
    rng = np.random.default_rng(5)
    d_output = rng.standard_normal(output.shape)
    ours = hard.attend_hard_backward(d_output, weights, value)

    def forward(scores, value):
        return hard.attend_hard(scores, value, mask, noise)[0]

    expected = central_differences(forward, [scores, value], d_output)
    assert_all_close(ours, expected, **GRADIENT_TOLERANCE)
    losses, d_loss = losses_like(scores), rng.standard_normal(scores.shape[:-1])
    ours = hard.expected_loss_backward(d_loss, scores, losses, mask)

    def mean_loss(scores, losses):
        return hard.expected_loss(scores, losses, mask)

    expected = central_differences(mean_loss, [scores, losses], d_loss)
    assert_all_close(ours, expected, **GRADIENT_TOLERANCE)
    ours = hard.log_probability_backward(d_loss, scores, weights, mask)

    def log_probability(scores):
        return hard.log_probability(scores, weights, mask)

    expected = central_differences(log_probability, [scores], d_loss)
    assert_all_close([ours], expected, **GRADIENT_TOLERANCE)
    ours = hard.baseline_error_backward(losses[..., 0], losses[..., 1])

    def error(baseline):
        return hard.baseline_error(baseline, losses[..., 1])

    expected = central_differences(error, [losses[..., 0].copy()], np.ones(()))
    assert_all_close([ours], expected, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
def test_straight_through_is_hard_forwards_and_soft_backwards(mask_shape, temperature):
    scores, value, noise, mask = inputs(6, mask_shape=mask_shape)
    output, weights = hard.attend_straight_through(
        scores, value, noise, mask, temperature
    )
    expected = hard.attend_hard(scores, value, mask, noise)
    assert_all_close((output, weights), expected, rtol=0)
    d_output = np.random.default_rng(7).standard_normal(output.shape)
    d_scores, _ = hard.attend_straight_through_backward(
        d_output, scores, value, noise, mask, temperature
    )

    def soft(scores):
        return attend((scores + noise) / temperature, value, mask)[0]

    expected = central_differences(soft, [scores], d_output)
    assert_all_close([d_scores], expected, **GRADIENT_TOLERANCE)
    theirs = twin_of(hard.attend_straight_through)(
        *to_torch(scores, value, noise, mask), temperature
    )
    np.testing.assert_array_equal(theirs[1].numpy(), weights)  # no 0.9999999


# What is chosen -----------------------------------------------------------------------


@drawn
@given(seed=SEEDS, mask_shape=st.sampled_from(MASK_SHAPES), scale=st.floats(0.01, 50))
def test_each_row_chooses_one_allowed_position_or_none(seed, mask_shape, scale):
    scores, value, noise, mask = inputs(seed, mask_shape=mask_shape, scale=scale)
    allowed = np.broadcast_to(True if mask is None else mask, scores.shape)
    for chance in (None, noise):
        output, weights = hard.attend_hard(scores, value, mask, chance)
        assert np.isin(weights, (0, 1)).all()
        np.testing.assert_array_equal(weights.sum(axis=-1), allowed.any(axis=-1))
        assert not weights[~allowed].any()
        chosen = np.take_along_axis(
            value, weights.argmax(axis=-1)[..., None], axis=-2
        ) * weights.any(axis=-1, keepdims=True)
        np.testing.assert_allclose(output, chosen, rtol=0, atol=1e-14)
        _, soft = attend(scores if chance is None else scores + chance, value, mask)
        np.testing.assert_array_equal(  # the best is where the soft weight is largest
            (weights * soft).sum(axis=-1), soft.max(axis=-1)
        )


def test_of_equal_scores_the_first_allowed_one_is_chosen():
    scores, mask = np.zeros((3, 7)), np.ones((3, 7), bool)
    mask[1, :2] = False
    mask[2] = False
    weights = hard.choose(scores, mask)
    assert weights.argmax(axis=-1).tolist() == [0, 2, 0]
    assert weights.sum(axis=-1).tolist() == [1, 1, 0]
    theirs = twin_of(hard.choose)(*to_torch(scores, mask))
    np.testing.assert_array_equal(theirs.numpy(), weights)


@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
def test_noise_draws_from_the_softmax(mask_shape):
    scores, _, _, mask = inputs(8, ((), ()), mask_shape)
    if mask is not None:
        mask[2] = False
    _, weights = samples(scores, mask)
    assert_mean(weights, masked_softmax(scores, mask))


@pytest.mark.parametrize("mask_shape", MASK_SHAPES)
def test_soft_attention_tends_to_hard_as_the_temperature_tends_to_0(mask_shape):
    scores, value, noise, mask = inputs(9, mask_shape=mask_shape)
    for chance in (0, noise):
        expected = hard.attend_hard(scores + chance, value, mask)
        colder = [
            np.abs(attend((scores + chance) / t, value, mask)[1] - expected[1]).max()
            for t in (1, 0.1, 0.01, 1e-5)
        ]
        assert colder == sorted(colder, reverse=True)
        assert colder[0] > 0.1
        assert colder[-1] < 1e-10


def test_log_probabilities_are_exact_where_the_probability_rounds_to_zero():
    scores = np.array([[1000.0, 0.0, -5.0]])
    weights = np.array([[0.0, 1.0, 0.0]])
    mask = np.array([True, True, False])
    for ours in (
        hard.log_probability(scores, weights, mask),
        twin_of(hard.log_probability)(*to_torch(scores, weights, mask)).numpy(),
    ):
        assert ours.tolist() == [-1000]


# What the estimates are on average ----------------------------------------------------


def learning_problem(mask_shape=None):
    """Scores of two queries, the loss of each choice, and a mask."""
    rng = np.random.default_rng(10)
    scores = rng.standard_normal((3, 5))
    losses = rng.normal(2, 0.5, scores.shape)
    mask = None if mask_shape is None else rng.random(mask_shape) < 0.7
    return scores, losses, mask


def estimates(scores, losses, mask, baseline=0.0):
    """Many score-function gradients (n, ...); each from one choice."""
    many, weights = samples(scores, mask)
    loss = (weights * losses).sum(axis=-1)  # (n, n_q)
    if np.ndim(baseline):
        baseline = np.broadcast_to(baseline, loss.shape)
    return hard.score_function_gradient(many, weights, loss, mask, baseline)


BASELINES = {
    "none": lambda expected: 0.0,
    "a bad one": lambda expected: 7.0,
    "one for all": lambda expected: expected.mean(),
    "one for each": lambda expected: expected,
}


@pytest.mark.parametrize("mask_shape", [None, (3, 5)])
@pytest.mark.parametrize("name", BASELINES)
def test_the_mean_estimate_is_the_exact_gradient_whatever_the_baseline(
    name, mask_shape
):
    scores, losses, mask = learning_problem(mask_shape)
    expected = hard.expected_loss(scores, losses, mask)
    exact, _ = hard.expected_loss_backward(np.ones(3), scores, losses, mask)
    assert np.abs(exact).max() > 0.1
    assert_mean(estimates(scores, losses, mask, BASELINES[name](expected)), exact)


def test_a_good_baseline_shrinks_the_variance_and_a_bad_one_does_not():
    scores, losses, _ = learning_problem()
    expected = hard.expected_loss(scores, losses)
    variance = {
        name: estimates(scores, losses, None, baseline(expected)).var(axis=0).sum()
        for name, baseline in BASELINES.items()
    }
    # Seen: 10.4, 58.6, 0.85, 0.82. The losses are 2 give or take 0.5.
    assert variance["one for all"] < variance["none"] / 5
    assert variance["one for each"] < variance["one for all"]
    assert variance["a bad one"] > 2 * variance["none"]


def test_the_moving_average_becomes_a_good_baseline():
    rng = np.random.default_rng(11)
    average = 0.0
    for _ in range(200):
        average = hard.moving_average(average, rng.normal(2, 0.5, 64))
    assert average == pytest.approx(2, abs=0.1)


def test_descending_the_error_of_a_baseline_gives_each_example_its_own_mean_loss():
    rng = np.random.default_rng(12)
    means, baseline = np.array([1.0, 2.0, 5.0]), np.zeros(3)
    for _ in range(2000):
        loss = means + rng.normal(0, 0.1, 3)
        baseline -= 0.05 * hard.baseline_error_backward(baseline, loss)
    np.testing.assert_allclose(baseline, means, atol=0.1)


def test_straight_through_is_biased():
    # The loss is squared, so how it changes at the hard choice is not how it changes
    # on average. The score function gets that right.
    scores, value = np.array([[0.5, 0.0, -0.5]]), np.array([[2.0], [0.0], [-1.0]])
    exact, _ = hard.expected_loss_backward(np.ones(1), scores, value.T**2)
    noise = np.random.default_rng(13).gumbel(size=(40_000, 1, 3))
    many = np.broadcast_to(scores, noise.shape)
    output, _ = hard.attend_straight_through(many, value, noise)
    through, _ = hard.attend_straight_through_backward(2 * output, many, value, noise)
    error = through.std(axis=0) / math.sqrt(len(through))
    assert np.any(np.abs(through.mean(axis=0) - exact) > 50 * error)
    assert_mean(estimates(scores, value.T**2, None), exact)


@pytest.mark.parametrize("mask_shape", [None, (3, 5)])
def test_enumeration_is_the_expectation_written_out(mask_shape):
    scores, losses, mask = learning_problem(mask_shape)
    expected = np.zeros(3)
    for position in range(5):
        weights = np.zeros_like(scores)
        weights[:, position] = 1
        allowed = np.broadcast_to(True if mask is None else mask, scores.shape)
        log_p = hard.log_probability(scores, weights, mask)
        expected += np.where(
            allowed[:, position], np.exp(log_p) * losses[:, position], 0
        )
    np.testing.assert_allclose(
        hard.expected_loss(scores, losses, mask), expected, rtol=0, atol=1e-12
    )


# Rules --------------------------------------------------------------------------------


def all_gradients(scores, value, noise, mask, losses):
    """Every gradient that NumPy's half has for these inputs."""
    output, weights = hard.attend_hard(scores, value, mask, noise)
    ones = np.ones(scores.shape[:-1])
    loss = (weights * losses).sum(axis=-1)
    return [
        *hard.attend_hard_backward(np.ones_like(output), weights, value),
        *hard.attend_straight_through_backward(
            np.ones_like(output), scores, value, noise, mask
        ),
        hard.log_probability_backward(ones, scores, weights, mask),
        hard.score_function_gradient(scores, weights, loss, mask, baseline=1.0),
        *hard.expected_loss_backward(ones, scores, losses, mask),
    ]


def test_a_query_that_may_choose_nothing_gets_zeros_and_gives_no_gradient():
    scores, value, noise, _ = inputs(14)
    losses = losses_like(scores)
    mask = np.zeros((N_Q, N_K), bool)
    ours = everything(IN_NUMPY, scores, value, noise, mask, losses, 0.5)
    tensors = to_torch(scores, value, requires_grad=True)
    theirs = everything(
        in_torch(), *tensors, *to_torch(noise, mask, losses), temperature=0.5
    )
    counted = set(ours) - {"moving_average", "baseline_error"}
    for name in counted:
        assert not ours[name].any(), name
        assert not theirs[name].detach().numpy().any(), name
    for gradient in all_gradients(scores, value, noise, mask, losses):
        assert not gradient.any()
    with need_torch().autograd.set_detect_anomaly(True):  # no nan on the way either
        sum(theirs[name].sum() for name in counted).backward()
    assert not any(tensor.grad.any() for tensor in tensors)


@pytest.mark.parametrize("huge", [1e100, -1e100])
def test_a_masked_position_has_no_influence_not_by_one_bit(huge):
    scores, value, noise, _ = inputs(15)
    losses = losses_like(scores)
    hidden = [1, 4]
    mask = np.ones(N_K, bool)
    mask[hidden] = False
    plain = scores, value, noise, mask, losses
    changed = [array.copy() for array in plain]
    changed[0][..., hidden] = huge
    changed[1][..., hidden, :] = -huge
    changed[2][..., hidden] = abs(huge)
    changed[4][..., hidden] = huge
    for half, convert in ((IN_NUMPY, list), (in_torch(), lambda a: to_torch(*a))):
        one, other = (
            everything(half, *convert(arrays), temperature=0.5)
            for arrays in (plain, changed)
        )
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)
    gradients = all_gradients(*plain), all_gradients(*changed)
    for one, other in zip(*gradients, strict=True):
        np.testing.assert_array_equal(one, other)


def test_adding_1000_to_every_score_changes_nothing():
    scores, value, noise, mask = inputs(16, mask_shape=(N_Q, N_K))
    losses = losses_like(scores)
    plain = everything(IN_NUMPY, scores, value, noise, mask, losses, 0.5)
    moved = everything(IN_NUMPY, scores + 1000, value, noise, mask, losses, 0.5)
    assert_all_close(moved.values(), plain.values(), rtol=0, atol=1e-10)
    # Gradients add up to zero over a row: moving all scores alike must change nothing.
    for d_scores in all_gradients(scores, value, noise, mask, losses):
        if d_scores.shape == scores.shape and not (d_scores >= 0).all():
            np.testing.assert_allclose(d_scores.sum(axis=-1), 0, atol=1e-12)


def test_the_order_of_the_positions_does_not_matter():
    scores, value, noise, mask = inputs(17, mask_shape=(N_Q, N_K))
    order = np.random.default_rng(17).permutation(N_K)
    output, weights = hard.attend_hard(scores, value, mask, noise)
    moved, moved_weights = hard.attend_hard(
        scores[..., order], value[..., order, :], mask[:, order], noise[..., order]
    )
    np.testing.assert_array_equal(moved, output)
    np.testing.assert_array_equal(moved_weights, weights[..., order])


def test_a_single_position_is_always_chosen_and_teaches_nothing():
    scores, value, noise, _ = inputs(18)
    scores, value, noise = scores[..., :1], value[..., :1, :], noise[..., :1]
    output, weights = hard.attend_hard(scores, value, noise=noise)
    assert np.all(weights == 1)
    np.testing.assert_array_equal(output, np.broadcast_to(value, output.shape))
    assert not hard.log_probability(scores, weights).any()
    loss = losses_like(scores)[..., 0]
    assert not hard.score_function_gradient(scores, weights, loss).any()


@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_gives_an_empty_answer(batch):
    scores, value, noise, mask = inputs(19, (batch, batch), (N_Q, N_K))
    losses = losses_like(scores)
    ours = everything(IN_NUMPY, scores, value, noise, mask, losses, 0.5)
    theirs = everything(
        in_torch(), *to_torch(scores, value, noise, mask, losses), temperature=0.5
    )
    for name, array in ours.items():
        if name not in ("moving_average", "baseline_error"):
            assert array.size == 0, name
            assert tuple(theirs[name].shape) == array.shape, name
    for half in (ours, theirs):
        assert half["moving_average"] == 1.5  # no loss, no change
        assert half["baseline_error"] == 0
    assert sum(g.size for g in all_gradients(scores, value, noise, mask, losses)) == 0


def test_inputs_are_never_changed():
    arrays = (
        *inputs(20, mask_shape=(N_Q, N_K)),
        losses_like(np.zeros((2, 3, N_Q, N_K))),
    )
    kept = [array.copy() for array in arrays]
    everything(IN_NUMPY, *arrays, temperature=0.5)
    all_gradients(*arrays)
    assert_all_close(arrays, kept, rtol=0)
    tensors = to_torch(*arrays)
    everything(in_torch(), *tensors, temperature=0.5)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K)])
def test_every_twin_runs_on_any_device(device, mask_shape):
    device_or_skip(device)
    arrays = *inputs(21, mask_shape=mask_shape), losses_like(inputs()[0])
    ours = everything(IN_NUMPY, *arrays, temperature=0.5)
    theirs = everything(in_torch(), *to_torch(*arrays, device=device), temperature=0.5)
    for name, tensor in theirs.items():
        assert tensor.device.type == device
        assert tuple(tensor.shape) == ours[name].shape
        if device == "cuda":
            np.testing.assert_allclose(tensor.cpu(), ours[name], **TOLERANCE["float64"])


def test_every_twin_traces_in_one_piece():
    torch = need_torch()
    tensors = to_torch(*inputs(22, mask_shape=(N_Q, N_K)), losses_like(inputs()[0]))
    half = in_torch()

    def traced(*tensors):
        return everything(half, *tensors, temperature=0.5)

    compiled = torch.compile(traced, backend="eager", fullgraph=True)
    expected, ours = traced(*tensors), compiled(*tensors)
    assert_all_close(ours.values(), expected.values(), rtol=0)


# Bad input ----------------------------------------------------------------------------

SCORES, VALUE = np.zeros((3, 5)), np.zeros((5, 7))
LOSS, MASK = np.zeros(3), np.ones((3, 5), bool)

REFUSED = {
    "a score alone": (
        hard.choose,
        (np.array(2.0),),
        "scores must have at least 1 axis, but its shape is ()",
    ),
    "a mask of numbers": (
        hard.choose,
        (SCORES, SCORES),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "fewer values than scores": (
        hard.attend_hard,
        (SCORES, VALUE[:2]),
        "scores has 5 positions but value has 2",
    ),
    "noise for one query only": (
        hard.attend_hard,
        (SCORES, VALUE, None, SCORES[:1]),
        "noise has shape (1, 5) but scores have (3, 5): expected (3, 5)",
    ),
    "no noise to go straight through": (
        hard.attend_straight_through,
        (SCORES, VALUE, None),
        "noise must be an array, but it is a NoneType: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "no temperature": (
        hard.attend_straight_through,
        (SCORES, VALUE, SCORES, None, 0),
        "temperature must be a positive number, got 0",
    ),
    "weights of other scores": (
        hard.log_probability,
        (SCORES, SCORES.T),
        "weights has shape (5, 3) but scores have (3, 5): expected (3, 5)",
    ),
    "a mask transposed": (
        hard.log_probability,
        (SCORES, SCORES, MASK.T),
        "mask has shape (5, 3), which does not broadcast to the scores' shape (3, 5)",
    ),
    "a loss for each position": (
        hard.score_function_gradient,
        (SCORES, SCORES, SCORES),
        "loss has shape (3, 5) but scores have (3, 5): expected (3,)",
    ),
    "a baseline for each position": (
        hard.score_function_gradient,
        (SCORES, SCORES, LOSS, None, SCORES),
        "baseline has shape (3, 5) but loss has (3,): expected one number, or one for "
        "each loss",
    ),
    "a baseline in a list": (
        hard.score_function_gradient,
        (SCORES, SCORES, LOSS, None, [0.0, 0.0, 0.0]),
        "baseline must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "an average for each example": (
        hard.moving_average,
        (LOSS, LOSS),
        "average must be one number, but its shape is (3,)",
    ),
    "an average in words": (
        hard.moving_average,
        ("low", LOSS),
        "average must be an array, but it is a str: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "one baseline for all to learn": (
        hard.baseline_error,
        (LOSS[:1], LOSS),
        "baseline has shape (1,) but loss has (3,): expected (3,)",
    ),
    "a loss for each query": (
        hard.expected_loss,
        (SCORES, LOSS),
        "losses has shape (3,) but scores have (3, 5): expected (3, 5)",
    ),
} | {
    f"decay {decay!r}": (
        hard.moving_average,
        (0.0, LOSS, decay),
        f"decay must be a number from 0 up and below 1, got {decay!r}",
    )
    for decay in (1, -0.1, float("nan"), "slow", None)
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, *REFUSED[case])


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        (hard.attend_hard, (SCORES, VALUE, None, "T"), "scores is a {} but noise"),
        (hard.log_probability, (SCORES, "T"), "scores is a {} but weights"),
        (hard.score_function_gradient, (SCORES, SCORES, "t"),
         "scores is a {} but loss"),
        (hard.score_function_gradient, (SCORES, SCORES, LOSS, None, "t"),
         "loss is a {} but baseline"),
        (hard.baseline_error, (LOSS, "t"), "baseline is a {} but loss"),
        (hard.expected_loss, (SCORES, "T"), "scores is a {} but losses"),
    ],
)  # fmt: skip
def test_arrays_and_tensors_in_one_call_are_refused(function, arguments, sentence):
    tensor = {"T": to_torch(SCORES)[0], "t": to_torch(LOSS)[0]}
    arguments = [
        tensor[argument] if isinstance(argument, str) else argument
        for argument in arguments
    ]
    with pytest.raises(TypeError, match=f"^{sentence.format('NumPy array')} is a Py"):
        function(*arguments)
