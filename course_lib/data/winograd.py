"""Sentences in which one adjective decides which noun "it" means.

"The animal didn't cross the street because it was too tired": the animal; "too wide":
the street.

A generated grammar after Winograd's schemas (Levesque, Davis and Morgenstern 2012, "The
Winograd Schema Challenge", KR 2012). Every sentence has a twin that differs in one
adjective and means the other noun. There are two kinds, for two kinds of knowledge:

meaning: who can be tired and what can be wide, wherever they stand;
role:    what has to be small to fit into what, whichever things they are.

Either noun may come first, and "because" may come before or after, all equally often.
So what "it" means is the first noun in half of all sentences, whatever words they have:
order and words decide together. Words alone tell which noun it is in the first kind
("tired": the animal), in the second kind not even that.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from course_lib.data.splits import check_split, in_test_split
from course_lib.data.vocabulary import PAD, Vocabulary, pad
from course_lib.shapes.basic import check_choice, check_count

ANIMALS = "animal dog cat horse cow goat fox bear sheep donkey rabbit duck".split()
PLACES = "street road bridge river field path stream meadow square yard lake".split()
THINGS = "trophy suitcase box bag drum vase lamp basket chest jar crate bucket".split()
VERBS = "cross enter use leave like".split()

# The first noun is the one that the first adjectives tell of: nouns, then adjectives.
KINDS = {
    "meaning": (
        (ANIMALS, PLACES),
        "tired hungry scared sleepy thirsty lazy weak shy".split(),
        "wide slippery muddy busy icy long dark noisy".split(),
    ),
    "role": (
        (THINGS, THINGS),
        "big large bulky tall thick huge fat high".split(),
        "small tiny narrow short little tight thin flat".split(),
    ),
}
CLAUSES = {  # the first noun in front, or behind the second
    "meaning": (
        "the {first} didn't {verb} the {second}",
        "the {second} the {first} didn't {verb}",
    ),
    "role": (
        "the {first} didn't fit into the {second}",
        "into the {second} the {first} didn't fit",
    ),
}
SENTENCES = (
    "{clause} because it was too {adjective}",
    "because it was too {adjective} , {clause}",
)
# Twins that people wrote. The first two are sentences of the grammar, kept for testing.
REAL_TWINS = (
    (
        "The animal didn't cross the street because it was too tired",
        "The animal didn't cross the street because it was too wide",
    ),
    (
        "The trophy didn't fit into the suitcase because it was too big",
        "The trophy didn't fit into the suitcase because it was too small",
    ),
    (
        "The cat chased the ball because it was hungry",
        "The cat chased the ball because it was rolling",
    ),
)
_KEPT = {("animal", "tired"), ("street", "wide"), ("trophy", "big"),
         ("suitcase", "small")}  # fmt: skip

_TEXTS = [*SENTENCES, *(clause for clauses in CLAUSES.values() for clause in clauses)]
_LISTS = [words for nouns, *both in KINDS.values() for words in (*nouns, *both)]
WORDS = Vocabulary(
    [word for text in _TEXTS for word in text.split() if "{" not in word]
    + [word for words in (*_LISTS, VERBS) for word in words]
)


@dataclass(frozen=True)
class Sentences:
    """Sentences with what "it" means in each; row 2i and row 2i + 1 are twins.

    Attributes:
        ids:    (n, n_words) ids of `WORDS`, PAD behind each sentence
        it:     (n,) position of "it"
        answer: (n,) position of the noun that it means
        other:  (n,) position of the noun that it does not mean
    """

    ids: np.ndarray
    it: np.ndarray
    answer: np.ndarray
    other: np.ndarray

    @property
    def mask(self):
        """(n, n_words) bool, True = a word and not padding."""
        return self.ids != PAD

    @property
    def twin(self):
        """(n,) row of the twin."""
        return np.arange(len(self.ids)) ^ 1


def winograd_twins(n_twins, split, rng, kinds=tuple(KINDS)):
    """Random pairs of twins, two rows each.

    In training no noun stands in a sentence with an adjective that is kept from it. In
    each test sentence the noun that "it" means is kept from the adjective, so that none
    was ever seen with it: about one in five pairs of noun and adjective are.

    Args:
        n_twins: int, how many pairs
        split:   "train" or "test"
        rng:     np.random.Generator
        kinds:   "meaning", "role" or both; each is equally likely

    Returns:
        `Sentences` of 2 n_twins rows; the first of two twins means the noun that is
        the first of its clause in `CLAUSES`.
    """
    check_count("n_twins", n_twins, 0)
    check_split(split)
    if len(kinds) == 0:
        known = ", ".join(map(repr, KINDS))
        raise ValueError(f"kinds must name at least one of {known}, got {kinds!r}")
    for kind in kinds:
        check_choice("kinds", kind, KINDS)
    texts, meant = [], []
    for _ in range(n_twins):
        kind = kinds[rng.integers(len(kinds))]
        schemas = _schemas(kind, split)
        first, second, *adjectives = schemas[rng.integers(len(schemas))]
        clause, sentence = rng.integers(2, size=2)
        clause = CLAUSES[kind][clause].format(
            first=first, second=second, verb=VERBS[rng.integers(len(VERBS))]
        )
        for adjective in adjectives:
            texts.append(SENTENCES[sentence].format(clause=clause, adjective=adjective))
        meant += [(first, second), (second, first)]
    return point(texts, meant)


def point(texts, meant):
    """Sentences as `Sentences`.

    Args:
        texts: list of strings, in words of `WORDS`; capitals do not count
        meant: list of (noun that "it" means, noun that it does not mean)
    """
    sentences = [text.lower().split() for text in texts]
    positions = []
    for words, nouns in zip(sentences, meant, strict=True):
        for noun in ("it", *nouns):
            if noun not in words:
                sentence = " ".join(words)
                raise ValueError(f"{noun!r} is not in the sentence {sentence!r}")
            positions.append(words.index(noun))
    it, answer, other = np.array(positions, dtype=int).reshape(-1, 3).T
    return Sentences(pad(list(map(WORDS.encode, sentences))), it, answer, other)


def is_kept(noun, adjective):
    """Whether a noun and an adjective meet in the test split alone."""
    pair = (noun, adjective)
    return pair in _KEPT or in_test_split(WORDS.encode(pair))


@lru_cache
def _schemas(kind, split):
    """All (first noun, second noun, adjective of the first, of the second)."""
    (firsts, seconds), of_first, of_second = KINDS[kind]
    found = []
    for first, second, one, other in product(firsts, seconds, of_first, of_second):
        meant = is_kept(first, one), is_kept(second, other)
        not_meant = is_kept(first, other), is_kept(second, one)
        fits = all(meant) if split == "test" else not any(meant + not_meant)
        if first != second and fits:
            found.append((first, second, one, other))
    return found
