"""What every public function of the library promises, whatever it computes.

`contract_examples.py` has one call of each; a function without an example fails here.
"""

import copy
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from contract_examples import EXAMPLES, TORCH_EXAMPLES, Draw
from twins import device_or_skip, need_torch

from course_lib import in_numpy

# What a function cannot promise, and why. Few, or the promise is none.
A_MEAN = "a mean over all examples is one number, whatever their axes"
NO_LOOP_OVER_THE_BATCH = {
    "ops.cross_entropy": A_MEAN,
    "ops.cross_entropy_backward": A_MEAN,
    "hard.moving_average": A_MEAN,
    "hard.baseline_error": A_MEAN,
    "hard.baseline_error_backward": A_MEAN,
}
NOT_OF_TENSORS = {
    "parameters.parameter_tree": "reads a module",
    "parameters.numpy_tree": "gives NumPy arrays",
}
OTHER_FLOATS = {"stack.relative_positions": "angles need more digits than bfloat16 has"}
# bfloat16 keeps 8 binary digits: 0.4 %. The longest calls round some twenty times.
BFLOAT16 = 0.1
BATCH = (2, 13)  # no other axis of an example has 13


# The functions and their examples -----------------------------------------------------


def public_functions(package):
    """ "module.function" for every public function of in_numpy or in_torch."""
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                yield f"{found.name}.{name}"


FUNCTIONS = sorted(public_functions(in_numpy))
FORWARD = [name for name in FUNCTIONS if not name.endswith("_backward")]
TWINS = [*FORWARD, *TORCH_EXAMPLES]


def function_of(name, part="in_numpy"):
    """The function called "module.function"."""
    module, name = name.split(".")
    return getattr(importlib.import_module(f"course_lib.{part}.{module}"), name)


def example(name, draw):
    """A function of `in_numpy` and the arguments of its example."""
    function, forward = function_of(name), name.removesuffix("_backward")
    result_names, drawn = EXAMPLES[forward]
    arguments = list(drawn(draw))
    if forward == name:
        return function, arguments
    bound = inspect.signature(function_of(forward)).bind(*arguments)
    bound.apply_defaults()
    results = function_of(forward)(*copy.deepcopy(arguments))
    results = results if isinstance(results, tuple) else (results,)
    known = dict(zip(result_names.split(), results, strict=True))
    known |= {f"d_{result}": gradient(known[result]) for result in known}
    known |= bound.arguments
    return function, [known[name] for name in inspect.signature(function).parameters]


def gradient(result):
    """A gradient for a result, if it is an array."""
    if not isinstance(result, np.ndarray):
        return None
    return np.random.default_rng(1).standard_normal(result.shape).astype(result.dtype)


def mapped(tree, change):
    """The same nesting of dicts, lists and tuples, with everything in it changed."""
    if isinstance(tree, dict):
        return {name: mapped(branch, change) for name, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(mapped(branch, change) for branch in tree)
    return change(tree)


def leaves(tree):
    """Every array and number in a tree, and those of a model. None has none."""
    found = []
    mapped(tree, found.append)
    models = [model for model in found if hasattr(model, "state_dict")]
    found = [
        leaf for leaf in found if not (leaf is None or hasattr(leaf, "state_dict"))
    ]
    for model in models:
        found += [*model.state_dict().values(), model.training]
    return found


def assert_equal(tree, other):
    """Two trees, bit for bit."""
    for one, another in zip(leaves(tree), leaves(other), strict=True):
        np.testing.assert_array_equal(one, another)


def test_every_public_function_has_an_example():
    assert set(EXAMPLES) == set(FORWARD)


def test_every_public_function_that_only_pytorch_has_has_an_example():
    need_torch()
    from course_lib import in_torch

    only = set(public_functions(in_torch)) - set(FORWARD) - set(NOT_OF_TENSORS)
    assert only == set(TORCH_EXAMPLES)


# NumPy --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_call_changes_no_input_and_the_next_gives_the_same(name):
    function, arguments = example(name, Draw())
    kept = copy.deepcopy(arguments)
    first = copy.deepcopy(function(*arguments))
    second = function(*arguments)
    assert_equal(arguments, kept)
    assert_equal(second, first)


def float_types(tree):
    """The names of the float types in a tree."""
    types = {np.asarray(leaf).dtype for leaf in leaves(tree)}
    return {dtype.name for dtype in types if dtype.kind == "f"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_floats_come_out_of_the_type_that_went_in(name, dtype):
    function, arguments = example(name, Draw(dtype=dtype))
    given = float_types([x for x in leaves(arguments) if isinstance(x, np.ndarray)])
    # Positions are made from whole numbers.
    assert float_types(function(*arguments)) <= (given or {"float64"})


@pytest.mark.parametrize("sizes", [{}, {"n_q": 1, "n_k": 1}], ids=["n", "length 1"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_batch_gives_what_its_items_give_one_by_one(name, sizes):
    if name in NO_LOOP_OVER_THE_BATCH:
        pytest.skip(NO_LOOP_OVER_THE_BATCH[name])
    function, arguments = example(name, Draw(BATCH, **sizes))
    results = leaves(function(*arguments))
    items = [
        leaves(function(*mapped(arguments, lambda x, at=index: item(x, at))))
        for index in np.ndindex(BATCH)
    ]
    batched = any(np.shape(x)[:2] == BATCH for x in leaves(arguments))
    for result, *parts in zip(results, *items, strict=True):
        if np.shape(result)[:2] == BATCH:
            expected = np.stack(parts).reshape(np.shape(result))
        elif name.endswith("_backward") and batched:
            expected = np.sum(parts, axis=0)  # weights learn from every item
        else:
            expected = parts[0]
        np.testing.assert_allclose(result, expected, rtol=1e-10, atol=1e-10)


def item(x, index):
    """One item of a batch; what serves the whole batch stays as it is."""
    return x[index] if np.shape(x)[:2] == BATCH else x


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_empty_batch_gives_an_empty_answer(name):
    function, arguments = example(name, Draw((13,)))
    shapes = [np.shape(result) for result in leaves(function(*arguments))]
    function, arguments = example(name, Draw((0,)))
    results = leaves(function(*arguments))
    for result, shape in zip(results, shapes, strict=True):
        assert np.shape(result) == tuple(0 if size == 13 else size for size in shape)
        assert not np.any(np.isnan(result))


# PyTorch ------------------------------------------------------------------------------


def twin_example(name, dtype="float64", device="cpu"):
    """The twin, the arguments of its example as tensors, and its options."""
    torch = need_torch()
    function = function_of(name, "in_torch")

    def tensor(x):
        if callable(x):
            torch.manual_seed(0)
            return x().to(device, getattr(torch, dtype))
        if not isinstance(x, np.ndarray):
            return x
        kind = getattr(torch, dtype) if x.dtype.kind == "f" else None
        return torch.tensor(x, dtype=kind, device=device)

    _, drawn = (EXAMPLES | TORCH_EXAMPLES)[name]
    arguments = list(drawn(Draw(n_q=2, n_k=3)))  # each step of a loop is traced
    options = {"dtype": getattr(torch, dtype), "device": device}
    known = inspect.signature(function).parameters
    options = {name: value for name, value in options.items() if name in known}
    return function, mapped(arguments, tensor), options


def arrays(tree):
    """Tensors as arrays; float64 holds every other type."""
    return [
        leaf.detach().double().numpy() if hasattr(leaf, "numpy") else leaf
        for leaf in leaves(tree)
    ]


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_changes_no_input_and_traces_as_it_runs(name):
    torch = need_torch()
    function, arguments, options = twin_example(name)
    kept = copy.deepcopy(arguments)
    eager = arrays(function(*arguments, **options))
    torch.compiler.reset()
    traced = torch.compile(function, backend="eager", fullgraph=True)
    assert_equal(arrays(traced(*arguments, **options)), eager)
    assert_equal(arrays(function(*arguments, **options)), eager)
    assert_equal(arrays(arguments), arrays(kept))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_keeps_short_floats_and_is_near(name, dtype):
    torch = need_torch()
    function, arguments, options = twin_example(name)
    expected = arrays(function(*arguments, **options))
    function, arguments, options = twin_example(name, dtype)
    results = function(*arguments, **options)
    kinds = {x.dtype for x in leaves(results) if torch.is_tensor(x)}
    if name not in OTHER_FLOATS:
        kinds = {kind for kind in kinds if kind.is_floating_point}
        assert kinds <= {getattr(torch, dtype)}
    tolerance = BFLOAT16 if dtype == "bfloat16" else 1e-5
    for result, right in zip(arrays(results), expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("name", TWINS)
def test_a_twin_runs_where_its_arguments_are(name, device):
    torch = need_torch()
    device_or_skip(device)
    function, arguments, options = twin_example(name)
    shapes = [tuple(np.shape(x)) for x in leaves(function(*arguments, **options))]
    function, arguments, options = twin_example(name, device=device)
    results = [x for x in leaves(function(*arguments, **options))]
    assert [tuple(np.shape(x)) for x in results] == shapes
    assert {x.device.type for x in results if torch.is_tensor(x)} <= {device}
