"""Images as sequences, in PyTorch. Twin of `in_numpy.patches`."""

from course_lib.shapes.patches import check_image, check_patches


def patchify(image, size):
    """Twin of `in_numpy.patches.patchify`; shapes as there."""
    check_image(image, size)
    *batch, height, width, channels = image.shape
    rows, columns = height // size, width // size
    squares = image.reshape(*batch, rows, size, columns, size, channels)
    squares = squares.transpose(-4, -3)  # (..., rows, columns, size, size, channels)
    return squares.reshape(*batch, rows * columns, size * size * channels)


def unpatchify(patches, height, width, size):
    """Twin of `in_numpy.patches.unpatchify`; shapes as there."""
    check_patches(patches, height, width, size)
    *batch, _, d_patch = patches.shape
    grid, channels = (height // size, width // size), d_patch // size**2
    squares = patches.reshape(*batch, *grid, size, size, channels)
    squares = squares.transpose(-4, -3)  # (..., rows, size, columns, size, channels)
    return squares.reshape(*batch, height, width, channels)
