"""Cluttered digits: one whole digit on a canvas, among pieces of other digits.

The digits are scikit-learn's 1,797 images of 8 x 8 pixels, which come in its package.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from course_lib.data.splits import SPLITS, in_test_split
from course_lib.in_numpy.patches import patchify
from course_lib.shapes.basic import check_choice, check_count

CELL = 8  # pixels on a side of a digit, and of the cell of the canvas that it fills
PIECE = 4  # pixels on a side of a piece of clutter
CLUTTER = 40  # pieces on a canvas, if nobody says


@dataclass(frozen=True)
class Glimpses:
    """Cluttered canvases, the digit in each, and where it is.

    Attributes:
        images:   (n, size, size) float32, from 0 to 1 in steps of 1/16
        label:    (n,) which digit it is, 0 to 9
        position: (n,) which patch it fills
    """

    images: np.ndarray
    label: np.ndarray
    position: np.ndarray

    @property
    def patches(self):
        """(n, n_patches, 64) the cells of the canvas, row by row, pixels likewise."""
        return patchify(self.images[..., None], CELL)


@lru_cache
def digit_images(split):
    """The digits of one split: images (n, 8, 8) float32 from 0 to 1, and labels (n,).

    The split follows from the pixels, so no image is in both. The arrays are shared and
    cannot be written to.

    Args:
        split: "train" or "test", which has about one image in five
    """
    check_choice("split", split, SPLITS)
    from sklearn.datasets import load_digits  # it takes long to import

    digits = load_digits()
    kept = [
        in_test_split(pixels) == (split == "test")
        for pixels in digits.images.astype(int)
    ]
    arrays = (digits.images[kept] / 16).astype(np.float32), digits.target[kept]
    for array in arrays:
        array.flags.writeable = False
    return arrays


def cluttered_digits(n, split, rng, clutter=CLUTTER, grid=5):
    """Canvases with a digit in one cell of a grid, and clutter in all the others.

    The clutter is pieces of 4 x 4 pixels, cut anywhere from other digits and laid
    anywhere on the canvas. The digit comes last and covers what lies in its cell.

    Args:
        n:       int, how many
        split:   "train" or "test"; digits and pieces both come from this split alone
        rng:     np.random.Generator
        clutter: int, how many pieces on each canvas
        grid:    int, cells on a side of the canvas, each of 8 x 8 pixels

    Returns:
        `Glimpses` of n canvases.
    """
    check_count("n", n, 0)
    check_count("clutter", clutter, 0)
    check_count("grid", grid)
    digits, labels = digit_images(split)
    images = np.zeros((n, grid * CELL, grid * CELL), np.float32)
    for _ in range(clutter):
        piece = _cut(digits[rng.integers(0, len(digits), n)], rng)
        _lay(images, piece, *rng.integers(0, grid * CELL - PIECE + 1, (2, n)))
    chosen = rng.integers(0, len(digits), n)
    position = rng.integers(0, grid * grid, n)
    row, column = np.divmod(position, grid)
    images[_window(row * CELL, column * CELL, CELL)] = digits[chosen]
    return Glimpses(images, labels[chosen], position)


def _cut(digits, rng):
    """A piece of each digit: (n, 8, 8) -> (n, 4, 4)."""
    top, left = rng.integers(0, CELL - PIECE + 1, (2, len(digits)))
    return digits[_window(top, left, PIECE)]


def _lay(images, piece, top, left):
    """Draw a piece onto each image, in place; ink stays where it was."""
    window = _window(top, left, PIECE)
    images[window] = np.maximum(images[window], piece)


def _window(top, left, size):
    """The index of a square of each image, its corner at (top, left)."""
    offset = np.arange(size)
    rows = top[:, None, None] + offset[:, None]  # (n, size, 1)
    columns = left[:, None, None] + offset  # (n, 1, size)
    return np.arange(len(top))[:, None, None], rows, columns
