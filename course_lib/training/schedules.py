"""Learning-rate schedules: pure functions of a step, from 0 or a warm-up to an end.

Each gives a factor, at most 1, that multiplies the learning rate of a run. The steps of
a run are 0, 1, ..., steps - 1. `functools.partial(warm_up_cosine, warm_up=40)` is a
function of step and steps, which is what `loop.fit` takes.
"""

import math

from course_lib.shapes.basic import check_count


def linear_to_zero(step, steps):
    """A straight line from 1 at the first step to 0 behind the last.

    Args:
        step:  int, 0 <= step
        steps: int, the length of the whole run

    Returns:
        factor, a number.
    """
    return 1 - step / steps


def warm_up_inverse_sqrt(step, steps, warm_up):
    """Up on a straight line, then down with one over the square root of the step.

    Vaswani et al. 2017, arXiv:1706.03762, section 5.3, whose first step is 1. With a
    learning rate of (d_model * warm_up) ** -0.5 it is the paper's formula; here the
    factor is 1 where the warm-up ends. The length of the run does not matter to it.

    Args:
        step, steps: as for `linear_to_zero`
        warm_up:     int >= 1, the step (counted from 1) with the highest rate

    Returns:
        factor, a number.
    """
    check_count("warm_up", warm_up)
    return min((step + 1) / warm_up, math.sqrt(warm_up / (step + 1)))


def warm_up_cosine(step, steps, warm_up):
    """Up on a straight line, then down to 0 on half a period of a cosine.

    Loshchilov and Hutter 2017, arXiv:1608.03983, section 3, without restarts.

    Args:
        step, steps, warm_up: as for `warm_up_inverse_sqrt`; warm_up <= steps

    Returns:
        factor, a number.
    """
    check_count("warm_up", warm_up)
    if warm_up > steps:
        raise ValueError(f"warm_up must be at most {steps}, the steps, got {warm_up}")
    if step + 1 <= warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step + 1 - warm_up) / (steps + 1 - warm_up)))
