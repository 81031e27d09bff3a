"""Chapter 2: softmax, lookup, temperature, masks, backward, convex hull."""

import numpy as np

from course_lib.grading.explanations import chapter_02_query_key_value as explain
from course_lib.grading.forbidden import (
    ATTENTION,
    GRADIENTS,
    MASKED,
    WEIGHTS,
    in_both,
)
from course_lib.grading.question import Case, Question
from course_lib.in_numpy import attention, ops


def _scores(rng, *shape):
    """Random scores in which neighbours have opposite signs."""
    return rng.uniform(0.3, 2, shape) * (-1) ** np.arange(shape[-1])


def _rows_far_apart(rng):
    return (_scores(rng, 3, 5) + np.array([[-2000], [0], [2000]]),)


SOFTMAX = Question(
    id="2.1",
    title="a softmax that does not overflow",
    function="softmax",
    returns=("weights",),
    minutes=10,
    points=2,
    task=r"""
Complete `softmax`. It turns scores of shape $(\ldots, n)$ into weights of the same
shape, over the last axis:

$$w_i = \frac{e^{s_i}}{\sum_j e^{s_j}}$$

It has to work for any number of leading axes, and for scores in the thousands.
""".strip(),
    predict="the scores are 0, 0 and 1000. Write down the three weights. "
    "Then write down what `np.exp(1000)` gives.",
    hints=(
        "Start with one row. Which two steps turn its scores into positive numbers "
        "that sum to 1? Then try the row `[1000, 1001]`.",
        "Adding the same number to every score of a row changes no weight. Choose a "
        "number that makes the largest score 0. Every row needs its own.",
        "`scores.max(axis=-1, keepdims=True)` has one maximum for each row and still "
        "lines up with `scores`. The sum needs the same two arguments.",
    ),
    reference=ops.softmax,
    cases=(
        Case(
            "each row sums to 1 over the last axis", lambda rng: (_scores(rng, 2, 3),)
        ),
        Case("a single row works", lambda rng: (_scores(rng, 5),)),
        Case(
            "scores + 1000 give the same weights",
            lambda rng: (_scores(rng, 2, 3) + 1000,),
        ),
        Case("rows may be far apart", _rows_far_apart),
        Case("a row of one score gives 1", lambda rng: (_scores(rng, 3, 1),)),
        Case("any number of leading axes works", lambda rng: (_scores(rng, 2, 3, 5),)),
        Case(
            "float32 scores work",
            lambda rng: (_scores(rng, 2, 7).astype(np.float32),),
        ),
        Case(
            "four axes of large float32 scores work",
            lambda rng: (_scores(rng, 2, 3, 5, 7).astype(np.float32) + 500,),
            hidden=True,
        ),
        Case(
            "very low scores work", lambda rng: (_scores(rng, 11) - 5000,), hidden=True
        ),
    ),
    explain=explain.softmax,
    # Attention gives the weights back beside the output.
    forbidden=(*WEIGHTS, *MASKED, *ATTENTION),
)


def _soft_lookup(query, key, value):
    weights = ops.softmax(key @ query)
    return weights @ value, weights


def _lookup_inputs(n_k, d_k, d_v, dtype=np.float64, shift=0):
    """Inputs of one lookup; `shift` moves every score by as much."""

    def inputs(rng):
        query = rng.uniform(0.5, 1.5, d_k) * rng.choice([-1, 1], d_k)
        key = rng.uniform(-1.5, 1.5, (n_k, d_k)) + shift * query / (query @ query)
        value = rng.standard_normal((n_k, d_v))
        return query.astype(dtype), key.astype(dtype), value.astype(dtype)

    return inputs


SOFT_LOOKUP = Question(
    id="2.2",
    title="one soft lookup",
    function="soft_lookup",
    returns=("output", "weights"),
    minutes=10,
    points=2,
    task=r"""
Complete `soft_lookup` for one query $q$ of shape $(d_k,)$, keys $k_i$ stacked in `key`
of shape $(n_k, d_k)$, and values $v_i$ stacked in `value` of shape $(n_k, d_v)$:

$$s_i = q \cdot k_i, \qquad w = \text{softmax}(s), \qquad o = \sum_i w_i\, v_i$$

Return the output $o$ of shape $(d_v,)$ and the weights $w$ of shape $(n_k,)$, in this
order. Do not divide the scores by anything. You may call your `softmax`.
""".strip(),
    predict="all the keys are equal. Does the output still depend on the query? "
    "What is it?",
    hints=(
        "Three steps, three lines: scores of shape $(n_k,)$, weights of the same "
        "shape, output of shape $(d_v,)$. Write the shape beside each line.",
        "All the dot products of one query with the rows of a matrix are one "
        "product, matrix times vector. The weighted sum of rows is one too, "
        "vector times matrix.",
        "`scores = key @ query`, then the softmax, then `weights @ value`. Return the "
        "output first.",
    ),
    reference=_soft_lookup,
    cases=(
        Case("compare, normalise, average", _lookup_inputs(3, 2, 5)),
        Case("more keys than features", _lookup_inputs(7, 3, 2)),
        Case("a single key gets all the weight", _lookup_inputs(1, 3, 2)),
        Case("scores near 1000 work", _lookup_inputs(3, 2, 5, shift=1000)),
        Case("float32 works", _lookup_inputs(5, 3, 2, np.float32)),
        Case("many keys", _lookup_inputs(13, 11, 7), hidden=True),
        Case("one feature", _lookup_inputs(5, 1, 3, np.float32), hidden=True),
    ),
    explain=explain.lookup,
    forbidden=ATTENTION,
)


def _softmax_at(scores, temperature):
    below_best = scores - scores.max(axis=-1, keepdims=True)  # (..., n), at most 0
    if temperature == 0:
        return ops.softmax(np.where(below_best == 0, 0, -np.inf))
    return ops.softmax(below_best / temperature)


def _at(temperature, *shape, dtype=np.float64):
    return lambda rng: (_scores(rng, *shape).astype(dtype), temperature)


def _with_ties(*shape):
    """Scores whose largest value occurs twice in each row, at temperature 0."""

    def inputs(rng):
        scores = _scores(rng, *shape)
        scores[..., :2] = 3
        return rng.permuted(scores, axis=-1), 0.0

    return inputs


def _narrow_win(rng):
    return rng.permuted(np.array([[2.0, 2.0 - 1e-6, 1.0]] * 2), axis=-1), 0.0


SOFTMAX_AT = Question(
    id="2.3",
    title="from a choice to a mean",
    function="softmax_at",
    returns=("weights",),
    minutes=15,
    points=2,
    task=r"""
Complete `softmax_at`: the softmax of $s / T$ over the last axis of `scores`, of shape
$(\ldots, n)$, at temperature $T \geq 0$. The temperature is one number.

$$w_i = \frac{e^{s_i / T}}{\sum_j e^{s_j / T}}$$

Two limits count as temperatures too. At $T = 0$ the largest score of each row takes
all, and scores that tie for the largest share equally. At $T = \infty$, which is
`np.inf`, all weights are equal.
""".strip(),
    predict="the scores are 2, 2 and 1. What are the weights at $T = 0$, and what are "
    "they at $T = \\infty$?",
    hints=(
        "Look at the three regions one by one. Which of 0, 1 and `np.inf` does the "
        "plain formula already get right?",
        "$T = 0$ needs its own branch. Compare each score with the largest of its row: "
        "`True` where they are equal. How many are there in a row?",
        "`best = scores == scores.max(axis=-1, keepdims=True)`, and `best` divided by "
        "its sum over the last axis is the limit at 0. Elsewhere, subtract the largest "
        "score before you divide by $T$, so that a small $T$ cannot overflow.",
    ),
    reference=_softmax_at,
    cases=(
        Case("temperature 1 is the softmax", _at(1.0, 2, 3)),
        Case("a low temperature widens the gaps", _at(0.5, 2, 3)),
        Case("a high temperature narrows the gaps", _at(2.0, 2, 3, 5)),
        Case("a very small temperature works", _at(0.0001, 2, 3)),
        Case("at temperature 0 the largest takes all", _at(0.0, 2, 3)),
        Case("at temperature 0 ties share equally", _with_ties(2, 5)),
        Case("at temperature 0 a narrow win is a win", _narrow_win),
        Case("at infinite temperature all are equal", _at(np.inf, 2, 3)),
        Case("float32 works", _at(0.5, 3, 5, dtype=np.float32)),
        Case("ties with more axes", _with_ties(2, 3, 7), hidden=True),
        Case("one score", _at(0.0, 5, 1), hidden=True),
    ),
    explain=explain.softmax_at,
    # The softmax of 2.1 may be called; this one takes a temperature.
    forbidden=in_both("attention.scaled_dot_product_attention"),
)


def _mask(rng, shape):
    """Random mask that allows about half of each row, and never none or all of it."""
    n_allowed = (shape[-1] + 1) // 2
    mask = np.broadcast_to(np.arange(shape[-1]) < n_allowed, shape)
    return rng.permuted(mask, axis=-1)


def _masked(*shape, dtype=np.float64, empty_row=False, masked_scores=None):
    """Scores and mask; `masked_scores` takes the place of what is masked."""

    def inputs(rng):
        scores, mask = _scores(rng, *shape).astype(dtype), _mask(rng, shape)
        if empty_row:
            mask[..., -1, :] = False
        if masked_scores is not None:
            scores[~mask] = np.resize(masked_scores, (~mask).sum())
        return scores, mask

    return inputs


def _very_low(rng):
    mask = _mask(rng, (2, 5))
    # Gaps of 100: the weights are 0 and 1 however the rounding at this size goes.
    return rng.permuted(-3e9 - 100.0 * np.tile(np.arange(5), (2, 1)), axis=-1), mask


MASKED_SOFTMAX = Question(
    id="2.4",
    title="a mask that does not leak",
    function="masked_softmax",
    returns=("weights",),
    minutes=15,
    points=3,
    task=r"""
Complete `masked_softmax`. `scores` and `mask` have the same shape $(\ldots, n)$. The
mask is boolean, and `True` means *may attend*. Over the last axis:

- allowed positions share the softmax of their scores, and their weights sum to 1;
- masked positions get exactly 0, whatever their score is: huge, infinite or `nan`;
- a row in which nothing is allowed gives zeros.
""".strip(),
    predict="the scores are 2, 1 and 1, and we mask the third. Does the ratio of the "
    "first two weights change? Does the first weight?",
    hints=(
        "A masked score must not reach the maximum or the sum. What score would give a "
        "weight of exactly zero?",
        "`np.where(mask, scores, -np.inf)` chooses and does not calculate, so a masked "
        "`nan` is gone. Then look at a row of `-np.inf` alone: what does the softmax "
        "subtract from what?",
        "`some = mask.any(axis=-1, keepdims=True)` finds the rows that may attend. "
        "Give the others any finite scores, with a second `np.where`, take the "
        "softmax, and end with `np.where(mask, weights, 0)`.",
    ),
    # Not the library's function itself: here the mask is not optional.
    reference=lambda scores, mask: ops.masked_softmax(scores, mask),
    cases=(
        Case("masked keys get no weight", _masked(2, 3)),
        Case("a row that may attend to nothing gives 0", _masked(3, 5, empty_row=True)),
        Case("a huge masked score changes nothing", _masked(2, 3, masked_scores=1e30)),
        Case("allowed scores may be very low", _very_low),
        Case(
            "masked scores may be inf or nan",
            _masked(2, 5, masked_scores=[np.inf, np.nan, -np.inf]),
        ),
        Case("float32 works", _masked(3, 7, dtype=np.float32, empty_row=True)),
        Case("any number of leading axes works", _masked(2, 3, 5, empty_row=True)),
        Case(
            "nothing masked is the softmax",
            lambda rng: (_scores(rng, 5), np.full(5, True)),
        ),
        Case("large float32", _masked(2, 5, 11, dtype=np.float32), hidden=True),
        Case(
            "nan in a row that may attend to nothing",
            _masked(3, 7, empty_row=True, masked_scores=np.nan),
            hidden=True,
        ),
    ),
    explain=explain.masked_softmax,
    forbidden=(*MASKED, *ATTENTION),
)


def _attention_backward(d_output, query, key, value):
    _, weights = attention.scaled_dot_product_attention(query, key, value)
    return attention.scaled_dot_product_attention_backward(
        d_output, query, key, value, weights
    )


def _backward_inputs(*batch, n_q=3, n_k=5, d_k=2, d_v=7, dtype=np.float64, shift=0):
    """Inputs of the backward pass; `shift` moves every scaled score by as much."""

    def inputs(rng):
        shapes = [(n_q, d_v), (n_q, d_k), (n_k, d_k), (n_k, d_v)]
        arrays = [rng.standard_normal((*batch, *shape)) for shape in shapes]
        _, query, key, _ = arrays
        query[..., 0] = 1
        key[..., 0] += shift * np.sqrt(d_k)
        return tuple(array.astype(dtype) for array in arrays)

    return inputs


ATTENTION_BACKWARD = Question(
    id="2.5",
    title="the gradient of attention",
    function="attention_backward",
    returns=("d_query", "d_key", "d_value"),
    minutes=30,
    points=4,
    task=r"""
Complete `attention_backward`. The forward pass is

$$O = W V, \qquad W = \text{softmax}\!\left(\frac{Q K^\top}{\sqrt{d_k}}\right)$$

Given `d_output`, the gradient $dO$ of a loss with respect to $O$, return `d_query`,
`d_key` and `d_value`, in this order. The shapes are $(\ldots, n_q, d_k)$ for $Q$,
$(\ldots, n_k, d_k)$ for $K$, $(\ldots, n_k, d_v)$ for $V$ and $(\ldots, n_q, d_v)$ for
$dO$, with the same leading axes. A gradient has the shape of what it belongs to. Run
the forward pass first: you need its weights. No Jacobian, please.
""".strip(),
    predict="there is only one key. What are `d_query` and `d_key`, before you compute "
    "anything?",
    hints=(
        "Go back through the steps one at a time and write down the shape of each "
        "gradient: $dV$ and $dW$, then $dS$, then $dQ$ and $dK$. Only one order of "
        "each product fits its shape.",
        "$dV = W^\\top dO$ and $dW = dO\\, V^\\top$. For the softmax, compare each "
        "entry of $dW$ with the average of its row, weighted with $W$: only what is "
        "better than average should gain score.",
        "`d_scores = weights * (d_weights - (weights * d_weights).sum(axis=-1, "
        "keepdims=True)) / np.sqrt(d_k)`. Then one product with `key` and one, "
        "transposed by `np.swapaxes(d_scores, -1, -2)`, with `query`.",
    ),
    reference=_attention_backward,
    cases=(
        Case("one sequence", _backward_inputs()),
        Case("one query", _backward_inputs(n_q=1, n_k=3, d_k=5, d_v=2)),
        Case("a batch of sequences", _backward_inputs(2, d_k=11)),
        Case("one key: no score can change its weight", _backward_inputs(n_k=1)),
        Case("scores near 1000 work", _backward_inputs(shift=1000)),
        Case("float32 works", _backward_inputs(2, d_k=3, dtype=np.float32)),
        Case(
            "batch and heads", _backward_inputs(2, 3, n_q=5, n_k=7, d_k=11), hidden=True
        ),
        Case("one feature", _backward_inputs(n_q=7, d_k=1, d_v=3), hidden=True),
    ),
    explain=explain.backward,
    # The way forward may be called, the way back is the question.
    forbidden=(
        *GRADIENTS,
        "course_lib.in_numpy.attention.additive_attention_backward",
        "course_lib.in_numpy.attention.attend_backward",
        "course_lib.in_numpy.attention.scaled_dot_product_attention_backward",
        "course_lib.in_numpy.hard.attend_straight_through_backward",
        "course_lib.in_numpy.multi_head.multi_head_attention_backward",
        "course_lib.in_numpy.ops.softmax_backward",
        "course_lib.in_numpy.sliding.sliding_window_attention_backward",
        "course_lib.in_numpy.tiled.tiled_attention_backward",
        "course_lib.in_numpy.wirings.look_back_backward",
        "torch._softmax_backward_data",
    ),
)


def _weights_for(target, value):
    equations = np.concatenate([value.T, np.ones_like(value[None, :, 0])])
    weights = np.linalg.solve(equations, np.append(target, 1))
    return weights, (weights >= 0).all()


def _simplex(d_v, inside, dtype=np.float64, shift=0):
    """Corners of a well-rounded simplex, and a target in it or beyond one face.

    No target is close to the boundary, where rounding would decide.
    """

    def inputs(rng):
        corners = np.concatenate([np.zeros((1, d_v)), 2 * np.eye(d_v)]) + shift
        corners += rng.uniform(-0.1, 0.1, corners.shape)
        weights = rng.uniform(0.3, 1, d_v + 1)
        if not inside:
            weights[0] = -weights[1:].sum() / 3
        value = corners[order := rng.permutation(d_v + 1)]
        target = (weights / weights.sum())[order] @ value
        return target.astype(dtype), value.astype(dtype)

    return inputs


WEIGHTS_FOR = Question(
    id="2.6",
    title="what attention cannot say",
    function="weights_for",
    returns=("weights", "reachable"),
    minutes=20,
    points=3,
    task=r"""
We want a certain output. Which weights give it? Complete `weights_for` for a target
$t$ of shape $(d_v,)$ and $d_v + 1$ values in the rows of `value`, of shape
$(d_v + 1, d_v)$. They are in general position: a triangle in the plane, a tetrahedron
in space. Then exactly one set of weights has

$$\sum_i w_i\, v_i = t \qquad \text{and} \qquad \sum_i w_i = 1 .$$

Return these weights, of shape $(d_v + 1,)$, even if some are negative. Return with them
`reachable`: `True` if attention could use them, because none is negative. Then the
target lies in the convex hull of the values. No target here is close to its boundary.
""".strip(),
    predict="the values are $(0, 0)$, $(1, 0)$ and $(0, 1)$. Which of the targets "
    "$(0.2, 0.3)$, $(0.6, 0.6)$ and $(-0.1, 0.5)$ can attention put out?",
    hints=(
        "Count the unknowns, and count the equations. The target gives one for each of "
        "its $d_v$ entries. Where does the last one come from?",
        "Write all of it as one square system $A w = b$. Each column of $A$ belongs to "
        "one value, with a 1 below it. `np.linalg.solve` does the rest.",
        "`A = np.vstack([value.T, np.ones(len(value))])` and `b = np.append(target, "
        "1)`. The target is reachable if all the weights are at least 0.",
    ),
    reference=_weights_for,
    cases=(
        Case("a target inside a triangle", _simplex(2, inside=True)),
        Case("a target outside the triangle", _simplex(2, inside=False)),
        Case("a target inside a tetrahedron", _simplex(3, inside=True)),
        Case("a target outside the tetrahedron", _simplex(3, inside=False)),
        Case("two values on a line", _simplex(1, inside=False)),
        Case("values far from the origin", _simplex(2, inside=True, shift=100)),
        Case("float32 works", _simplex(2, inside=True, dtype=np.float32)),
        Case("eight values, inside", _simplex(7, inside=True), hidden=True),
        Case("eight values, outside", _simplex(7, inside=False), hidden=True),
    ),
    explain=explain.weights_for,
    # np.linalg.solve is a step of the answer; this knows the weights and the hull.
    forbidden=("scipy.spatial.Delaunay",),
)

QUESTIONS = (
    SOFTMAX,
    SOFT_LOOKUP,
    SOFTMAX_AT,
    MASKED_SOFTMAX,
    ATTENTION_BACKWARD,
    WEIGHTS_FOR,
)
