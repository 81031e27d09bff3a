"""Small pictures of two shapes, the five words that describe them, and a checker.

"red circle above blue square": two objects of different colours on a black canvas of
16 x 16 pixels. The checker reads a picture, drawn or generated, and says whether it
shows what its caption says.
"""

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from course_lib.data.splits import SPLITS, in_test_split
from course_lib.data.vocabulary import Vocabulary
from course_lib.shapes.basic import check_choice, check_count

SIDE, BOX = 16, 6  # pixels on a side of the canvas, and of an object
COLOURS = {
    "red": (1, -1, -1),
    "green": (-1, 1, -1),
    "blue": (-1, -1, 1),
    "yellow": (1, 1, -1),
}
PALETTE = np.array([(-1, -1, -1), *COLOURS.values()], np.float32)  # black first
_ROWS = {
    "square": "###### ###### ###### ###### ###### ######",
    "circle": ".####. ###### ###### ###### ###### .####.",
    "triangle": "..##.. ..##.. .####. .####. ###### ######",
    "cross": "..##.. ..##.. ###### ###### ..##.. ..##..",
}
SHAPES = {
    name: np.array([[c == "#" for c in row] for row in rows.split()])
    for name, rows in _ROWS.items()
}
# Where the second object lies from the first: (rows down, columns right).
RELATIONS = {"above": (1, 0), "below": (-1, 0), "left-of": (0, 1), "right-of": (0, -1)}
WORDS = Vocabulary([*COLOURS, *SHAPES, *RELATIONS])
_LEAST_OVERLAP = 0.6  # of an object with its shape, for the checker to know it


@dataclass(frozen=True)
class CaptionedShapes:
    """Pictures and what they show.

    Attributes:
        image:   (n, 16, 16, 3) float32, -1 or 1: no light and full light
        caption: (n, 5) ids of `WORDS`: colour, shape, relation, colour, shape
    """

    image: np.ndarray
    caption: np.ndarray


def captions(split, relations=tuple(RELATIONS)):
    """Every caption of one split, as lists of five words; the colours differ.

    Args:
        split:     "train" or "test", which has about one caption in five
        relations: those of `RELATIONS` to use
    """
    check_choice("split", split, SPLITS)
    if not relations:
        raise ValueError("relations must name at least one relation")
    for relation in relations:
        check_choice("relations", relation, tuple(RELATIONS))
    objects = product(permutations(COLOURS, 2), SHAPES, relations, SHAPES)
    every = [[one, a, where, other, b] for (one, other), a, where, b in objects]
    chosen = split == "test"
    return [words for words in every if in_test_split(WORDS.encode(words)) == chosen]


def captioned_shapes(n, split, rng, relations=tuple(RELATIONS)):
    """Random pictures of the captions of one split.

    Args:
        n:         int, how many
        split:     "train" or "test"; no caption is in both
        rng:       np.random.Generator
        relations: those of `RELATIONS` to use

    Returns:
        `CaptionedShapes` of n pictures.
    """
    check_count("n", n, 0)
    known = captions(split, relations)
    chosen = [known[i] for i in rng.integers(0, len(known), n)]
    image = np.empty((n, SIDE, SIDE, 3), np.float32)
    for row, words in zip(image, chosen, strict=True):
        row[:] = draw_caption(words, rng)
    ids = np.array([WORDS.encode(words) for words in chosen], int).reshape(n, 5)
    return CaptionedShapes(image, ids)


def draw_caption(words, rng):
    """A picture of a caption: each object anywhere in its half of the canvas.

    Args:
        words: five words, as from `captions`
        rng:   np.random.Generator

    Returns:
        image (16, 16, 3) float32.
    """
    colour, shape, relation, other_colour, other_shape = words
    image = np.full((SIDE, SIDE, 3), -1, np.float32)
    step = np.array(RELATIONS[relation])
    for towards, kind, paint in ((-1, shape, colour), (1, other_shape, other_colour)):
        room = SIDE - BOX - np.abs(step) * SIDE // 2  # to move in, down and right
        corner = rng.integers(0, room + 1) + (towards * step == 1) * SIDE // 2
        down, right = corner
        window = image[down : down + BOX, right : right + BOX]
        window[SHAPES[kind]] = COLOURS[paint]
    return image


def nearest_colour(image):
    """Which colour of `PALETTE` each pixel is nearest to.

    Args:
        image: (..., 3), any numbers

    Returns:
        (...) integers; 0 is black.
    """
    distance = ((np.asarray(image)[..., None, :] - PALETTE) ** 2).sum(axis=-1)
    return distance.argmin(axis=-1)


def find_object(image, colour):
    """The object of one colour in a picture: its shape, and where its middle is.

    Args:
        image:  (16, 16, 3), any numbers
        colour: a name in `COLOURS`

    Returns:
        the name of the shape that overlaps it best, and (down, right) in pixels; None
        where nothing of this colour overlaps any shape by 0.6 of their union.
    """
    painted = nearest_colour(image) == 1 + list(COLOURS).index(colour)
    windows = np.lib.stride_tricks.sliding_window_view(painted, (BOX, BOX))
    best, found = _LEAST_OVERLAP, None
    for name, shape in SHAPES.items():
        both = (windows & shape).sum(axis=(-1, -2))  # (11, 11), one for each corner
        overlap = both / (painted.sum() + shape.sum() - both)
        if overlap.max() >= best:
            best, corner = overlap.max(), np.unravel_index(overlap.argmax(), both.shape)
            found = name, np.array(corner) + (BOX - 1) / 2
    return found


def check_picture(image, words):
    """Whether a picture shows what a caption says.

    Args:
        image: (16, 16, 3), any numbers: drawn or generated
        words: five words, as from `captions`

    Returns:
        dict of bools: "first" and "second", whether the object is there in its shape
        and colour, and "relation", whether both are and lie as they should.
    """
    colour, shape, relation, other_colour, other_shape = words
    one, other = find_object(image, colour), find_object(image, other_colour)
    first = one is not None and one[0] == shape
    second = other is not None and other[0] == other_shape
    lies = first and second and (other[1] - one[1]) @ RELATIONS[relation] > BOX / 2
    return {"first": first, "second": second, "relation": bool(lies)}
