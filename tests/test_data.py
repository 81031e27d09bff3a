"""The tasks: what the words say is right, what is split never meets, seeds decide."""

import numpy as np
import pytest
from num2words import num2words

from course_lib.data import digits, number_words, splits, vocabulary
from course_lib.data.vocabulary import END, PAD, START, Vocabulary

TASKS = {
    "lists": number_words.number_lists,
    "single": number_words.single_numbers,
    "digits": digits.reversed_digits,
}


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


def test_no_letter_of_a_german_compound_is_lost():
    for number in some_numbers():
        whole = num2words(number, lang="de").replace(" ", "")
        assert words(number, "de").replace(" ", "") == whole


def test_different_numbers_have_different_words():
    for language in ("en", "de", "fr", "fi"):
        assert len({words(number, language) for number in range(1000)}) == 1000


def test_lists_have_commas_between_their_numbers():
    assert number_words.list_to_words([20, 5], "en") == ["twenty", ",", "five"]
    assert number_words.list_to_words([25], "en") == ["twenty", "five"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja", "ar"])
def test_lists_may_be_in_any_language_of_num2words(language):
    rng = np.random.default_rng(5)
    pairs = number_words.number_lists(7, [2], "train", rng, ("de", language))
    assert len(decoded(pairs, ("de", language))) == 7


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_vocabulary_has_every_word_up_to_a_billion(language):
    known = number_words.number_vocabulary(language, 10**9)
    for number in some_numbers()[:-1]:
        known.encode(number_words.number_to_words(number, language))


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
        "drei und siebzig".split(), "seventy three".split()
    )
    assert found.tolist() == [2, 0]


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
        "'deux' is no English or German number word",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case):
    call, sentence = REFUSED[case]
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == sentence
