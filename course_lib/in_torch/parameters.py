"""Between modules, which own parameters, and functions, which take them as a dict.

Modules are PyTorch's own idea, so this file has no twin.
"""

from torch import nn


def parameter_tree(module):
    """A module's parameters as the nested dict that the functions take.

    A child that is an `nn.Linear` called W_x gives "W_x", and "b_x" if it has a bias;
    an `nn.Embedding` gives its table under its own name; an `nn.ModuleList` gives a
    list; any other child gives a dict of its own. A child that has two names, like a
    shared embedding, is found under both.

    Args:
        module: an nn.Module

    Returns:
        dict of tensors, dicts and lists. The tensors are the parameters themselves, so
        gradients find their way back.

    Raises:
        ValueError if an nn.Linear has a name that does not begin with W.
    """
    tree = dict(module.named_parameters(recurse=False))
    for name, child in module._modules.items():  # named_children: first names only
        if isinstance(child, nn.Linear):
            tree |= _linear(name, child)
        elif child is not None:
            tree[name] = _branch(child)
    return tree


def numpy_tree(tree):
    """The same nesting with NumPy arrays, copied from the tensors.

    Args:
        tree: nested dicts and lists of tensors, as from `parameter_tree`

    Returns:
        nested dicts and lists of arrays; training on changes none of them.
    """
    if isinstance(tree, dict):
        return {name: numpy_tree(branch) for name, branch in tree.items()}
    if isinstance(tree, list):
        return [numpy_tree(branch) for branch in tree]
    return tree.detach().cpu().numpy().copy()


def _branch(child):
    """What a child other than an nn.Linear gives."""
    if isinstance(child, nn.Embedding):
        return child.weight
    if isinstance(child, nn.ModuleList):
        return [_branch(module) for module in child]
    return parameter_tree(child)


def _linear(name, child):
    """The weight W_x of an nn.Linear called W_x, and its bias b_x."""
    if not name.startswith("W"):
        raise ValueError(f"an nn.Linear must have a name like W_q, got {name!r}")
    weight = {name: child.weight}
    return weight if child.bias is None else weight | {"b" + name[1:]: child.bias}
