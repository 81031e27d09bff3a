"""Adam: steps down the gradient, each parameter at its own pace. NumPy, no state.

Kingma and Ba 2015, arXiv:1412.6980, algorithm 1. What Adam remembers goes in and comes
out again: the mean of the gradients so far, and of their squares.
"""

import numpy as np

from course_lib.shapes.adam import check_adam, check_parts


def adam_moments(parameters):
    """What Adam remembers before its first step: zeros, for either moment.

    Args:
        parameters: an array, or dicts, lists and tuples of arrays, nested

    Returns:
        zeros with the nesting and shapes of `parameters`.
    """
    if isinstance(parameters, dict):
        return {name: adam_moments(part) for name, part in parameters.items()}
    if isinstance(parameters, (list, tuple)):
        return type(parameters)(adam_moments(part) for part in parameters)
    return np.zeros_like(parameters)


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
    """One step of Adam for every array of a model.

    Args:
        parameters:    an array, or dicts, lists and tuples of arrays, nested
        gradients:     nested alike
        first, second: nested alike: the means of the gradients and of their squares,
            zeros before the first step (`adam_moments`)
        step:          int, 1 for the first step
        learning_rate: number, about the length of a step
        betas:         how much of the old is kept in either mean
        eps:           positive number that keeps the division finite

    Returns:
        new parameters, new first and new second, nested alike.
    """
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
