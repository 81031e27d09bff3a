"""Checks of `in_numpy.adam` and its twin."""

from numbers import Real

from course_lib.shapes.basic import (
    check_array,
    check_count,
    check_positive,
    check_shape,
)


def check_adam(step, learning_rate, betas, eps):
    """Refuse numbers that Adam cannot step with."""
    check_count("step", step)
    if not isinstance(learning_rate, Real) or not learning_rate >= 0:
        raise ValueError(
            f"learning_rate must be a number from 0 up, got {learning_rate!r}"
        )
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must be two numbers from 0 to below 1, got {betas!r}")
    check_positive("eps", eps)


def check_parts(name, tree, parameters):
    """Refuse a tree that does not branch as the parameters do, or has other shapes."""
    if not isinstance(parameters, (dict, list, tuple)):
        check_array("parameters", parameters)
        because = f"its parameter has {tuple(parameters.shape)}"
        check_shape(f"an array of {name}", tree, parameters.shape, because)
        return
    if type(tree) is not type(parameters) or _names(tree) != _names(parameters):
        raise ValueError(
            f"{name} must branch as parameters does: expected {_told(parameters)}, "
            f"got {_told(tree)}"
        )


def _names(branch):
    """What the parts of a branch are called, in any order."""
    return set(branch) if isinstance(branch, dict) else len(branch)


def _told(branch):
    """A branch in words."""
    kind = type(branch).__name__
    if isinstance(branch, dict):
        return f"a dict of {', '.join(sorted(map(str, branch)))}"
    if isinstance(branch, (list, tuple)):
        return f"a {kind} of {len(branch)}"
    return f"a {kind}"
