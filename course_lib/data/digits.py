"""Strings of digits, and the same strings from the end: the simplest translation."""

from course_lib.data.splits import sample_sequences
from course_lib.data.vocabulary import Vocabulary, make_pairs

DIGITS = Vocabulary("0123456789")


def reversed_digits(n, lengths, split, rng):
    """Random strings of digits, each with its reversal: "1 2 3" becomes "3 2 1".

    Args:
        n:       int, how many
        lengths: how many digits a string may have; each is equally likely
        split:   "train" or "test"; no string is in both
        rng:     np.random.Generator

    Returns:
        `Pairs` of n rows, encoded with `DIGITS`; length is the number of digits.
    """
    sequences, chosen = sample_sequences(
        n, lengths, lambda length, rng: rng.integers(0, 10, length), split, rng
    )
    sources = [[str(digit) for digit in sequence] for sequence in sequences]
    targets = [source[::-1] for source in sources]
    return make_pairs(sources, targets, chosen, DIGITS, DIGITS)
