"""Numbers in words, in two languages: a small translation task with endless data.

The words come from num2words. Some languages run them together ("dreiundsiebzig",
"settantatré"): the compounds of German, Dutch and Italian, and the Spanish twenties, we
take apart ("drei und siebzig"). Other languages are split at spaces and hyphens only.
"""

import re
from functools import lru_cache

import numpy as np
from num2words import CONVERTER_CLASSES, num2words

from course_lib.data.splits import sample_sequences
from course_lib.data.vocabulary import Vocabulary, make_pairs
from course_lib.shapes.basic import check_choice, check_count, check_same

COMMA = ","  # between the numbers of a list
NO_COUNTERPART = -1
_WORD = "[^\\s,\N{SOFT HYPHEN}-]+"
_PARTS = {
    "de": "hundert|tausend|und|zwanzig|dreißig|(?:vier|fünf|sech|sieb|acht|neun)zig"
    "|(?:drei|vier|fünf|sech|sieb|acht|neun)?zehn|elf|zwölf|null|eins|eine|ein|zwei"
    "|drei|vier|fünf|sechs|sieben|acht|neun|Million(?:en)?|Milliarden?",
    "nl": "honderd|duizend|(?:twin|der|veer|vijf|zes|zeven|tach|negen)tig|elf|twaalf"
    "|(?:der|veer|vijf|zes|zeven|acht|negen)?tien|nul|één|een|twee|drie|vier|vijf|zes"
    "|zeven|acht|negen|en|ën|miljoen|miljard",
    "it": "cent(?=ott)|cento|mille|mila"
    "|(?:vent|trent|(?:quar|cinqu|sess|sett|ott|nov)ant)[ia]?"
    "|(?:un|do|tre|quattor|quin|se)dici|diciassette|dici?otto|diciannove|dieci"
    "|zero|uno|un|due|tre|tré|quattro|cinque|sei|sette|otto|nove|milion[ei]"
    "|miliard[oi]|e",
    "es": f"veinti|{_WORD}",
    "fr": f"quatre-vingts?|{_WORD}",
}
# Words for numbers from 1,000 up are endless here, or num2words fails ("am").
_SMALL_ONLY = frozenset("am da eo he hu ja ko sk sv tg th tr".split())


@lru_cache(maxsize=20_000)
def number_to_words(number, language):
    """One number as a tuple of words, such as ("drei", "und", "siebzig").

    Args:
        number:   int >= 0
        language: a language code of num2words, such as "en" or "de"

    Raises:
        ValueError for an unknown language, or one in which the number is too large.
    """
    check_count("number", number, 0)
    if language not in CONVERTER_CLASSES:
        raise ValueError(
            f"language must be one that num2words knows, such as 'en', got {language!r}"
        )
    if language in _SMALL_ONLY and number >= 1000:
        raise ValueError(
            f"numbers in the language {language!r} must be below 1000, got {number}: "
            "larger ones have endlessly many words"
        )
    text = num2words(number, lang=language)
    return tuple(re.findall(_PARTS.get(language, _WORD), text))


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
    check_count("below", below)
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


def gold_alignment(source, target, languages=("en", "de")):
    """Which source word each target word translates.

    A word stands for a place in its number: the tens of the thousands, say, or the word
    "thousand" itself. It is aligned to the source word for that place. A word may stand
    for two: "thirteen" is tens and units, "setecientos" seven and hundred. Then it goes
    to the one that names the smaller part: units, or how many hundreds.

    Args:
        source:    list of words, of `list_to_words`; numbers below a billion
        target:    list of words of the other language, for the same numbers
        languages: those of source and target: two of `ALIGNED`

    Returns:
        (n_target,) for each target word its position in source, or -1 for a word that
        the source leaves unsaid: "and", and "one" in "one hundred" where that is "cent"
    """
    source_places = _places(source, languages[0])
    target_places = _places(target, languages[1])
    n_numbers = [words.count(COMMA) + 1 for words in (source, target)]
    check_same("source", n_numbers[0], "target", n_numbers[1], "numbers")
    found = {}
    for rank in (0, 1):  # what a word names first, then what else it stands for
        for position, places in enumerate(source_places):
            for place in places[rank : rank + 1]:
                found.setdefault(place, position)
    aligned = [
        found.get(places[0], NO_COUNTERPART) if places else NO_COUNTERPART
        for places in target_places
    ]
    return np.array(aligned, dtype=int)


def _places(words, language):
    """For each word the places in its number that it stands for, the main one first."""
    value_of = _word_values(language)
    for word in words:
        if word not in value_of:
            raise ValueError(f"{word!r} is no number word of the language {language!r}")
    places, number, scale, after = [], 0, 1, None
    for value in (value_of[word] for word in reversed(words)):
        if value == COMMA:
            number, scale, names = number + 1, 1, ["comma"]
        elif value is None:
            names = []
        elif value >= 1000:
            scale, names = value, ["scale"]
        elif value >= 100:
            names = ["hundred"] if value == 100 else ["hundreds", "hundred"]
        elif value < 10:
            names = ["hundreds" if after == 100 else "units"]
        else:
            names = ["units", "tens"] if value % 10 else ["tens"]
        places.append([(number, scale, name) for name in names])
        after = value
    return places[::-1]


# Words that a number has only beside others; None for "and", which has no value.
_BESIDE_OTHERS = {
    "en": {"and": None},
    "de": {"und": None, "ein": 1, "eine": 1},
    "nl": {"en": None, "ën": None, "een": 1},
    "fr": {"et": None, "quatre-vingt": 80},
    "es": {"y": None, "un": 1, "dós": 2, "trés": 3, "séis": 6, "veinti": 20,
           "ciento": 100},
    "it": {"e": None, "un": 1, "tré": 3, "cent": 100, "vent": 20, "trent": 30,
           "quarant": 40, "cinquant": 50, "sessant": 60, "settant": 70, "ottant": 80,
           "novant": 90, "dicotto": 18},  # so num2words spells it in compounds
    "pt": {"e": None, "cento": 100},
}  # fmt: skip
ALIGNED = tuple(_BESIDE_OTHERS)


@lru_cache
def _word_values(language):
    """The value of each number word of a language."""
    check_choice("language", language, ALIGNED)
    value_of = {COMMA: COMMA, **_BESIDE_OTHERS[language]}
    for number in (*range(20), *range(20, 100, 10), *range(100, 1000, 100)):
        words = number_to_words(number, language)
        if len(words) == 1:
            value_of[words[0]] = number
    for power in (100, 1000, 10**6, 10**9):  # "one hundred", "two hundred"
        for number in (power, 2 * power):
            value_of.setdefault(number_to_words(number, language)[-1], power)
    return value_of


def _translate(sequences, lengths, languages, below):
    if len(languages) != 2:
        raise ValueError(f"languages must be two, from and to, got {languages!r}")
    vocabularies = [number_vocabulary(language, below) for language in languages]
    texts = [
        [list_to_words(numbers, language) for numbers in sequences]
        for language in languages
    ]
    return make_pairs(*texts, lengths, *vocabularies)
