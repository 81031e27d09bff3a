"""Images as sequences: cut into patches, each a token, and put together again.

Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1. NumPy, no state.
"""

import numpy as np

from course_lib.shapes.patches import check_image, check_patches


def patchify(image, size):
    """Cut an image into squares; each becomes one row of numbers.

    Args:
        image: (..., height, width, channels)
        size:  int, pixels on a side of a patch; divides height and width

    Returns:
        patches (..., n_patches, size * size * channels), row by row of the image, and
        within a patch pixel by pixel in the same order.
    """
    check_image(image, size)
    *batch, height, width, channels = image.shape
    rows, columns = height // size, width // size
    squares = image.reshape(*batch, rows, size, columns, size, channels)
    squares = np.swapaxes(squares, -4, -3)  # (..., rows, columns, size, size, channels)
    return squares.reshape(*batch, rows * columns, size * size * channels)


def patchify_backward(d_patches, image, size):
    """Gradient of `patchify`, of the shape of the image: the squares put back."""
    height, width, _ = image.shape[-3:]
    return unpatchify(d_patches, height, width, size)


def unpatchify(patches, height, width, size):
    """Put the squares back: `patchify` undone.

    Args:
        patches: (..., n_patches, size * size * channels)
        height, width: of the image, in pixels
        size:    int, pixels on a side of a patch

    Returns:
        image (..., height, width, channels).
    """
    check_patches(patches, height, width, size)
    *batch, _, d_patch = patches.shape
    grid, channels = (height // size, width // size), d_patch // size**2
    squares = patches.reshape(*batch, *grid, size, size, channels)
    squares = np.swapaxes(squares, -4, -3)  # (..., rows, size, columns, size, channels)
    return squares.reshape(*batch, height, width, channels)


def unpatchify_backward(d_image, patches, height, width, size):
    """Gradient of `unpatchify`, of the shape of the patches: cut up again."""
    return patchify(d_image, size)
