"""Words as numbers: a vocabulary, and sequences of different length in one array."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

PAD, START, END = 0, 1, 2
SPECIAL = ("<pad>", "<start>", "<end>")


class Vocabulary:
    """Words with their ids. The first three stand for padding, start and end."""

    def __init__(self, words):
        """Take the words in the order given; each once."""
        self.words = (*SPECIAL, *dict.fromkeys(words))
        self._id_of = {word: index for index, word in enumerate(self.words)}

    def __len__(self):
        return len(self.words)

    def encode(self, words):
        """A list of words as a list of ids."""
        unknown = [word for word in words if word not in self._id_of]
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not among the {len(self)} words of this vocabulary"
            )
        return [self._id_of[word] for word in words]

    def decode(self, ids):
        """Ids as a list of words, up to the first end or padding."""
        real = takewhile(lambda index: index not in (PAD, END), map(int, ids))
        return [self.words[index] for index in real]


@dataclass(frozen=True)
class Pairs:
    """Sequences and what they should become, one pair a row.

    Attributes:
        source: (n, n_source) ids, PAD behind each sequence
        target: (n, n_target) ids, each sequence closed by END, then PAD
        length: (n,) what accuracy is sorted by: items of a list, or digits
    """

    source: np.ndarray
    target: np.ndarray
    length: np.ndarray

    @property
    def source_mask(self):
        """(n, n_source) bool, True = a word and not padding."""
        return self.source != PAD

    @property
    def target_mask(self):
        """(n, n_target) bool, True = a word or END and not padding."""
        return self.target != PAD

    @property
    def target_input(self):
        """(n, n_target) what a decoder reads: START, then the target one step late."""
        start = np.full((len(self.target), 1), START)
        return np.concatenate([start, self.target[:, :-1]], axis=1)


def pad(sequences: Sequence[Sequence[int]]):
    """Sequences of ids as one array (n, longest), filled up with PAD behind."""
    longest = max(map(len, sequences), default=0)
    array = np.full((len(sequences), longest), PAD)
    for row, sequence in zip(array, sequences, strict=True):
        row[: len(sequence)] = sequence
    return array


def make_pairs(sources, targets, lengths, source_vocabulary, target_vocabulary):
    """Lists of words as `Pairs`; END is put behind each target."""
    return Pairs(
        pad([source_vocabulary.encode(words) for words in sources]),
        pad([[*target_vocabulary.encode(words), END] for words in targets]),
        np.array(lengths),
    )


def reverse_source(pairs):
    """The same pairs, each source read from its end; the padding stays behind.

    Sutskever, Vinyals and Le 2014, arXiv:1409.3215, section 3.3.
    """
    flipped = [row[row != PAD][::-1] for row in pairs.source]
    source = np.full_like(pairs.source, PAD)
    for row, sequence in zip(source, flipped, strict=True):
        row[: len(sequence)] = sequence
    return replace(pairs, source=source)
