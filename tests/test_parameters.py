"""From modules to the dicts that the functions take, and on to NumPy."""

import numpy as np
import pytest
from twins import need_torch

need_torch()

import torch  # noqa: E402
from torch import nn  # noqa: E402

from course_lib.in_torch.parameters import numpy_tree, parameter_tree  # noqa: E402


class Inner(nn.Module):
    """A linear map with a bias, one without, and a child that is missing."""

    def __init__(self):
        super().__init__()
        self.W_q = nn.Linear(3, 5)
        self.W = nn.Linear(3, 7, bias=False)
        self.register_module("W_gate", None)


class Outer(nn.Module):
    """One of everything."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(2))
        self.table = nn.Embedding(11, 13)
        self.same_table = self.table
        self.inner = Inner()
        self.layers = nn.ModuleList([Inner(), nn.ModuleList([Inner()])])
        self.tables = nn.ModuleList([nn.Embedding(2, 3)])
        self.register_buffer("kept", torch.ones(3))


def test_every_kind_of_child_has_its_form():
    module = Outer()
    tree = parameter_tree(module)
    inner = {"W_q": (5, 3), "b_q": (5,), "W": (7, 3)}
    assert shapes(tree) == {
        "gain": (2,),
        "table": (11, 13),
        "same_table": (11, 13),
        "inner": inner,
        "layers": [inner, [inner]],
        "tables": [(2, 3)],
    }
    assert tree["gain"] is module.gain
    assert tree["table"] is tree["same_table"] is module.table.weight
    assert tree["inner"]["W_q"] is module.inner.W_q.weight
    assert tree["inner"]["b_q"] is module.inner.W_q.bias
    assert tree["layers"][1][0]["W"] is module.layers[1][0].W.weight


def shapes(tree):
    """The same nesting with shapes."""
    if isinstance(tree, dict):
        return {name: shapes(branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [shapes(branch) for branch in tree]
    return tuple(tree.shape)


def test_every_parameter_is_in_the_tree_and_gets_its_gradient():
    module = Outer()
    leaves = []

    def collect(tree):
        branches = tree.values() if isinstance(tree, dict) else tree
        for branch in branches:
            if isinstance(branch, torch.Tensor):
                leaves.append(branch)
            else:
                collect(branch)

    collect(parameter_tree(module))
    assert {id(leaf) for leaf in leaves} == {id(p) for p in module.parameters()}
    sum(leaf.sum() for leaf in leaves).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_numpys_tree_has_the_same_values_and_does_not_follow_the_training():
    module = Outer()
    tree = parameter_tree(module)
    arrays = numpy_tree(tree)
    assert shapes(arrays) == shapes(tree)
    assert isinstance(arrays["layers"][0]["b_q"], np.ndarray)
    before = tree["inner"]["W"].detach().clone()
    with torch.no_grad():
        module.inner.W.weight += 1
    np.testing.assert_array_equal(arrays["inner"]["W"], before.numpy())
    arrays["gain"][:] = 7
    assert torch.equal(module.gain, torch.ones(2))


def test_an_empty_module_gives_an_empty_tree():
    assert parameter_tree(nn.Module()) == {}
    assert numpy_tree({}) == {}


def test_a_linear_map_that_is_not_called_w_is_refused_in_one_sentence():
    module = nn.Module()
    module.out = nn.Linear(3, 5)
    with pytest.raises(ValueError) as error:
        parameter_tree(module)
    assert str(error.value) == "an nn.Linear must have a name like W_q, got 'out'"
