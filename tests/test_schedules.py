"""Learning-rate schedules: numbers by hand, and the papers' formulas."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import drawn

from course_lib.training.schedules import (
    linear_to_zero,
    warm_up_cosine,
    warm_up_inverse_sqrt,
)

STEPS, WARM_UP = 13, 5


def test_schedules_by_hand():
    assert [linear_to_zero(step, 4) for step in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    rising = [0.2, 0.4, 0.6, 0.8, 1]
    ours = [warm_up_inverse_sqrt(step, STEPS, WARM_UP) for step in range(20)]
    assert ours[:5] == pytest.approx(rising)
    assert ours[19] == pytest.approx(0.5)  # at four times the warm-up, half
    ours = [warm_up_cosine(step, STEPS, WARM_UP) for step in range(STEPS)]
    assert ours[:5] == pytest.approx(rising)
    # 9 steps from the top down to nothing: the angle grows by 20 degrees each.
    assert ours[7] == pytest.approx(0.75)  # cos 60 = 1/2
    assert ours[10] == pytest.approx(0.25)  # cos 120 = -1/2
    assert ours[12] == pytest.approx((1 + math.cos(math.radians(160))) / 2)


@drawn
@given(
    d_model=st.integers(1, 512), warm_up=st.integers(1, 4000), n=st.integers(1, 9999)
)
def test_the_inverse_square_root_is_the_formula_of_the_paper(d_model, warm_up, n):
    ours = (d_model * warm_up) ** -0.5 * warm_up_inverse_sqrt(n - 1, None, warm_up)
    assert ours == pytest.approx(d_model**-0.5 * min(n**-0.5, n * warm_up**-1.5))


@drawn
@given(steps=st.integers(1, 300), data=st.data())
def test_a_warm_up_rises_to_its_top_and_never_again(steps, data):
    warm_up = data.draw(st.integers(1, steps))
    for schedule in (warm_up_cosine, warm_up_inverse_sqrt):
        factors = [schedule(step, steps, warm_up) for step in range(steps)]
        assert factors[warm_up - 1] == max(factors) == 1
        assert min(factors) > 0  # the last step still moves
        assert factors[:warm_up] == sorted(factors[:warm_up])
        assert factors[warm_up - 1 :] == sorted(factors[warm_up - 1 :], reverse=True)


def test_the_cosine_ends_at_zero_behind_the_last_step():
    assert warm_up_cosine(STEPS, STEPS, WARM_UP) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("schedule", "warm_up", "sentence"),
    [
        (warm_up_inverse_sqrt, 0, "warm_up must be a whole number from 1 up, got 0"),
        (warm_up_cosine, 0, "warm_up must be a whole number from 1 up, got 0"),
        (warm_up_cosine, 14, "warm_up must be at most 13, the steps, got 14"),
    ],
)
def test_a_warm_up_that_cannot_be_is_refused_in_one_sentence(
    schedule, warm_up, sentence
):
    with pytest.raises(ValueError) as error:
        schedule(3, STEPS, warm_up)
    assert str(error.value) == sentence
