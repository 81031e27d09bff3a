"""The tasks: what the words say is right, what is split never meets, seeds decide."""

import re
from zlib import crc32

import numpy as np
import pytest
from num2words import CONVERTER_CLASSES, num2words

from course_lib.data import digits, number_words, splits, vocabulary
from course_lib.data.vocabulary import END, PAD, START, Vocabulary

TASKS = {
    "lists": number_words.number_lists,
    "single": number_words.single_numbers,
    "digits": digits.reversed_digits,
}
COMMITTED = {
    "lists": [3315948434, 821792319, 669104377],
    "single": [1849020583, 3025572275, 669104377],
    "digits": [1165065223, 2239312668, 669104377],
}
# Numbers from 1,000 up have endlessly many words here, or num2words fails (am).
ONLY_SMALL = set("am da eo he hu ja ko sk sv tg th tr".split())


def some_numbers():
    """Every number below 1,000 and some of each size up to a billion."""
    rng = np.random.default_rng(3)
    large = [int(10**size) for size in rng.uniform(3, 9, 500)]
    return [*range(1000), *large, 10**9]


def words(number, language):
    return " ".join(number_words.number_to_words(number, language))


def decoded(pairs, language_pair=("en", "de"), below=1000):
    """Sources and targets of `Pairs` as lists of words."""
    source, target = (
        number_words.number_vocabulary(language, below) for language in language_pair
    )
    return [
        (source.decode(one), target.decode(other))
        for one, other in zip(pairs.source, pairs.target, strict=True)
    ]


# Words --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, english, german",
    [
        (0, "zero", "null"),
        (16, "sixteen", "sechzehn"),
        (73, "seventy three", "drei und siebzig"),
        (101, "one hundred and one", "ein hundert eins"),
        (734, "seven hundred and thirty four", "sieben hundert vier und dreißig"),
        (2_000_021, "two million and twenty one", "zwei Millionen ein und zwanzig"),
        (66_617, None, "sechs und sechzig tausend sechs hundert siebzehn"),
    ],
)
def test_words_by_hand(number, english, german):
    assert words(number, "de") == german
    if english is not None:
        assert words(number, "en") == english


@pytest.mark.parametrize(
    "number, language, expected",
    [
        (734, "nl", "zeven honderd vier en dertig"),
        (42_023, "nl", "twee ën veertig duizend drie ën twintig"),
        (734, "it", "sette cento trenta quattro"),
        (21_188, "it", "vent uno mila cent ottant otto"),
        (23_016, "es", "veinti trés mil dieciséis"),
        (194, "fr", "cent quatre-vingt quatorze"),
        (734, "pt", "setecentos e trinta e quatro"),
    ],
)
def test_words_of_other_languages_by_hand(number, language, expected):
    assert words(number, language) == expected


@pytest.mark.parametrize("language", ["de", "nl", "it", "es", "fr"])
def test_no_letter_of_a_compound_is_lost(language):
    for number in some_numbers():
        whole = re.sub("[ -]", "", num2words(number, lang=language))
        assert re.sub("[ -]", "", words(number, language)) == whole


@pytest.mark.parametrize("language", ["de", "nl", "it", "es"])
def test_compounds_are_taken_apart_into_few_different_words(language):
    assert len(number_words.number_vocabulary(language, 10**9)) < 60


def test_different_numbers_have_different_words():
    for language in ("en", "de", "fr", "fi"):
        assert len({words(number, language) for number in range(1000)}) == 1000


def test_lists_have_commas_between_their_numbers():
    assert number_words.list_to_words([20, 5], "en") == ["twenty", ",", "five"]
    assert number_words.list_to_words([25], "en") == ["twenty", "five"]


@pytest.mark.parametrize("language", CONVERTER_CLASSES)
def test_lists_may_be_in_any_language_of_num2words(language):
    rng = np.random.default_rng(5)
    pairs = number_words.number_lists(7, [2], "train", rng, ("de", language))
    assert len(decoded(pairs, ("de", language))) == 7
    known = number_words.number_vocabulary(language)
    for number in range(1000):
        number_words.number_to_words(number, language)
        known.encode(number_words.number_to_words(number, language))


@pytest.mark.parametrize("language", sorted(set(CONVERTER_CLASSES) - ONLY_SMALL))
def test_the_vocabulary_has_every_word_up_to_a_billion(language):
    known = number_words.number_vocabulary(language, 10**9)
    for number in some_numbers()[1000:-1]:
        known.encode(number_words.number_to_words(number, language))
    pairs = number_words.single_numbers(
        5, [5, 9], "test", np.random.default_rng(1), ("en", language)
    )
    assert len(pairs.target) == 5


@pytest.mark.parametrize("language", sorted(ONLY_SMALL))
def test_languages_without_a_vocabulary_for_large_numbers_are_refused(language):
    with pytest.raises(ValueError) as error:
        number_words.single_numbers(
            5, [4], "train", np.random.default_rng(1), (language, "en")
        )
    assert str(error.value) == (
        f"numbers in the language {language!r} must be below 1000, got 1000: larger "
        "ones have endlessly many words"
    )


# Alignment ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "english, german, expected",
    [
        ("seventy three", "drei und siebzig", [1, -1, 0]),
        ("five hundred and fifty five", "fünf hundert fünf und fünfzig",
         [0, 1, 4, -1, 3]),
        ("three , thirty three", "drei , drei und dreißig", [0, 1, 3, -1, 2]),
        ("one million and one", "eine Million eins", [0, 1, 3]),
    ],
)  # fmt: skip
def test_alignment_by_hand(english, german, expected):
    found = number_words.gold_alignment(english.split(), german.split())
    assert found.tolist() == expected


def test_the_alignment_may_be_asked_from_german_to_english():
    found = number_words.gold_alignment(
        "drei und siebzig".split(), "seventy three".split(), ("de", "en")
    )
    assert found.tolist() == [2, 0]


@pytest.mark.parametrize(
    "languages, numbers, expected",
    [
        # one hundred and one -> cent un
        ("en fr", [101], [1, 3]),
        # cent un -> one hundred and one: French leaves the first "one" unsaid
        ("fr en", [101], [-1, 0, -1, 1]),
        # ninety four -> quatre-vingt quatorze; seventy one -> soixante et onze
        ("en fr", [94], [0, 1]),
        ("en fr", [71], [0, -1, 1]),
        ("fr en", [71], [0, 2]),
        # soixante dix sept, dix sept: "dix" is tens
        ("fr en", [77, 17], [0, 2, 3, 5]),
        ("en fr", [77, 17], [0, 0, 1, 2, 3, 3]),
        # setecientos veinti dós mil trece -> seven hundred and twenty two thousand and
        # thirteen, and back: setecientos goes to seven, thirteen is one word in both
        ("es en", [722_013], [0, 0, -1, 1, 2, 3, -1, 4]),
        ("en es", [722_013], [0, 3, 4, 5, 7]),
        # sette cento trenta quattro -> zeven honderd vier en dertig
        ("it nl", [734], [0, 1, 3, -1, 2]),
        # drie ën twintig -> vinte e três
        ("nl pt", [23], [2, -1, 0]),
        # mil cien -> ein tausend ein hundert
        ("es de", [1100], [-1, 0, -1, 1]),
        # the words of another number are never taken: zwei , zwei und zwanzig
        ("fr de", [2, 22], [0, 1, 3, -1, 2]),
    ],
)
def test_alignment_between_other_languages_by_hand(languages, numbers, expected):
    source, target = languages = languages.split()
    texts = [number_words.list_to_words(numbers, language) for language in languages]
    assert number_words.gold_alignment(*texts, languages).tolist() == expected


@pytest.mark.parametrize("target", number_words.ALIGNED)
@pytest.mark.parametrize("source", number_words.ALIGNED)
def test_changing_a_digit_changes_words_that_are_aligned(source, target):
    """Told by num2words alone: what changes in the target is aligned to what changes.

    Digits are 2 to 6, where tens have no words of two digits (soixante-dix).
    """
    rng = np.random.default_rng(11)
    for _ in range(60):
        digits = rng.integers(2, 7, rng.integers(1, 10))
        place = rng.integers(len(digits))
        changed = digits.copy()
        changed[place] = 2 + (digits[place] - 2 + rng.integers(1, 5)) % 5
        numbers = [int("".join(map(str, each))) for each in (digits, changed)]
        before, after = (
            [number_words.list_to_words([number], language) for number in numbers]
            for language in (source, target)
        )
        if len(before[0]) != len(before[1]) or len(after[0]) != len(after[1]):
            continue  # Spanish: veinti dós, but treinta y dos
        moved, answer = (
            {
                i
                for i, (one, other) in enumerate(zip(*texts, strict=True))
                if one != other
            }
            for texts in (before, after)
        )
        found = number_words.gold_alignment(before[0], after[0], (source, target))
        assert {found[i] for i in answer} & moved
        if not {"es", "pt"} & {source, target}:
            assert {found[i] for i in answer} <= moved | {-1}


@pytest.mark.parametrize("target", number_words.ALIGNED)
@pytest.mark.parametrize("source", number_words.ALIGNED)
def test_only_little_words_are_left_without_a_counterpart(source, target):
    """And each is "and", or a "one" where the source says only "hundred"."""
    little = {"and", "und", "en", "ën", "et", "y", "e"}
    ones = {"one", "ein", "eine", "een", "un"}
    rng = np.random.default_rng(12)
    for below in (1000, 10**9):
        for numbers in rng.integers(0, below, (60, 2)):
            texts = [
                number_words.list_to_words(numbers, language)
                for language in (source, target)
            ]
            found = number_words.gold_alignment(*texts, (source, target))
            without = {w for w, p in zip(texts[1], found, strict=True) if p == -1}
            assert without <= little | ones
            if source == target:
                assert without <= little
                assert all(p in (i, -1) for i, p in enumerate(found)) or source == "fr"


def test_each_word_is_aligned_once_and_only_and_is_left_out():
    for below, lengths in ((1000, range(1, 6)), (10**9, [1, 2])):
        rng = np.random.default_rng(7)
        pairs = number_words.number_lists(200, lengths, "test", rng, below=below)
        for english, german in decoded(pairs, below=below):
            found = number_words.gold_alignment(english, german)
            without = [w for w, p in zip(german, found, strict=True) if p == -1]
            assert set(without) <= {"und"}
            left = set(range(len(english))) - set(found.tolist())
            assert {english[position] for position in left} <= {"and"}
            assert len(found[found >= 0]) == len(set(found[found >= 0].tolist()))


def test_aligned_words_mean_the_same():
    """Number words of one value, checked with num2words itself."""
    same = {(words(n, "en"), words(n, "de")) for n in [*range(21), *range(30, 100, 10)]}
    same |= {("hundred", "hundert"), (",", ","), ("one", "ein")}
    rng = np.random.default_rng(9)
    for english, german in decoded(
        number_words.number_lists(300, [1, 2, 3], "train", rng)
    ):
        for word, position in zip(
            german, number_words.gold_alignment(english, german), strict=True
        ):
            assert position == -1 or (english[position], word) in same


# Digits -------------------------------------------------------------------------------


def test_digits_are_reversed():
    pairs = digits.reversed_digits(11, [3, 5], "train", np.random.default_rng(0))
    for source, target in zip(pairs.source, pairs.target, strict=True):
        assert digits.DIGITS.decode(source)[::-1] == digits.DIGITS.decode(target)


# Splits, lengths, seeds ---------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_no_sequence_is_in_both_splits(task):
    seen = {}
    for split in splits.SPLITS:
        pairs = TASKS[task](2000, [1, 2, 3], split, np.random.default_rng(1))
        seen[split] = {tuple(row[row != PAD].tolist()) for row in pairs.source}
    assert seen["train"] and seen["test"]
    assert not seen["train"] & seen["test"]


def test_about_a_fifth_is_for_testing_at_every_length():
    rng = np.random.default_rng(2)
    single = [splits.in_test_split([number]) for number in range(1000)]
    assert 170 < sum(single) < 230
    for length in (2, 5, 20):
        drawn = rng.integers(0, 1000, (2000, length))
        assert 0.17 < np.mean([splits.in_test_split(row) for row in drawn]) < 0.23


def test_the_split_is_the_same_on_every_machine():
    """Written down once: a change would mix the splits of committed results."""
    kept = [number for number in range(30) if splits.in_test_split([number])]
    assert kept == [1, 4, 18, 25, 26]
    small = np.arange(30, dtype=np.int16)[:, None]
    assert [row.item() for row in small if splits.in_test_split(row)] == kept


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("split", splits.SPLITS)
def test_lengths_are_sampled_evenly_in_both_splits(task, split):
    lengths = [1, 2, 3, 5, 7]
    pairs = TASKS[task](2000, lengths, split, np.random.default_rng(4))
    for length in lengths:
        assert abs((pairs.length == length).mean() - 0.2) < 0.05


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_gives_the_same_pairs_and_another_gives_others(task):
    one, same, other = (
        TASKS[task](13, [3, 5], "train", np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.source, same.source)
    np.testing.assert_array_equal(one.target, same.target)
    assert not np.array_equal(one.source, other.source)


@pytest.mark.parametrize("task", TASKS)
def test_the_pairs_are_those_of_the_committed_results(task):
    """Checksums written down when chapter 1 was trained."""
    pairs = TASKS[task](64, [1, 2, 3, 4], "train", np.random.default_rng([0, 1]))
    sums = [
        crc32(array.astype("<i8").tobytes())
        for array in (pairs.source, pairs.target, pairs.length)
    ]
    assert sums == COMMITTED[task]


@pytest.mark.parametrize("task", TASKS)
def test_padding_stands_behind_and_each_target_ends(task):
    pairs = TASKS[task](50, [1, 2, 3, 5], "train", np.random.default_rng(6))
    for ids, mask in (
        (pairs.source, pairs.source_mask),
        (pairs.target, pairs.target_mask),
    ):
        np.testing.assert_array_equal(np.sort(mask)[:, ::-1], mask)  # no hole in a row
        np.testing.assert_array_equal(mask, ids != PAD)
        assert mask[:, 0].all()
    last = pairs.target_mask.sum(axis=1) - 1
    assert np.all(pairs.target[np.arange(50), last] == END)
    assert np.all((pairs.target == END).sum(axis=1) == 1)
    assert np.all(pairs.target_input[:, 0] == START)
    np.testing.assert_array_equal(pairs.target_input[:, 1:], pairs.target[:, :-1])


def test_length_counts_numbers_or_digits():
    rng = np.random.default_rng(8)
    lists = number_words.number_lists(50, [1, 2, 3], "train", rng)
    for (english, _), length in zip(decoded(lists), lists.length, strict=True):
        assert english.count(",") == length - 1
    single = number_words.single_numbers(50, range(1, 10), "test", rng)
    large = {"thousand": 3, "million": 6}
    for (english, _), length in zip(
        decoded(single, below=10**9), single.length, strict=True
    ):
        assert max([large.get(word, 0) for word in english]) < length


# Vocabulary ---------------------------------------------------------------------------


def test_a_vocabulary_reads_back_what_it_wrote():
    known = Vocabulary(["b", "a", "b"])
    assert known.words == ("<pad>", "<start>", "<end>", "b", "a")
    assert len(known) == 5
    assert known.encode(["a", "b"]) == [4, 3]
    assert known.decode([4, 3, END, 4]) == ["a", "b"]
    assert known.decode(np.array([4, PAD, 3])) == ["a"]


def test_reversing_the_source_twice_changes_nothing():
    pairs = digits.reversed_digits(11, [2, 3, 5], "train", np.random.default_rng(0))
    flipped = vocabulary.reverse_source(pairs)
    np.testing.assert_array_equal(flipped.source_mask, pairs.source_mask)
    np.testing.assert_array_equal(flipped.target, pairs.target)
    assert not np.array_equal(flipped.source, pairs.source)
    again = vocabulary.reverse_source(flipped)
    np.testing.assert_array_equal(again.source, pairs.source)
    first = pairs.source[0][pairs.source_mask[0]]
    np.testing.assert_array_equal(flipped.source[0, : len(first)], first[::-1])


# Errors -------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
REFUSED = {
    "split": (
        lambda: digits.reversed_digits(1, [2], "dev", RNG),
        "split must be 'train' or 'test', got 'dev'",
    ),
    "lengths": (
        lambda: number_words.number_lists(1, [0, 1], "train", RNG),
        "lengths must be whole numbers from 1 up, got [0, 1]",
    ),
    "digits": (
        lambda: number_words.single_numbers(1, [9, 10], "train", RNG),
        "lengths must be at most 9 digits, got 10",
    ),
    "language": (
        lambda: number_words.number_to_words(3, "xx"),
        "language must be one that num2words knows, such as 'en', got 'xx'",
    ),
    "word": (
        lambda: digits.DIGITS.encode(["1", "x"]),
        "'x' is not among the 13 words of this vocabulary",
    ),
    "alignment": (
        lambda: number_words.gold_alignment(["deux"], ["zwei"]),
        "'deux' is no number word of the language 'en'",
    ),
    "language without alignment": (
        lambda: number_words.gold_alignment(["zero"], ["nolla"], ("en", "fi")),
        "language must be one of 'en', 'de', 'nl', 'fr', 'es', 'it', 'pt', got 'fi'",
    ),
    "other numbers": (
        lambda: number_words.gold_alignment(["one", ",", "two"], ["eins"]),
        "source has 2 numbers but target has 1",
    ),
    "three languages": (
        lambda: number_words.number_lists(1, [1], "train", RNG, ("en", "de", "fr")),
        "languages must be two, from and to, got ('en', 'de', 'fr')",
    ),
    "below": (
        lambda: number_words.number_lists(1, [1], "train", RNG, below=0),
        "below must be a whole number from 1 up, got 0",
    ),
    "number": (
        lambda: number_words.number_to_words(-3, "en"),
        "number must be a whole number from 0 up, got -3",
    ),
    "n": (
        lambda: digits.reversed_digits(-1, [2], "train", RNG),
        "n must be a whole number from 0 up, got -1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    call, sentence = REFUSED[case]
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == sentence
