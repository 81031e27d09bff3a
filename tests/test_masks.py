"""Masks: who may look at whom, in both halves of the library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import device_or_skip, drawn, to_torch, twin_of

from course_lib.in_numpy import masks


def test_causal_mask_of_three_by_hand():
    expected = [[True, False, False], [True, True, False], [True, True, True]]
    assert masks.causal_mask(3).tolist() == expected


def test_padding_mask_by_hand():
    mask = masks.padding_mask(np.array([2, 0, 3]), 3)
    expected = [[[True, True, False]], [[False] * 3], [[True] * 3]]
    assert mask.tolist() == expected


@drawn
@given(n=st.integers(0, 13))
def test_position_i_sees_exactly_i_plus_one_positions(n):
    mask = masks.causal_mask(n)
    assert mask.shape == (n, n)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask.sum(axis=-1), np.arange(1, n + 1))
    np.testing.assert_array_equal(twin_of(masks.causal_mask)(n).numpy(), mask)


@drawn
@given(lengths=st.lists(st.integers(0, 11), max_size=7), n_k=st.integers(0, 11))
def test_padding_mask_keeps_the_first_length_positions(lengths, n_k):
    lengths = np.array(lengths, dtype=int)
    mask = masks.padding_mask(lengths, n_k)
    assert mask.shape == (len(lengths), 1, n_k)
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask[:, 0].sum(axis=-1), np.minimum(lengths, n_k))
    np.testing.assert_array_equal(np.sort(mask)[..., ::-1], mask)  # no hole in a row
    twin = twin_of(masks.padding_mask)(*to_torch(lengths), n_k)
    np.testing.assert_array_equal(twin.numpy(), mask)


def test_padding_and_causal_masks_combine():
    padding = masks.padding_mask(np.array([2, 3, 5]), 5)  # (3, 1, 5)
    both = padding & masks.causal_mask(5)
    assert both.shape == (3, 5, 5)
    assert both[0, 4].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twins_stay_on_the_device_they_are_given(device):
    device_or_skip(device)
    (lengths,) = to_torch(np.array([2, 3, 5]), device=device)
    padding = twin_of(masks.padding_mask)(lengths, 7)
    assert padding.device.type == device
    assert padding.shape == (3, 1, 7)
    causal = twin_of(masks.causal_mask)(5, device=device)
    assert causal.device.type == device
    assert causal.shape == (5, 5)


@pytest.mark.parametrize("half", ["numpy", "torch"])
def test_lengths_that_are_no_array_are_refused_in_one_sentence(half):
    function = masks.padding_mask if half == "numpy" else twin_of(masks.padding_mask)
    with pytest.raises(
        TypeError, match="^lengths must be an array, but it is a list: "
    ):
        function([2, 3], 5)
