"""What the tests of the library share: the other half, its tensors, its gradients.

NumPy's half is tested wherever NumPy is. A test that asks for the PyTorch half is
skipped, with the reason, where there is no PyTorch.
"""

import importlib

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

# Each float type is held to what it can do. The largest numbers drawn here are about
# 100, and float32 keeps seven digits.
TOLERANCE = {
    "float64": {"rtol": 0, "atol": 1e-10},
    "float32": {"rtol": 0, "atol": 5e-5},
}
GRADIENT_TOLERANCE = {"rtol": 0, "atol": 1e-8}
SEEDS = st.integers(0, 2**32 - 1)

# The same examples on every machine and every run: a red test stays red until mended.
drawn = settings(deadline=None, derandomize=True, max_examples=60)


def need_torch():
    """PyTorch, or a skipped test."""
    return pytest.importorskip("torch", reason="PyTorch is not installed")


def twin_of(function):
    """The PyTorch twin of a NumPy function."""
    need_torch()
    module = function.__module__.replace("in_numpy", "in_torch")
    return getattr(importlib.import_module(module), function.__name__)


def to_torch(*arrays, device="cpu", requires_grad=False):
    """Arrays as tensors; None stays None. Only floats ask for gradients."""
    torch = need_torch()
    tensors = [
        array if array is None else torch.tensor(array, device=device)
        for array in arrays
    ]
    for tensor in tensors:
        if requires_grad and tensor is not None and tensor.is_floating_point():
            tensor.requires_grad_()
    return tensors


def device_or_skip(name):
    """The name of a device, or a skipped test where the machine has none of it."""
    torch = need_torch()
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    return name


def autograd(output, tensors, d_output):
    """Gradients that PyTorch finds for `tensors`, as arrays."""
    output.backward(to_torch(d_output)[0])
    return [tensor.grad.numpy() for tensor in tensors]


def central_differences(function, arrays, d_output, step=1e-5):
    """Gradients of sum(function(*arrays) * d_output), one entry after the other."""
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = (function(*arrays) * d_output).sum()
            array[index] = kept - step
            below = (function(*arrays) * d_output).sum()
            array[index] = kept
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients


def assert_all_close(actual, expected, **tolerance):
    """Every array close to its partner, and of the same shape."""
    for one, other in zip(actual, expected, strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(one, other, **tolerance)


def assert_refused(half, function, arguments, sentence):
    """Arguments that either half ("numpy" or "torch") refuses in this one sentence.

    Args:
        function, arguments: NumPy's; for "torch" its twin gets tensors
        sentence: {float64} and {int64} stand for the name that each half gives the type
    """
    prefix = ""
    if half == "torch":
        function, arguments, prefix = twin_of(function), _tensors(arguments), "torch."
    for name in ("float64", "int64"):
        sentence = sentence.replace(f"{{{name}}}", prefix + name)
    with pytest.raises((TypeError, ValueError)) as error:
        function(*arguments)
    assert str(error.value) == sentence


def _tensors(tree):
    """A tree with tensors for its arrays, and all the rest as it is."""
    if isinstance(tree, dict):
        return {name: _tensors(part) for name, part in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map(_tensors, tree))
    return to_torch(tree)[0] if isinstance(tree, np.ndarray) else tree
