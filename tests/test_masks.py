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
@given(n=st.integers(0, 7), more=st.integers(0, 7))
def test_the_queries_are_the_last_of_the_positions(n, more):
    n_k = n + more
    mask = masks.causal_mask(n, n_k)
    assert mask.shape == (n, n_k)
    np.testing.assert_array_equal(mask, masks.causal_mask(n_k)[more:])
    np.testing.assert_array_equal(twin_of(masks.causal_mask)(n, n_k).numpy(), mask)


def test_a_sliding_window_of_two_by_hand():
    expected = [[0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]]
    assert masks.sliding_window_mask(3, 2, 5).astype(int).tolist() == expected
    expected = [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert masks.sliding_window_mask(3, 2).astype(int).tolist() == expected


@drawn
@given(n=st.integers(0, 7), more=st.integers(0, 7), window=st.integers(1, 9))
def test_a_window_holds_the_query_and_those_just_before_it(n, more, window):
    n_k = n + more
    mask = masks.sliding_window_mask(n, window, n_k)
    assert mask.shape == (n, n_k)
    assert mask.dtype == bool
    for row, position in enumerate(range(more, n_k)):
        seen = np.flatnonzero(mask[row])
        first = max(0, position - window + 1)
        assert seen.tolist() == list(range(first, position + 1))
    twin = twin_of(masks.sliding_window_mask)(n, window, n_k)
    np.testing.assert_array_equal(twin.numpy(), mask)


def test_a_window_as_long_as_the_sequence_is_causal_and_one_is_the_diagonal():
    causal = masks.causal_mask(5, 7)
    np.testing.assert_array_equal(masks.sliding_window_mask(5, 7, 7), causal)
    np.testing.assert_array_equal(masks.sliding_window_mask(5, 1), np.eye(5))


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
    both = masks.combine_masks(padding, masks.causal_mask(5))
    assert both.shape == (3, 5, 5)
    assert both[0, 4].tolist() == [True, True, False, False, False]
    assert both[2, 1].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("half", ["numpy", "torch"])
def test_combined_masks_allow_what_all_allow(half):
    rng = np.random.default_rng(1)
    arrays = [rng.random(shape) < 0.7 for shape in [(3, 1, 7), (5, 7), (7,), ()]]
    kept = [array.copy() for array in arrays]
    given, combine = list(arrays), masks.combine_masks
    if half == "torch":
        given, combine = to_torch(*given), twin_of(combine)
    found = combine(given[0], None, *given[1:])
    expected = kept[0] & kept[1] & kept[2] & kept[3]
    np.testing.assert_array_equal(np.asarray(found), expected)
    np.testing.assert_array_equal(np.asarray(combine(None, given[1])), kept[1])
    assert combine() is None
    assert combine(None, None) is None
    for mask, same in zip(given, kept, strict=True):
        np.testing.assert_array_equal(np.asarray(mask), same)


def test_padding_masks_have_the_batch_axes_of_the_lengths():
    lengths = np.array([[2, 3, 5], [7, 0, 1]])
    assert masks.padding_mask(lengths, 7).shape == (2, 3, 1, 7)
    assert masks.padding_mask(lengths[0, 1], 7).tolist() == [[True] * 3 + [False] * 4]


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
    window = twin_of(masks.sliding_window_mask)(5, 2, 7, device=device)
    assert window.device.type == device
    both = twin_of(masks.combine_masks)(padding, window)
    assert both.device.type == device
    assert both.shape == (3, 5, 7)
