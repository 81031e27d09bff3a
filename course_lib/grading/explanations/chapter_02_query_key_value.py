"""Chapter 2: what a wrong answer most likely got wrong, in one sentence each.

Each function takes the inputs of a call, what came back and what was expected (lists of
arrays of equal shapes), and returns a sentence, or None if it knows none.
"""

import numpy as np

from course_lib.grading.explanations import observed
from course_lib.grading.explanations.observed import close, first, row_name
from course_lib.in_numpy import ops


def softmax(inputs, got, expected):
    """Question 2.1: overflow, sign, axis, or not the exponential."""
    scores, weights = inputs[0], got[0]
    row = first(~np.isfinite(weights).all(axis=-1))
    if row is not None and scores[row].max() < 0:
        return (
            f"The largest score of {row_name(row)} is {scores[row].max():.0f}, so "
            "every exp in it underflows to 0, and 0 / 0 is nan. Subtract each row's "
            "own largest score: `scores.max(axis=-1, keepdims=True)`."
        )
    return (
        observed.overflow(scores, weights)
        or observed.negative(weights)
        or observed.row_sum(weights)
        or observed.ratio(scores, weights, expected[0])
    )


def lookup(inputs, got, expected):
    """Question 2.2: scaled, hard, not normalised, or a wrong weighted sum."""
    query, key, value = inputs
    output, weights = got
    scores = key @ query
    if close(weights, expected[1]):
        return (
            "The weights are right, but the output is not the sum of weight times "
            f"value: it starts with {output[0]:.3g} instead of {expected[0][0]:.3g}."
        )
    if close(weights, ops.softmax(scores / np.sqrt(len(query)))):
        return (
            f"These are the weights of scores divided by sqrt(d_k) = "
            f"{np.sqrt(len(query)):.3g}. Here the score is the dot product itself."
        )
    if close(weights, scores == scores.max()):
        return (
            "One key takes all the weight. A soft lookup opens every drawer a little: "
            f"the best key should get {expected[1].max():.3g}, and the others the rest."
        )
    return (
        observed.overflow(scores, weights)
        or observed.negative(weights)
        or observed.row_sum(weights)
        or observed.ratio(scores, weights, expected[1])
    )


def softmax_at(inputs, got, expected):
    """Question 2.3: the temperature's place, and its two limits."""
    scores, temperature = inputs
    weights = got[0]
    if not np.isfinite(weights).all():
        if temperature == 0:
            return "Dividing by temperature 0 gives nan: it needs a case of its own."
        return f"exp overflows at temperature {temperature:g}: subtract the maximum."
    if temperature == 0:
        return _zero_temperature(weights, expected[0])
    if temperature == np.inf:
        return "At infinite temperature every score counts the same: all weights equal."
    if close(weights, ops.softmax(scores * temperature)):
        return (
            "The scores are multiplied with the temperature. Divide: a small "
            "temperature makes the differences larger."
        )
    if close(weights * temperature, ops.softmax(scores)):
        return "The weights are divided by the temperature: divide the scores instead."
    if close(weights, ops.softmax(scores)):
        return f"These are the weights for temperature 1, but it is {temperature:g}."
    return observed.row_sum(weights) or observed.ratio(
        scores / temperature, weights, expected[0]
    )


def _zero_temperature(weights, right):
    n_best = (right > 0).sum(axis=-1)
    row = first(n_best > 1)
    if row is None:
        return (
            "At temperature 0 the largest score takes all, however narrowly it wins, "
            f"but in one row it gets {weights.max(axis=-1).min():.4g}."
        )
    return (
        f"At temperature 0 the {n_best[row]} largest scores of {row_name(row)} tie, so "
        f"each gets 1/{n_best[row]}. Yours get {weights[row][right[row] > 0].round(3)}."
    )


def masked_softmax(inputs, got, expected):
    """Question 2.4: empty rows, leaks, and masks the wrong way round."""
    (scores, mask), weights = inputs, got[0]
    empty = ~mask.any(axis=-1)
    row = first(~np.isclose(weights, expected[0], 1e-4, 1e-5).all(axis=-1))
    if row is None:
        return None
    name = row_name(row)
    hidden, total = scores[row][~mask[row]], weights[row].sum()
    if empty[row] and not np.isfinite(total):
        return (
            f"{name} may attend to nothing and gives nan: all its scores became -inf, "
            "and -inf - (-inf) is nan. It should give zeros."
        )
    if empty[row]:
        return f"{name} may attend to nothing, yet its weights sum to {total:.3g}."
    if len(hidden) and not np.isfinite(hidden).all():
        return (
            f"{name} has a masked score of {hidden[~np.isfinite(hidden)][0]}, and it "
            "spoils the sum (0 * nan and inf - inf are nan): replace masked scores "
            "with `np.where`, do not multiply or add."
        )
    if hidden.max(initial=0) > 1e20:
        return (
            f"{name} has a masked score of {hidden.max():.0e}, and it takes part: mask "
            "the scores before the maximum and the sum, not after."
        )
    return _leak(scores[row], mask[row], weights[row], name)


def _leak(scores, mask, weights, name):
    """What went wrong in one row (n,) that has finite scores and may attend."""
    leaked = first(~mask & (np.abs(weights) > 1e-6))
    if scores.max() < -1e6:
        return (
            f"The allowed scores of {name} are near {scores.max():.0e}, below any "
            "finite stand-in for -inf such as -1e9: use `-np.inf`."
        )
    if close(weights, ops.masked_softmax(scores, ~mask)):
        return f"The mask is the wrong way round in {name}: True means may attend."
    if leaked and close(weights, ops.softmax(scores * mask)):
        return (
            f"In {name} the masked scores became 0, but e^0 is 1, so key {leaked[0]} "
            f"gets {weights[leaked]:.3g}: the score that gives weight 0 is `-np.inf`."
        )
    if leaked:
        return f"Key {leaked[0]} of {name} is masked, but gets {weights[leaked]:.3g}."
    if not np.isclose(weights.sum(), 1):
        return (
            f"The allowed weights of {name} sum to {weights.sum():.3g}: the masked "
            "keys took the rest before they were zeroed. Sum over allowed keys only."
        )
    return observed.ratio(
        np.where(mask, scores, scores[mask][0])[None],
        weights[None],
        ops.masked_softmax(scores, mask)[None],
    )


def backward(inputs, got, expected):
    """Question 2.5: the forward pass first, then one gradient after the other."""
    d_output, query, key, value = inputs
    wrong = [not close(a, b) for a, b in zip(got, expected, strict=True)]
    raw = query @ np.swapaxes(key, -1, -2)  # (..., n_q, n_k)
    root = np.sqrt(query.shape[-1])
    if not all(np.isfinite(array).all() for array in got):
        return observed.overflow(raw, np.stack([array.sum() for array in got]))
    if close(got[2], np.swapaxes(ops.softmax(raw), -1, -2) @ d_output) and wrong[2]:
        return (
            "`d_value` belongs to weights of scores that were not divided by "
            "sqrt(d_k): check the forward pass."
        )
    if wrong[2]:
        return "`d_value` is not right yet. It is weights, transposed, @ d_output."
    return _score_gradients(inputs, got, expected, root)


def _score_gradients(inputs, got, expected, root):
    """What is wrong with d_query or d_key, when the weights and d_value are right."""
    d_output, query, key, value = inputs
    weights = ops.softmax(query @ np.swapaxes(key, -1, -2) / root)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    if close(got[0], (weights * d_weights) @ key / root):
        return (
            "The backward step of the softmax misses its sum: each score also lowers "
            "the weights of all the others. Subtract from `d_weights` its average over "
            "the row, weighted with the weights."
        )
    if close(got[0], (weights * (1 - weights) * d_weights) @ key / root):
        return (
            "The backward step of the softmax uses only the diagonal $w(1 - w)$ of its "
            "Jacobian: each score also changes the weights of all the others."
        )
    pairs = zip(("query", "key"), got, expected, strict=False)
    name, mine, right = next((p for p in pairs if not close(*p[1:])), (None,) * 3)
    if name and close(mine, right * root):
        return (
            f"`d_{name}` is {root:.4g} times too large: the scores were divided by "
            "sqrt(d_k), so the gradient is too."
        )
    return name and f"`d_value` is right, but `d_{name}` is not yet."


def weights_for(inputs, got, expected):
    """Question 2.6: the sum, the target, then whether it can be reached."""
    target, value = inputs
    weights, reachable = got
    least = weights.min()
    if not close(weights.sum(), 1):
        return (
            f"The weights sum to {weights.sum():.3g}. That they sum to 1 is one more "
            "equation, beside those for the target."
        )
    if not close(weights, expected[0]):
        mixture = "`weights @ value` is " + np.array2string(
            weights @ value, precision=3
        )
        if least >= 0 and not expected[1]:
            return (
                f"{mixture}, not the target: no weights above 0 reach it. Return those "
                "that do, negative ones included: neither clip nor normalise them."
            )
        return f"{mixture}, but the target is {np.array2string(target, precision=3)}."
    if reachable:
        return (
            f"The weights are right, and the smallest is {least:.3g}. Attention has no "
            "negative weights, so `reachable` should be False."
        )
    return (
        f"The weights are right and none is negative (the smallest is {least:.3g}), so "
        "`reachable` should be True."
    )
