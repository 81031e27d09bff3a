"""Seeded sampling of sequences of whole numbers, with a split that never overlaps."""

from zlib import crc32

import numpy as np

from course_lib.shapes.basic import check_count

SPLITS = ("train", "test")


def check_split(split):
    """Refuse what is the name of no split."""
    if split not in SPLITS:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")


def in_test_split(numbers):
    """Whether a sequence of whole numbers is kept for testing: about one in five.

    The answer is a checksum of the sequence. It needs no list of what was seen, and it
    is the same on every machine, so training and test data never share a sequence.
    """
    return crc32(np.asarray(numbers, dtype="<i8").tobytes()) % 5 == 0


def sample_sequences(n, lengths, draw, split, rng):
    """Draw n sequences of one split, each of a length chosen evenly from `lengths`.

    Args:
        n:       int, how many
        lengths: integers to choose from
        draw:    function of a length and rng, giving that many whole numbers
        split:   "train" or "test"
        rng:     np.random.Generator

    Returns:
        a list of n arrays, and their lengths (n,).
    """
    check_count("n", n, 0)
    check_split(split)
    if len(lengths) == 0 or min(lengths) < 1:
        raise ValueError(f"lengths must be whole numbers from 1 up, got {lengths!r}")
    chosen = rng.choice(np.asarray(lengths), size=n)
    sequences = []
    for length in chosen:
        numbers = draw(length, rng)
        while in_test_split(numbers) != (split == "test"):
            numbers = draw(length, rng)
        sequences.append(numbers)
    return sequences, chosen
