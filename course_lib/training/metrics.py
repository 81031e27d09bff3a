"""How good a translation is: by word, by whole sequence, and by length."""

import numpy as np

from course_lib.data.vocabulary import PAD


def token_accuracy(predicted, target):
    """Share of the words of the target, END included, that stand where they should.

    Args:
        predicted: (n, n_predicted) ids, n_predicted >= n_target
        target:    (n, n_target) ids, PAD behind each sequence

    Returns:
        a number from 0 to 1; nan where there is no word at all.
    """
    right, real = _compare(predicted, target)
    return float(right.sum() / real.sum()) if real.any() else float("nan")


def sequence_correct(predicted, target):
    """Which sequences are right in every word and end where they should.

    Args: as for `token_accuracy`.

    Returns:
        (n,) bool.
    """
    right, real = _compare(predicted, target)
    return (right == real).all(axis=-1)


def accuracy_by_length(correct, length, bins):
    """Share of right sequences in each bin of lengths.

    Args:
        correct: (n,) bool
        length:  (n,) integers
        bins:    pairs (shortest, longest), both included

    Returns:
        list of a number from 0 to 1 for each bin; nan where no length falls in it.
    """
    if len(correct) != len(length):
        raise ValueError(
            f"correct has {len(correct)} sequences but length has {len(length)}"
        )
    shares = []
    for shortest, longest in bins:
        inside = (np.asarray(length) >= shortest) & (np.asarray(length) <= longest)
        chosen = np.asarray(correct)[inside]
        shares.append(float(chosen.mean()) if len(chosen) else float("nan"))
    return shares


def _compare(predicted, target):
    """Where the prediction is right, and where the target has a word: (n, n_target)."""
    predicted, target = np.asarray(predicted), np.asarray(target)
    if len(predicted) != len(target) or predicted.shape[-1] < target.shape[-1]:
        raise ValueError(
            f"predicted has shape {predicted.shape} but target has {target.shape}: "
            "expected as many rows and at least as many columns"
        )
    real = target != PAD
    return (predicted[:, : target.shape[-1]] == target) & real, real
