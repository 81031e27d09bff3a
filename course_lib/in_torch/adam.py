"""Adam in PyTorch, on any device. Twin of `in_numpy.adam`.

To train a module take `torch.optim.Adam`: the tests show that it is the same.
"""

import torch

from course_lib.shapes.adam import check_adam, check_parts


def adam_moments(parameters):
    """Twin of `in_numpy.adam.adam_moments`; shapes as there."""
    if isinstance(parameters, dict):
        return {name: adam_moments(part) for name, part in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        return type(parameters)(adam_moments(part) for part in parameters)
    return torch.zeros_like(parameters)


def adam_step(
    parameters,
    gradients,
    first,
    second,
    step,
    learning_rate=0.001,
    betas=(0.9, 0.999),
    eps=1e-8,
):
    """Twin of `in_numpy.adam.adam_step`; shapes as there."""
    check_adam(step, learning_rate, betas, eps)
    trees = {"gradients": gradients, "first": first, "second": second}
    for name, tree in trees.items():
        check_parts(name, tree, parameters)
    numbers = step, learning_rate, betas, eps
    parts = parameters, *trees.values()
    if isinstance(parameters, dict):
        names = list(parameters)
        steps = [adam_step(*(part[n] for part in parts), *numbers) for n in names]
        new = [[step[i] for step in steps] for i in range(3)]
        return tuple(dict(zip(names, part, strict=True)) for part in new)
    if isinstance(parameters, (list, tuple)):
        steps = [adam_step(*part, *numbers) for part in zip(*parts, strict=True)]
        return tuple(type(parameters)(step[i] for step in steps) for i in range(3))
    return _one_step(*parts, *numbers)


def _one_step(parameter, gradient, first, second, step, learning_rate, betas, eps):
    """The body of algorithm 1's loop, for one array."""
    beta_1, beta_2 = betas
    first = beta_1 * first + (1 - beta_1) * gradient
    second = beta_2 * second + (1 - beta_2) * gradient**2
    unbiased_first = first / (1 - beta_1**step)
    unbiased_second = second / (1 - beta_2**step)
    change = learning_rate * unbiased_first / (unbiased_second**0.5 + eps)
    return parameter - change, first, second
