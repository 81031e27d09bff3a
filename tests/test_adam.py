"""Adam: by hand, against torch.optim.Adam, and over trees of parameters."""

import itertools

import numpy as np
import pytest
from models import assert_same_trees, leaves, map_tree, tree_to_numpy, tree_to_torch
from twins import device_or_skip, need_torch, to_torch, twin_of

from course_lib.in_numpy.adam import adam_moments, adam_step


def draw(seed=0):
    """A tree of every kind of branch, and a gradient for each of five steps."""
    rng = np.random.default_rng(seed)
    shapes = {"table": (2, 3), "layers": [{"W": (5, 7)}, {"b": (11,)}], "two": ((), 13)}
    parameters = {
        "table": rng.standard_normal(shapes["table"]),
        "layers": [{"W": rng.standard_normal((5, 7))}, {"b": rng.standard_normal(11)}],
        "two": (np.array(0.5), rng.standard_normal(13)),
    }
    gradients = [
        map_tree(lambda a: rng.standard_normal(a.shape), parameters) for _ in range(5)
    ]
    return parameters, gradients


def test_the_first_two_steps_by_hand():
    # Step 1: both means, unbiased, are the gradient 2 and its square 4: 0.1 * 2 / 2.
    parameter, gradient = np.array([1.0]), np.array([2.0])
    moments = adam_moments(parameter), adam_moments(parameter)
    options = {"learning_rate": 0.1, "betas": (0.5, 0.75), "eps": 1e-20}
    parameter, first, second = adam_step(parameter, gradient, *moments, 1, **options)
    assert (parameter[0], first[0], second[0]) == pytest.approx((0.9, 1, 1))
    # Step 2, gradient 0: 0.5 / 0.75 over sqrt(0.75 / 0.4375).
    parameter, first, second = adam_step(
        parameter, 0 * gradient, first, second, 2, **options
    )
    assert (first[0], second[0]) == pytest.approx((0.5, 0.75))
    change = 0.1 * (0.5 / 0.75) / (0.75 / 0.4375) ** 0.5
    assert parameter[0] == pytest.approx(0.9 - change, abs=1e-15)


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize(
    "options",
    [{}, {"learning_rate": 0.1, "betas": (0.8, 0.98), "eps": 1e-3}],
)
def test_five_steps_equal_torchs_adam(options, half):
    torch = need_torch()
    parameters, gradients = draw()
    theirs = tree_to_torch(parameters, requires_grad=True)
    named = {"lr" if n == "learning_rate" else n: v for n, v in options.items()}
    adam = torch.optim.Adam([leaf for _, leaf in leaves(theirs)], **named)
    step, moments = adam_step, adam_moments
    if half == "torch":
        step, moments = twin_of(adam_step), twin_of(adam_moments)
        parameters = tree_to_torch(parameters)
    first = second = moments(parameters)
    for i, gradient in enumerate(gradients, start=1):
        for (_, leaf), (_, array) in zip(leaves(theirs), leaves(gradient), strict=True):
            (leaf.grad,) = to_torch(array)
        adam.step()
        if half == "torch":
            gradient = tree_to_torch(gradient)
        parameters, first, second = step(
            parameters, gradient, first, second, i, **options
        )
        assert_same_trees(parameters, theirs, rtol=0, atol=1e-12)


def test_twins_agree_and_keep_every_kind_of_branch_and_dtype():
    parameters, gradients = draw(1)
    parameters = map_tree(lambda a: np.float32(a), parameters)
    gradient = map_tree(lambda a: np.float32(a), gradients[0])
    moments = adam_moments(parameters)
    ours = adam_step(parameters, gradient, moments, moments, 1)
    tensors = [tree_to_torch(tree) for tree in (parameters, gradient, moments)]
    theirs = twin_of(adam_step)(*tensors, tensors[2], 1)
    for one, other in zip(ours, theirs, strict=True):
        assert type(one) is type(other) is dict
        assert [type(one[n]) for n in ("layers", "two")] == [list, tuple]
        assert {leaf.dtype.name for _, leaf in leaves(one)} == {"float32"}
        assert_same_trees(other, one, rtol=0, atol=1e-6)


def test_the_size_of_a_gradient_hardly_matters_only_its_sign():
    parameters, gradients = draw(2)
    moments = adam_moments(parameters)
    scales = (1.0, 1000.0)
    one, other = (
        adam_step(
            parameters,
            map_tree(lambda a, scale=scale: a * scale, gradients[0]),
            moments,
            moments,
            1,
        )[0]
        for scale in scales
    )
    assert_same_trees(one, other, rtol=0, atol=1e-7)
    steps = [
        (after - before) / np.sign(-gradient)
        for (_, before), (_, after), (_, gradient) in zip(
            leaves(parameters), leaves(other), leaves(gradients[0]), strict=True
        )
    ]
    for step in steps:
        np.testing.assert_allclose(step, 0.001, rtol=1e-5)


def test_a_parameter_without_gradient_stays_by_the_bit():
    parameters, _ = draw(3)
    zeros = adam_moments(parameters)
    after, first, second = adam_step(parameters, zeros, zeros, zeros, 1)
    for one, other in [(after, parameters), (first, zeros), (second, zeros)]:
        assert_same_trees(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("empty", [{}, [], (), {"layers": []}])
def test_empty_branches_stay_empty(empty):
    for moments, step in (
        (adam_moments, adam_step),
        (twin_of(adam_moments), twin_of(adam_step)),
    ):
        assert moments(empty) == empty
        assert step(empty, empty, empty, empty, 1) == (empty, empty, empty)


def test_inputs_are_never_changed():
    parameters, gradients = draw(4)
    trees = [parameters, gradients[0], gradients[1], map_tree(np.abs, gradients[2])]
    kept = map_tree(np.copy, trees)
    adam_step(*trees, 3)
    assert_same_trees(trees, kept, rtol=0, atol=0)
    tensors = tree_to_torch(trees)
    after, _, _ = twin_of(adam_step)(*tensors, 3)
    assert_same_trees(tensors, kept, rtol=0, atol=0)
    assert_same_trees(after, tree_to_numpy(after), rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twin_runs_on_any_device(device):
    device_or_skip(device)
    parameters, gradients = (
        tree_to_torch(tree, device=device) for tree in (draw()[0], draw()[1][0])
    )
    moments = twin_of(adam_moments)(parameters)
    results = twin_of(adam_step)(parameters, gradients, moments, moments, 1)
    found = {t.device.type for _, t in itertools.chain(*map(leaves, results))}
    assert found == {device}


NESTED, ONE = {"W": np.zeros((3, 2)), "b": np.zeros(3)}, np.zeros(3)
REFUSED = {
    "a part that is missing": (
        (NESTED, {"W": NESTED["W"]}, NESTED, NESTED, 1),
        "gradients must branch as parameters does: expected a dict of W, b, got a dict "
        "of W",
    ),
    "another kind of branch": (
        (NESTED, NESTED, [ONE], NESTED, 1),
        "first must branch as parameters does: expected a dict of W, b, got a list of "
        "1",
    ),
    "a list that is too short": (
        ([ONE, ONE], [ONE, ONE], [ONE, ONE], [ONE], 1),
        "second must branch as parameters does: expected a list of 2, got a list of 1",
    ),
    "an array for a branch": (
        (NESTED, ONE, NESTED, NESTED, 1),
        "gradients must branch as parameters does: expected a dict of W, b, got "
        "{a tensor}",
    ),
    "an array of another shape": (
        (NESTED, NESTED | {"b": np.zeros(2)}, NESTED, NESTED, 1),
        "an array of gradients has shape (2,) but its parameter has (3,): expected "
        "(3,)",
    ),
    "a parameter that is a number": (
        (1.5, ONE, ONE, ONE, 1),
        "parameters must be an array, but it is a float: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "step 0": (
        (ONE, ONE, ONE, ONE, 0),
        "step must be a whole number from 1 up, got 0",
    ),
    "a rate below 0": (
        (ONE, ONE, ONE, ONE, 1, -0.1),
        "learning_rate must be a number from 0 up, got -0.1",
    ),
    "a beta of 1": (
        (ONE, ONE, ONE, ONE, 1, 0.1, (0.9, 1.0)),
        "betas must be two numbers from 0 to below 1, got (0.9, 1.0)",
    ),
    "one beta": (
        (ONE, ONE, ONE, ONE, 1, 0.1, (0.9,)),
        "betas must be two numbers from 0 to below 1, got (0.9,)",
    ),
    "eps 0": (
        (ONE, ONE, ONE, ONE, 1, 0.1, (0.9, 0.99), 0),
        "eps must be a positive number, got 0",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    arguments, sentence = REFUSED[case]
    function, kind = adam_step, "a ndarray"
    if half == "torch":
        function, kind = twin_of(adam_step), "a Tensor"
        trees = arguments[:4] if case != "a parameter that is a number" else []
        arguments = [*map(tree_to_torch, trees), *arguments[len(trees) :]]
    with pytest.raises((TypeError, ValueError)) as error:
        function(*arguments)
    assert str(error.value) == sentence.replace("{a tensor}", kind)
