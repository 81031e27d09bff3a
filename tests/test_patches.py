"""Images cut into patches and put together again, in both halves of the library."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.patches import (
    patchify,
    patchify_backward,
    unpatchify,
    unpatchify_backward,
)


def test_four_patches_by_hand():
    image = np.arange(16).reshape(4, 4, 1)
    assert patchify(image, 2).tolist() == [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
        [8, 9, 12, 13],
        [10, 11, 14, 15],
    ]


def test_the_channels_of_a_pixel_stay_together():
    image = np.arange(12).reshape(2, 2, 3)
    assert patchify(image, 1).tolist() == image.reshape(4, 3).tolist()
    assert patchify(image, 2).tolist() == [list(range(12))]


@drawn
@given(
    seed=SEEDS,
    batch=st.sampled_from([(), (2,), (2, 5), (0,)]),
    rows=st.integers(1, 3),
    columns=st.integers(1, 5),
    size=st.integers(1, 3),
    channels=st.integers(1, 4),
)
def test_twins_agree_and_undo_each_other(seed, batch, rows, columns, size, channels):
    height, width = rows * size, columns * size
    image = np.random.default_rng(seed).normal(size=(*batch, height, width, channels))
    patches = patchify(image, size)
    assert patches.shape == (*batch, rows * columns, size * size * channels)
    np.testing.assert_array_equal(unpatchify(patches, height, width, size), image)
    (theirs,) = to_torch(image)
    cut = twin_of(patchify)(theirs, size)
    back = twin_of(unpatchify)(cut, height, width, size)
    assert_all_close([cut, back], [patches, image], **TOLERANCE["float64"])


def test_gradients_are_autograd_s_and_those_of_central_differences():
    rng = np.random.default_rng(0)
    image, d_patches = rng.normal(size=(2, 6, 9, 5)), rng.normal(size=(2, 6, 45))
    patches, d_image = rng.normal(size=(2, 6, 45)), rng.normal(size=(2, 6, 9, 5))
    cases = [
        (patchify, patchify_backward, (3,), image, d_patches),
        (unpatchify, unpatchify_backward, (6, 9, 3), patches, d_image),
    ]
    for forward, backward, rest, x, d_output in cases:
        ours = backward(d_output, x, *rest)
        tensors = to_torch(x, requires_grad=True)
        assert_all_close(
            autograd(twin_of(forward)(*tensors, *rest), tensors, d_output),
            [ours],
            **GRADIENT_TOLERANCE,
        )
        small, d_small = x[:1], d_output[:1]
        differences = central_differences(
            lambda a, f=forward, r=rest: f(a, *r), [small], d_small
        )
        assert_all_close(
            differences, [backward(d_small, small, *rest)], **GRADIENT_TOLERANCE
        )


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twins_stay_on_their_device(device):
    device_or_skip(device)
    (image,) = to_torch(np.zeros((2, 6, 9, 5)), device=device)
    patches = twin_of(patchify)(image, 3)
    assert patches.shape == (2, 6, 45) and patches.device.type == device
    assert twin_of(unpatchify)(patches, 6, 9, 3).shape == image.shape


IMAGE, PATCHES = np.zeros((6, 9, 5)), np.zeros((6, 45))
REFUSED = {
    "no third axis": (
        patchify,
        (IMAGE[0], 3),
        "image must have at least 3 axes, but its shape is (9, 5)",
    ),
    "a height that does not fit": (
        patchify,
        (IMAGE[:5], 3),
        "height must be a multiple of size, but height is 5 and size is 3",
    ),
    "a width that does not fit": (
        patchify,
        (IMAGE, 6),
        "width must be a multiple of size, but width is 9 and size is 6",
    ),
    "no size": (
        patchify,
        (IMAGE, 0),
        "size must be a whole number from 1 up, got 0",
    ),
    "patches of another image": (
        unpatchify,
        (PATCHES, 9, 9, 3),
        "patches has shape (6, 45) but an image of 9 x 9 in squares of 3 has 9 patches "
        "of a multiple of 9 numbers",
    ),
    "patches of another size": (
        unpatchify,
        (PATCHES, 4, 6, 2),
        "patches has shape (6, 45) but an image of 4 x 6 in squares of 2 has 6 patches "
        "of a multiple of 4 numbers",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    function, (array, *rest), sentence = REFUSED[case]
    if half == "torch":
        function, (array,) = twin_of(function), to_torch(array)
    with pytest.raises(ValueError) as error:
        function(array, *rest)
    assert str(error.value) == sentence
