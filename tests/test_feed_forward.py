"""The feed-forward network: twins, gradients, and that it sees one word at a time."""

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

from course_lib.in_numpy.feed_forward import feed_forward, feed_forward_backward

D_MODEL, D_FF, N = 5, 11, 7
ACTIVATIONS = ["relu", "gelu", "swiglu"]
BATCHES = [(), (2, N), (0, N)]


def inputs(seed=0, activation="relu", bias=True, batch=(2, N), scale=1.0):
    """Words, and parameters; with `bias` each weight has one."""
    rng = np.random.default_rng(seed)
    rows = {"1": (D_FF, D_MODEL), "2": (D_MODEL, D_FF)}
    if activation == "swiglu":
        rows["gate"] = (D_FF, D_MODEL)
    shapes = {f"W_{name}": shape for name, shape in rows.items()}
    if bias:
        shapes |= {f"b_{name}": shape[:1] for name, shape in rows.items()}
    parameters = {name: rng.normal(0, 0.5, shape) for name, shape in shapes.items()}
    return rng.normal(0, scale, (*batch, D_MODEL)), parameters


def torch_tree(parameters, **options):
    """Parameters as tensors."""
    return dict(zip(parameters, to_torch(*parameters.values(), **options), strict=True))


# By hand ------------------------------------------------------------------------------


def test_by_hand():
    # W_1 x + b_1 = (2 - 1, 2 * 2 - 5) = (1, -1); W_2 weighs what is left, b_2 adds 7.
    x = np.array([2.0])
    parameters = {
        "W_1": np.array([[1.0], [2.0]]),
        "b_1": np.array([-1.0, -5.0]),
        "W_2": np.array([[10.0, 100.0]]),
        "b_2": np.array([7.0]),
    }
    assert feed_forward(x, parameters)[0] == 17  # relu is what is meant without a name
    d_x, d_parameters = feed_forward_backward(np.ones(1), x, parameters)
    assert d_x[0] == 10
    by_hand = {"W_1": [[20], [0]], "b_1": [10, 0], "W_2": [[1, 0]], "b_2": [1]}
    assert {name: d.tolist() for name, d in d_parameters.items()} == by_hand
    # gelu(1) = Phi(1) = .8413, gelu(-1) = -Phi(-1) = -.1587
    below = 0.5 * (1 + math.erf(math.sqrt(0.5)))
    by_hand = 10 * below - 100 * (1 - below) + 7
    assert feed_forward(x, parameters, "gelu")[0] == pytest.approx(by_hand, abs=1e-13)
    # the gate is 0 and ln 3: silu gives 0 and ln 3 * 3/4
    parameters["W_gate"] = np.array([[0.0], [math.log(3) / 2]])
    by_hand = 100 * math.log(3) * 0.75 * -1 + 7
    assert feed_forward(x, parameters, "swiglu")[0] == pytest.approx(by_hand)


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(
    seed=SEEDS,
    bias=st.booleans(),
    batch=st.sampled_from(BATCHES),
    scale=st.floats(0.01, 5),
)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, bias, batch, scale, activation, dtype):
    x, parameters = inputs(seed, activation, bias, batch, scale)
    x = x.astype(dtype)
    parameters = {name: array.astype(dtype) for name, array in parameters.items()}
    ours = feed_forward(x, parameters, activation)
    tensor = to_torch(x)[0]
    theirs = twin_of(feed_forward)(tensor, torch_tree(parameters), activation).numpy()
    assert ours.dtype.name == theirs.dtype.name == dtype
    assert ours.shape == x.shape
    # SwiGLU multiplies: outputs up to about 200 here, so 1e-5 of the largest
    tolerance = TOLERANCE[dtype]
    if dtype == "float32":
        tolerance = {"rtol": 0, "atol": 1e-5 * max(1, abs(ours).max(initial=0))}
    assert_all_close([theirs], [ours], **tolerance)


@drawn
@given(seed=SEEDS, bias=st.booleans(), batch=st.sampled_from(BATCHES))
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_autograd(seed, bias, batch, activation):
    x, parameters = inputs(seed, activation, bias, batch)
    d_output = np.random.default_rng(seed + 1).standard_normal(x.shape)
    d_x, d_parameters = feed_forward_backward(d_output, x, parameters, activation)
    assert list(d_parameters) == list(parameters)
    tensor = to_torch(x, requires_grad=True)
    tree = torch_tree(parameters, requires_grad=True)
    output = twin_of(feed_forward)(*tensor, tree, activation)
    theirs = autograd(output, [*tensor, *tree.values()], d_output)
    assert_all_close([d_x, *d_parameters.values()], theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_central_differences(activation, bias):
    x, parameters = inputs(2, activation, bias)
    d_output = np.random.default_rng(3).standard_normal(x.shape)
    d_x, d_parameters = feed_forward_backward(d_output, x, parameters, activation)

    def forward(x, *weights):
        tree = dict(zip(parameters, weights, strict=True))
        return feed_forward(x, tree, activation)

    arrays = [x, *parameters.values()]
    differences = central_differences(forward, arrays, d_output)
    assert_all_close([d_x, *d_parameters.values()], differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_agrees_with_torchs_own_layers(activation):
    torch = need_torch()
    x, parameters = inputs(4, activation)
    layers = torch.nn.Sequential(
        torch.nn.Linear(D_MODEL, D_FF),
        {"relu": torch.nn.ReLU(), "gelu": torch.nn.GELU()}[activation],
        torch.nn.Linear(D_FF, D_MODEL),
    ).double()
    tree = torch_tree(parameters)
    names = {"0.weight": "W_1", "0.bias": "b_1", "2.weight": "W_2", "2.bias": "b_2"}
    layers.load_state_dict({theirs: tree[ours] for theirs, ours in names.items()})
    theirs = layers(to_torch(x)[0]).detach().numpy()
    ours = feed_forward(x, parameters, activation)
    np.testing.assert_allclose(theirs, ours, **TOLERANCE["float64"])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_the_module_is_the_function_with_its_own_parameters(activation, bias):
    torch = need_torch()
    from course_lib.in_torch.feed_forward import FeedForward
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    module = FeedForward(D_MODEL, D_FF, activation, bias).double()
    tree = numpy_tree(parameter_tree(module))
    x, expected = inputs(5, activation, bias)
    shapes = {name: array.shape for name, array in expected.items()}
    assert {name: array.shape for name, array in tree.items()} == shapes
    theirs = module(to_torch(x)[0]).detach().numpy()
    ours = feed_forward(x, tree, activation)
    np.testing.assert_allclose(theirs, ours, **TOLERANCE["float64"])
    torch.compiler.reset()
    traced = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(traced(to_torch(x)[0]), module(to_torch(x)[0]))


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_word_is_seen_by_itself(activation):
    x, parameters = inputs(6, activation)
    output = feed_forward(x, parameters, activation)
    other = x.copy()
    other[:, 3] += 100
    changed = feed_forward(other, parameters, activation)
    rest = np.arange(N) != 3
    np.testing.assert_array_equal(changed[:, rest], output[:, rest])
    alone = feed_forward(x[1, 3], parameters, activation)
    assert_all_close([alone], [output[1, 3]], rtol=0, atol=1e-13)


def test_swiglu_with_a_constant_gate_is_linear():
    x, parameters = inputs(7, "swiglu")
    parameters["W_gate"] = np.zeros((D_FF, D_MODEL))
    one = feed_forward(x, parameters, "swiglu")
    origin = feed_forward(0 * x, parameters, "swiglu")
    twice = feed_forward(2 * x, parameters, "swiglu")
    assert_all_close([twice - origin], [2 * (one - origin)], rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_large_inputs_stay_finite(activation):
    x, parameters = inputs(8, activation)
    for huge in (1000 * x, -1000 * x):
        assert np.isfinite(feed_forward(huge, parameters, activation)).all()
        d_x, _ = feed_forward_backward(x, huge, parameters, activation)
        assert np.isfinite(d_x).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_inputs_are_never_changed(activation):
    x, parameters = inputs(9, activation)
    arrays = [x, *parameters.values()]
    kept = [array.copy() for array in arrays]
    feed_forward_backward(
        feed_forward(x, parameters, activation), x, parameters, activation
    )
    assert_all_close(arrays, kept, rtol=0)
    tensor, tree = to_torch(x)[0], torch_tree(parameters)
    twin_of(feed_forward)(tensor, tree, activation)
    assert_all_close([tensor, *tree.values()], kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_twin_runs_on_any_device(activation, device):
    device_or_skip(device)
    x, parameters = inputs(10, activation)
    tree = torch_tree(parameters, device=device)
    theirs = twin_of(feed_forward)(*to_torch(x, device=device), tree, activation)
    assert theirs.device.type == device
    assert tuple(theirs.shape) == x.shape
    if device == "cuda":
        ours = feed_forward(x, parameters, activation)
        assert_all_close([theirs.cpu()], [ours], **TOLERANCE["float64"])


# Errors -------------------------------------------------------------------------------

X, PLAIN = inputs()
_, GATED = inputs(activation="swiglu")
SIZES = "x has 5 features and W_1 has 11 rows"
BOTH = "W_1, W_2, and if wanted b_1, b_2"
REFUSED = {
    "x in a list": (
        ([1.0], PLAIN),
        "x must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "x that is a number": (
        (np.array(2.0), PLAIN),
        "x must have at least 1 axis, but its shape is ()",
    ),
    "an unknown activation": (
        (X, PLAIN, "tanh"),
        "activation must be one of 'relu', 'gelu', 'swiglu', got 'tanh'",
    ),
    "no second weight": (
        (X, {"W_1": PLAIN["W_1"]}),
        f"parameters has no W_2: expected {BOTH}",
    ),
    "no gate": (
        (X, PLAIN, "swiglu"),
        "parameters has no W_gate: expected W_1, W_2, W_gate, and if wanted b_1, b_2, "
        "b_gate",
    ),
    "a gate that nobody reads": (
        (X, GATED, "gelu"),
        f"parameters has an unknown W_gate: expected {BOTH}",
    ),
    "W_1 that is one row": (
        (X, PLAIN | {"W_1": np.zeros(5)}),
        "W_1 must have at least 2 axes, but its shape is (5,)",
    ),
    "W_1 for another x": (
        (X, PLAIN | {"W_1": np.zeros((11, 7))}),
        f"W_1 has shape (11, 7) but {SIZES}: expected (11, 5)",
    ),
    "W_2 transposed": (
        (X, PLAIN | {"W_2": np.zeros((11, 5))}),
        f"W_2 has shape (11, 5) but {SIZES}: expected (5, 11)",
    ),
    "a bias in the wrong place": (
        (X, PLAIN | {"b_1": np.zeros(5)}),
        f"b_1 has shape (5,) but {SIZES}: expected (11,)",
    ),
    "a bias that does not fit the output": (
        (X, PLAIN | {"b_2": np.zeros(1)}),
        f"b_2 has shape (1,) but {SIZES}: expected (5,)",
    ),
    "a gate of another width": (
        (X, GATED | {"W_gate": np.zeros((7, 5))}, "swiglu"),
        f"W_gate has shape (7, 5) but {SIZES}: expected (11, 5)",
    ),
    "a gate's bias that does not fit": (
        (X, GATED | {"b_gate": np.zeros(5)}, "swiglu"),
        f"b_gate has shape (5,) but {SIZES}: expected (11,)",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    (x, parameters, *activation), sentence = REFUSED[case]
    function = feed_forward
    if half == "torch":
        function, parameters = twin_of(function), torch_tree(parameters)
        x = to_torch(x)[0] if isinstance(x, np.ndarray) else x
    with pytest.raises((TypeError, ValueError)) as error:
        function(x, parameters, *activation)
    assert str(error.value) == sentence


def test_the_backward_refuses_what_the_forward_refuses():
    with pytest.raises(ValueError, match="^parameters has no W_gate"):
        feed_forward_backward(X, X, PLAIN, "swiglu")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 5), "d_model must be a whole number from 1 up, got 0"),
        ((5, 2.5), "d_ff must be a whole number from 1 up, got 2.5"),
        (
            (5, 7, "silu"),
            "activation must be one of 'relu', 'gelu', 'swiglu', got 'silu'",
        ),
    ],
)
def test_the_module_refuses_what_it_cannot_build(arguments, sentence):
    need_torch()
    from course_lib.in_torch.feed_forward import FeedForward

    with pytest.raises(ValueError) as error:
        FeedForward(*arguments)
    assert str(error.value) == sentence
