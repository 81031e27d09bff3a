"""Numbers in words, in two languages: a small translation task with endless data.

The words come from num2words. German runs them together ("dreiundsiebzig"), so we take
its compounds apart ("drei und siebzig"); other languages are split at spaces and
hyphens only.
"""

import re
from collections import defaultdict
from functools import lru_cache

import numpy as np
from num2words import num2words

from course_lib.data.splits import sample_sequences
from course_lib.data.vocabulary import Vocabulary, make_pairs

COMMA = ","  # between the numbers of a list
NO_COUNTERPART = -1
_ROUND = (*range(21), *range(30, 100, 10), 100, 1000, 10**6, 10**9)
_GERMAN_PART = re.compile(
    "hundert|tausend|und|zwanzig|dreißig|(?:vier|fünf|sech|sieb|acht|neun)zig"
    "|(?:drei|vier|fünf|sech|sieb|acht|neun)?zehn|elf|zwölf|null|eins|eine|ein|zwei"
    "|drei|vier|fünf|sechs|sieben|acht|neun|Million(?:en)?|Milliarden?"
)


@lru_cache(maxsize=20_000)
def number_to_words(number, language):
    """One number as a tuple of words, such as ("drei", "und", "siebzig").

    Args:
        number:   int >= 0
        language: a language code of num2words, such as "en" or "de"
    """
    try:
        text = num2words(number, lang=language)
    except NotImplementedError:
        raise ValueError(
            f"language must be one that num2words knows, such as 'en', got {language!r}"
        ) from None
    if language == "de":
        return tuple(_GERMAN_PART.findall(text))
    return tuple(re.sub(r"[-\N{SOFT HYPHEN},]", " ", text).split())


def list_to_words(numbers, language):
    """Numbers as one list of words, a comma between them."""
    words = []
    for number in numbers:
        words += [COMMA, *number_to_words(int(number), language)]
    return words[1:]


@lru_cache
def number_vocabulary(language, below=1000):
    """Every word and the comma that lists of numbers below `below` can need.

    Numbers from 1,000 up are built from those below it and the words for the powers of
    a thousand, alone and with every number of one to three digits in front.
    """
    words = [COMMA]
    power = 1
    while power < max(below, 2):
        for number in range(min(1000, -(-below // power))):
            for whole in (number * power, number * power + (power > 1)):
                words += number_to_words(whole, language)
        power *= 1000
    return Vocabulary(words)


def number_lists(n, lengths, split, rng, languages=("en", "de"), below=1000):
    """Random lists of numbers, in the words of two languages.

    A list of one number below 1,000 is one of 1,000, so with length 1 the test split
    is some 200 different lists; longer lists hardly ever come twice. What never happens
    is that a list is in both splits. Its single numbers may be.

    Args:
        n:         int, how many
        lengths:   how many numbers a list may have; each is equally likely
        split:     "train" or "test"
        rng:       np.random.Generator
        languages: two language codes of num2words, from and to
        below:     int, each number is drawn evenly from 0 to below - 1

    Returns:
        `Pairs` of n rows, encoded with `number_vocabulary`; length counts the numbers.
    """
    sequences, chosen = sample_sequences(
        n, lengths, lambda length, rng: rng.integers(0, below, length), split, rng
    )
    return _translate(sequences, chosen, languages, below)


def single_numbers(n, lengths, split, rng, languages=("en", "de")):
    """Random numbers of up to nine digits, in the words of two languages.

    Args:
        n, split, rng, languages: as for `number_lists`
        lengths: how many digits a number may have, at most 9; each is equally likely

    Returns:
        `Pairs` of n rows, encoded with `number_vocabulary(language, 10**9)`; length is
        the number of digits.
    """
    if max(lengths, default=0) > 9:
        raise ValueError(f"lengths must be at most 9 digits, got {max(lengths)}")

    def draw(n_digits, rng):
        return rng.integers(10 ** (n_digits - 1) * (n_digits > 1), 10**n_digits, 1)

    sequences, chosen = sample_sequences(n, lengths, draw, split, rng)
    return _translate(sequences, chosen, languages, 10**9)


def gold_alignment(source, target):
    """Which source word each target word translates, between English and German.

    Both languages say hundreds, tens and units once each and in the same order from
    group to group; only within a pair such as "thirty four", "vier und dreißig", they
    swap. So the k-th word of a value belongs to the k-th word of that value.

    Args:
        source: list of words, of `list_to_words`
        target: list of words of the other language

    Returns:
        (n_target,) for each target word its position in source, or -1 for a word
        without counterpart: the German "und" has none, nor has the English "and".
    """
    value_of = _word_values()
    for word in (*source, *target):
        if word not in value_of:
            raise ValueError(f"{word!r} is no English or German number word")
    positions = defaultdict(list)
    for position, word in enumerate(source):
        positions[value_of[word]].append(position)
    positions[None] = []  # "and" and "und" have no value
    aligned = [
        positions[value].pop(0)
        if positions[value := value_of[word]]
        else NO_COUNTERPART
        for word in target
    ]
    return np.array(aligned, dtype=int)


@lru_cache
def _word_values():
    """The value of each English and German number word; None for "and" and "und"."""
    value_of = {COMMA: COMMA, "and": None, "und": None, "eine": 1, "ein": 1}
    for language in ("en", "de"):
        for number in _ROUND:
            one = number >= 100  # "one hundred": the value is that of the last word
            value_of[number_to_words(number * (1 + one), language)[-1]] = number
            value_of.setdefault(number_to_words(number, language)[-1], number)
    return value_of


def _translate(sequences, lengths, languages, below):
    vocabularies = [number_vocabulary(language, below) for language in languages]
    texts = [
        [list_to_words(numbers, language) for numbers in sequences]
        for language in languages
    ]
    return make_pairs(*texts, lengths, *vocabularies)
