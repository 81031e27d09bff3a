"""How good a model is: by word, sequence and length; alignment, BLEU and bits."""

import math

import numpy as np

from course_lib.data.vocabulary import PAD
from course_lib.shapes.basic import check_count


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


def alignment_error_rate(predicted, gold):
    """Share of the links between words, found or gold, that the other side lacks.

    1 - (|A & S| + |A & P|) / (|A| + |S|) with links A found, S sure and P possible
    (Och and Ney 2003, "A systematic comparison of various statistical alignment
    models"); here every gold link is sure, so S and P are the same.

    Args:
        predicted: integers, for each target word the position of its source word; below
            0 where it has none. From attention: `weights.argmax(-1)`.
        gold:      integers of the same shape, as from `number_words.gold_alignment`

    Returns:
        a number from 0 (all links the same) to 1; nan where there is no link at all.
    """
    predicted, gold = np.asarray(predicted), np.asarray(gold)
    if predicted.shape != gold.shape:
        raise ValueError(
            f"predicted has shape {predicted.shape} but gold has {gold.shape}"
        )
    n_links = (predicted >= 0).sum() + (gold >= 0).sum()
    n_same = ((predicted == gold) & (gold >= 0)).sum()
    return float(1 - 2 * n_same / n_links) if n_links else float("nan")


def bleu(predicted, target):
    """BLEU of a whole set of translations, from 0 to 100.

    Papineni et al. 2002, computed by sacrebleu (Post 2018, arXiv:1804.08771) on words
    as they are given, with nothing split further.

    Args:
        predicted: list of translations, each a list of words
        target:    list of as many right ones
    """
    try:
        from sacrebleu import corpus_bleu
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "bleu needs sacrebleu: pip install sacrebleu"
        ) from None
    if len(predicted) != len(target):
        raise ValueError(
            f"predicted has {len(predicted)} translations but target has {len(target)}"
        )
    said, right = ([" ".join(words) for words in side] for side in (predicted, target))
    return corpus_bleu(said, [right], tokenize="none", force=True).score


def bits_per_character(nats, n_characters):
    """Cross-entropy in bits for each character: comparable between vocabularies.

    Args:
        nats:         the cross-entropy of a whole text, summed over its words
        n_characters: how many characters the text has
    """
    check_count("n_characters", n_characters)
    return nats / math.log(2) / n_characters


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
