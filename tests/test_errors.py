"""Bad input is refused in one sentence: which argument, what it was, what was expected.

Both halves of the library say the same sentence.
"""

import numpy as np
import pytest
from twins import assert_refused, to_torch, twin_of

from course_lib.in_numpy import attention, linear, local, masks, ops, scores

SCORES = np.zeros((3, 5))
MASK = np.ones((3, 5), bool)
LABELS = np.zeros(3, int)
QUERY, KEY, VALUE = np.zeros((3, 7)), np.zeros((5, 7)), np.zeros((5, 11))
NO_ARRAY = (
    "must be an array, but it is a list: convert it with np.asarray or torch.tensor"
)

QUERY_OF_2, W_Q, W_K = np.zeros((3, 2)), np.zeros((13, 2)), np.zeros((13, 7))
IDS, TABLE, LENGTHS, LENGTH = LABELS, np.zeros((5, 7)), LABELS, np.array(5)
CENTRE, W_P, V_P = np.zeros(3), np.zeros((13, 7)), np.zeros(13)

# function, arguments, what the sentence says. {float64} is the name each half gives it.
REFUSED = {
    "scores in a list": (
        ops.softmax,
        ([2.0, 1.0],),
        f"scores {NO_ARRAY} first",
    ),
    "one score alone": (
        ops.log_softmax,
        (np.array(2.0),),
        "scores must have at least 1 axis, but its shape is ()",
    ),
    "nothing to choose from": (
        ops.masked_softmax,
        (np.zeros((3, 0)),),
        "scores must have at least one entry along the last axis, but its shape is "
        "(3, 0)",
    ),
    "a mask of numbers": (
        ops.masked_softmax,
        (SCORES, SCORES),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "a mask in a list": (
        ops.masked_softmax,
        (SCORES, [True] * 5),
        f"mask {NO_ARRAY} first",
    ),
    "a mask transposed": (
        ops.masked_softmax,
        (SCORES, MASK.T),
        "mask has shape (5, 3), which does not broadcast to the scores' shape (3, 5)",
    ),
    "a mask with an axis too many": (
        attention.attend,
        (SCORES, VALUE, MASK[None]),
        "mask has shape (1, 3, 5), which does not broadcast to the scores' shape "
        "(3, 5)",
    ),
    "a target of floats": (
        ops.cross_entropy,
        (SCORES, np.zeros(3)),
        "target must hold integers, but its dtype is {float64}",
    ),
    "a target too short": (
        ops.cross_entropy,
        (SCORES, LABELS[:2]),
        "target has shape (2,) but logits have (3, 5): expected (3,)",
    ),
    "no classes": (
        ops.cross_entropy,
        (np.zeros((3, 0)), LABELS),
        "logits must have at least one entry along the last axis, but its shape is "
        "(3, 0)",
    ),
    "logits in a list": (
        ops.cross_entropy,
        ([[0.0, 1.0]], LABELS[:1]),
        f"logits {NO_ARRAY} first",
    ),
    "scores that are one row": (
        attention.attend,
        (SCORES[0], VALUE),
        "scores must have at least 2 axes, but its shape is (5,)",
    ),
    "a value in a list": (
        attention.attend,
        (SCORES, [[1.0]]),
        f"value {NO_ARRAY} first",
    ),
    "fewer values than scores": (
        attention.attend,
        (SCORES, VALUE[:2]),
        "scores has 5 positions but value has 2",
    ),
    "batches that do not fit": (
        attention.attend,
        (np.zeros((2, 3, 5)), np.zeros((7, 5, 11))),
        "scores has batch axes (2,) and value has (7,): they must be equal, or 1",
    ),
    "a query that is one vector": (
        attention.scaled_dot_product_attention,
        (QUERY[0], KEY, VALUE),
        "query must have at least 2 axes, but its shape is (7,)",
    ),
    "a query and a key of unlike width": (
        attention.scaled_dot_product_attention,
        (QUERY, KEY[:, :2], VALUE),
        "query has 7 features but key has 2",
    ),
    "a query and a key of unlike batch": (
        attention.scaled_dot_product_attention,
        (np.zeros((2, 3, 7)), np.zeros((11, 5, 7)), VALUE),
        "query has batch axes (2,) and key has (11,): they must be equal, or 1",
    ),
    "fewer values than keys": (
        attention.scaled_dot_product_attention,
        (QUERY, KEY, VALUE[:2]),
        "key has 5 positions but value has 2",
    ),
    "no keys": (
        attention.scaled_dot_product_attention,
        (QUERY, KEY[:0], VALUE[:0]),
        "scores must have at least one entry along the last axis, but its shape is "
        "(3, 0)",
    ),
    "scores of whole numbers": (
        ops.softmax,
        (np.zeros((3, 5), int),),
        "scores must hold floating-point numbers, but its dtype is {int64}",
    ),
    "a query of whole numbers": (
        scores.scaled_dot_scores,
        (np.zeros((3, 7), int), KEY),
        "query must hold floating-point numbers, but its dtype is {int64}",
    ),
    "a key of whole numbers": (
        scores.general_scores,
        (QUERY, np.zeros((5, 7), int), np.zeros((7, 7))),
        "key must hold floating-point numbers, but its dtype is {int64}",
    ),
    "an activation of whole numbers": (
        ops.gelu,
        (IDS,),
        "x must hold floating-point numbers, but its dtype is {int64}",
    ),
    "an activation of a list": (ops.relu, ([1.0],), f"x {NO_ARRAY} first"),
    "a norm of nothing": (
        ops.rms_norm,
        (np.zeros((3, 0)), np.zeros(0)),
        "x must have at least one entry along the last axis, but its shape is (3, 0)",
    ),
    "a gain of another width": (
        ops.rms_norm,
        (SCORES, np.zeros(3)),
        "gain has shape (3,) but x has 5 features: expected (5,)",
    ),
    "a bias of another width": (
        ops.layer_norm,
        (SCORES, np.zeros(5), np.zeros((1, 5))),
        "bias has shape (1, 5) but x has 5 features: expected (5,)",
    ),
    "a linear map of a list": (linear.linear, ([1.0], W_Q), f"x {NO_ARRAY} first"),
    "a linear map of one number": (
        linear.linear,
        (np.array(1.0), W_Q),
        "x must have at least 1 axis, but its shape is ()",
    ),
    "a linear map that is no matrix": (
        linear.linear,
        (QUERY, W_Q[None]),
        "W must have exactly 2 axes, but its shape is (1, 13, 2)",
    ),
    "a linear map of another width": (
        linear.linear,
        (QUERY, W_Q),
        "x has 7 features but W has 2",
    ),
    "a bias of another length": (
        linear.linear,
        (QUERY, W_K, np.zeros(7)),
        "b has shape (7,) but W has 13 rows: expected (13,)",
    ),
    "ids of floats": (
        linear.embed,
        (np.zeros(3), TABLE),
        "ids must hold integers, but its dtype is {float64}",
    ),
    "a table that is no matrix": (
        linear.embed,
        (IDS, TABLE[0]),
        "table must have exactly 2 axes, but its shape is (7,)",
    ),
    "a sum to a longer shape": (
        linear.sum_to,
        (SCORES, (3, 7)),
        "shape is (3, 7), which does not broadcast to x's shape (3, 5)",
    ),
    "lengths in a list": (
        masks.padding_mask,
        ([2, 3], 5),
        f"lengths {NO_ARRAY} first",
    ),
    "lengths of floats": (
        masks.padding_mask,
        (np.zeros(3), 5),
        "lengths must hold integers, but its dtype is {float64}",
    ),
    "a padded length below zero": (
        masks.padding_mask,
        (LENGTHS, -1),
        "n_k must be a whole number from 0 up, got -1",
    ),
    "half a position": (
        masks.causal_mask,
        (2.5,),
        "n must be a whole number from 0 up, got 2.5",
    ),
    "half a key": (
        masks.causal_mask,
        (2, 2.5),
        "n_k must be a whole number from 0 up, got 2.5",
    ),
    "more queries than positions": (
        masks.sliding_window_mask,
        (5, 2, 3),
        "n is 5 but n_k is 3: the queries are the last n of n_k positions, so n_k must "
        "be at least n",
    ),
    "a window of nothing": (
        masks.sliding_window_mask,
        (5, 0),
        "window must be a whole number from 1 up, got 0",
    ),
    "masks that do not fit each other": (
        masks.combine_masks,
        (MASK, None, MASK.T),
        "one mask has shape (3, 5) and another has (5, 3): their axes must be equal, "
        "or 1",
    ),
    "a mask of numbers among masks": (
        masks.combine_masks,
        (MASK, SCORES),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "a query and a key of unlike width in dot": (
        scores.dot_scores,
        (QUERY_OF_2, KEY),
        "query has 2 features but key has 7",
    ),
    "W of general the wrong way round": (
        scores.general_scores,
        (QUERY_OF_2, KEY, np.zeros((7, 2))),
        "W has shape (7, 2) but query has 2 features and key has 7: expected (2, 7)",
    ),
    "W of concat for the query alone": (
        scores.concat_scores,
        (QUERY_OF_2, KEY, W_Q, V_P),
        "W has shape (13, 2) but query has 2 features and key has 7: expected (13, 9)",
    ),
    "v of concat of another length": (
        scores.concat_scores,
        (QUERY_OF_2, KEY, np.zeros((13, 9)), V_P[:5]),
        "v has shape (5,) but W has 13 rows: expected (13,)",
    ),
    "W of concat that is no matrix": (
        scores.concat_scores,
        (QUERY_OF_2, KEY, V_P, V_P),
        "W must have exactly 2 axes, but its shape is (13,)",
    ),
    "W_q of another width": (
        scores.additive_scores,
        (QUERY, KEY, W_Q, W_K, V_P),
        "query has 7 features but W_q has 2",
    ),
    "W_q that is no matrix": (
        scores.additive_scores,
        (QUERY, KEY, V_P, W_K, V_P),
        "W_q must have exactly 2 axes, but its shape is (13,)",
    ),
    "W_k of another hidden layer": (
        scores.additive_scores,
        (QUERY_OF_2, KEY, W_Q, W_K[:5], V_P),
        "W_k has shape (5, 7) but W_q has 13 rows and key has 7 features: expected "
        "(13, 7)",
    ),
    "v of another hidden layer": (
        attention.additive_attention,
        (QUERY_OF_2, KEY, VALUE, W_Q, W_K, V_P[:5]),
        "v has shape (5,) but W_q has 13 rows: expected (13,)",
    ),
    "an additive query that is one vector": (
        scores.additive_scores,
        (QUERY_OF_2[0], KEY, W_Q, W_K, V_P),
        "query must have at least 2 axes, but its shape is (2,)",
    ),
    "an additive key that is one vector": (
        scores.additive_scores,
        (QUERY_OF_2, KEY[0], W_Q, W_K, V_P),
        "key must have at least 2 axes, but its shape is (7,)",
    ),
    "an additive pair of unlike batch": (
        scores.additive_scores,
        (np.zeros((2, 3, 2)), np.zeros((11, 5, 7)), W_Q, W_K, V_P),
        "query has batch axes (2,) and key has (11,): they must be equal, or 1",
    ),
    "fewer values than keys in additive attention": (
        attention.additive_attention,
        (QUERY_OF_2, KEY, VALUE[:2], W_Q, W_K, V_P),
        "key has 5 positions but value has 2",
    ),
    "more keys than a location has rows": (
        scores.location_scores,
        (QUERY, TABLE, 11),
        "n_k is 11 but W has 5 rows, one for each position: expected at most 5 keys",
    ),
    "no keys for a location": (
        scores.location_scores,
        (QUERY, TABLE, 0),
        "n_k must be a whole number from 1 up, got 0",
    ),
    "a location of another width": (
        scores.location_scores,
        (QUERY_OF_2, TABLE, 5),
        "query has 2 features but W has 7",
    ),
    "a location of whole numbers": (
        scores.location_scores,
        (np.zeros((3, 7), int), TABLE, 5),
        "query must hold floating-point numbers, but its dtype is {int64}",
    ),
    "a location of one vector": (
        scores.location_scores,
        (QUERY[0], TABLE, 5),
        "query must have at least 2 axes, but its shape is (7,)",
    ),
    "a location with no matrix": (
        scores.location_scores,
        (QUERY, TABLE[0], 5),
        "W must have exactly 2 axes, but its shape is (7,)",
    ),
    "centres for less than a query": (
        local.monotonic_centre,
        (-1,),
        "n_q must be a whole number from 0 up, got -1",
    ),
    "a predictor of one vector": (
        local.predicted_centre,
        (QUERY[0], W_P, V_P, LENGTH),
        "query must have at least 2 axes, but its shape is (7,)",
    ),
    "a predictor of whole numbers": (
        local.predicted_centre,
        (np.zeros((3, 7), int), W_P, V_P, LENGTH),
        "query must hold floating-point numbers, but its dtype is {int64}",
    ),
    "a predictor with no matrix": (
        local.predicted_centre,
        (QUERY, V_P, V_P, LENGTH),
        "W_p must have exactly 2 axes, but its shape is (13,)",
    ),
    "a predictor of another width": (
        local.predicted_centre,
        (QUERY_OF_2, W_P, V_P, LENGTH),
        "query has 2 features but W_p has 7",
    ),
    "a predictor with v too short": (
        local.predicted_centre,
        (QUERY, W_P, V_P[:5], LENGTH),
        "v_p has shape (5,) but W_p has 13 rows: expected (13,)",
    ),
    "lengths as one plain number": (
        local.predicted_centre,
        (QUERY, W_P, V_P, 5),
        "lengths must be an array, but it is a int: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "lengths of another batch": (
        local.predicted_centre,
        (np.zeros((2, 3, 7)), W_P, V_P, LENGTHS),
        "query has batch axes (2,) and lengths has (3,): they must be equal, or 1",
    ),
    "one centre for all": (
        local.local_mask,
        (np.array(1.0), 2, 5),
        "centre must have at least 1 axis, but its shape is ()",
    ),
    "centres of whole numbers": (
        local.nearness,
        (LABELS, 2, 5),
        "centre must hold floating-point numbers, but its dtype is {int64}",
    ),
    "a window of no width": (
        local.local_attention,
        (SCORES, VALUE, CENTRE, 0),
        "half_width must be a whole number from 1 up, got 0",
    ),
    "a window over half a key": (
        local.local_mask,
        (CENTRE, 2, 0.5),
        "n_k must be a whole number from 0 up, got 0.5",
    ),
    "fewer centres than queries": (
        local.gaussian_local_attention,
        (SCORES, VALUE, CENTRE[:2], 2),
        "centre has shape (2,) but scores have (3, 5): expected a shape that "
        "broadcasts to (3,)",
    ),
    "a local mask transposed": (
        local.local_attention,
        (SCORES, VALUE, CENTRE, 2, MASK.T),
        "mask has shape (5, 3), which does not broadcast to the scores' shape (3, 5)",
    ),
}
REFUSED |= {
    f"label_smoothing {smoothing!r}": (
        ops.cross_entropy,
        (SCORES, LABELS, None, smoothing),
        f"label_smoothing must be a number from 0 to 1, got {smoothing!r}",
    )
    for smoothing in (-0.1, 1.5, float("nan"), "some", None)
}
REFUSED |= {
    f"temperature {temperature!r}": (
        attention.scaled_dot_product_attention,
        (QUERY, KEY, VALUE, None, temperature),
        f"temperature must be a positive number, got {temperature!r}",
    )
    for temperature in (0, -1.0, float("nan"), "warm", None)
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, *REFUSED[case])


MIXED = {
    "scores and value": (attention.attend, (SCORES, VALUE)),
    "scores and mask": (attention.attend, (SCORES, VALUE, MASK)),
    "query and key": (attention.scaled_dot_product_attention, (QUERY, KEY, VALUE)),
    "scores and mask of softmax": (ops.masked_softmax, (SCORES, MASK)),
    "logits and target": (ops.cross_entropy, (SCORES, LABELS)),
    "logits and mask": (ops.cross_entropy, (SCORES, LABELS, MASK[:, 0])),
    "x and gain": (ops.rms_norm, (SCORES, SCORES[0])),
    "x and bias": (ops.layer_norm, (SCORES, SCORES[0], SCORES[0])),
    "x and W": (linear.linear, (QUERY, W_K)),
    "x and b": (linear.linear, (QUERY, W_K, V_P)),
    "ids and table": (linear.embed, (IDS, TABLE)),
    "query and W": (scores.general_scores, (QUERY_OF_2, KEY, W_Q[:7].T)),
    "query and v": (scores.additive_scores, (QUERY_OF_2, KEY, W_Q, W_K, V_P)),
    "query and v of concat": (
        scores.concat_scores,
        (QUERY_OF_2, KEY, np.zeros((13, 9)), V_P),
    ),
    "query and W of location": (scores.location_scores, (QUERY, TABLE, 5)),
    "mask and other_mask": (masks.combine_masks, (MASK, MASK)),
    "scores and centre": (local.local_attention, (SCORES, VALUE, CENTRE, 2)),
    "query and lengths": (local.predicted_centre, (QUERY, W_P, V_P, LENGTH)),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", MIXED)
def test_arrays_and_tensors_in_one_call_are_refused_in_one_sentence(case, half):
    function, arguments = MIXED[case]
    one, other, *_ = case.replace(" and", "").split()
    names = function.__code__.co_varnames
    place = names.index(other) if other in names else 1  # combine_masks(*masks)
    here, there = "NumPy array", "PyTorch tensor"
    changed = list(arguments)
    (changed[place],) = to_torch(np.asarray(arguments[place]))
    if half == "torch":
        here, there, function = there, here, twin_of(function)
        changed = [
            to_torch(argument)[0] if isinstance(argument, np.ndarray) else argument
            for argument in arguments
        ]
        changed[place] = np.asarray(arguments[place])
    with pytest.raises(TypeError) as error:
        function(*changed)
    assert str(error.value) == (
        f"{one} is a {here} but {other} is a {there}: convert one of them first"
    )


def test_the_backward_of_a_loss_refuses_what_the_loss_refuses():
    with pytest.raises(ValueError, match="^target has shape"):
        ops.cross_entropy_backward(SCORES, LABELS[:2])


@pytest.mark.parametrize("temperature", [2, 2.0, np.float32(2), np.int64(2)])
def test_any_kind_of_positive_number_is_a_temperature(temperature):
    output, _ = attention.scaled_dot_product_attention(
        QUERY, KEY, VALUE, temperature=temperature
    )
    assert output.shape == (3, 11)
