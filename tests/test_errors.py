"""Bad input is refused in one sentence: which argument, what it was, what was expected.

Both halves of the library say the same sentence.
"""

import numpy as np
import pytest
from twins import to_torch, twin_of

from course_lib.in_numpy import attention, ops

SCORES = np.zeros((3, 5))
MASK = np.ones((3, 5), bool)
LABELS = np.zeros(3, int)
QUERY, KEY, VALUE = np.zeros((3, 7)), np.zeros((5, 7)), np.zeros((5, 11))
NO_ARRAY = (
    "must be an array, but it is a list: convert it with np.asarray or torch.tensor"
)

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
} | {
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
    function, arguments, sentence = REFUSED[case]
    float64 = "float64"
    if half == "torch":
        function, float64 = twin_of(function), "torch.float64"
        arguments = [
            to_torch(argument)[0] if isinstance(argument, np.ndarray) else argument
            for argument in arguments
        ]
    with pytest.raises((TypeError, ValueError)) as error:
        function(*arguments)
    assert str(error.value) == sentence.replace("{float64}", float64)


def test_the_backward_of_a_loss_refuses_what_the_loss_refuses():
    with pytest.raises(ValueError, match="^target has shape"):
        ops.cross_entropy_backward(SCORES, LABELS[:2])


@pytest.mark.parametrize("temperature", [2, 2.0, np.float32(2), np.int64(2)])
def test_any_kind_of_positive_number_is_a_temperature(temperature):
    output, _ = attention.scaled_dot_product_attention(
        QUERY, KEY, VALUE, temperature=temperature
    )
    assert output.shape == (3, 11)
