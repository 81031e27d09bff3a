"""The grammar of "it": twins, what is kept for testing, and what does not suffice."""

from collections import Counter, defaultdict
from itertools import product

import numpy as np
import pytest

from course_lib.data.vocabulary import PAD
from course_lib.data.winograd import (
    ANIMALS,
    CLAUSES,
    KINDS,
    PLACES,
    REAL_TWINS,
    SENTENCES,
    THINGS,
    WORDS,
    is_kept,
    point,
    winograd_twins,
)

NOUNS = {*ANIMALS, *PLACES, *THINGS}
ADJECTIVES = {word for _, *both in KINDS.values() for words in both for word in words}


def sampled(split, kinds=tuple(KINDS), n_twins=600, seed=0):
    return winograd_twins(n_twins, split, np.random.default_rng(seed), kinds)


def texts(sentences):
    return [WORDS.decode(row) for row in sentences.ids]


def nouns_and_adjective(words):
    """The nouns of a sentence in their order, and its adjective."""
    (adjective,) = ADJECTIVES.intersection(words)
    return [word for word in words if word in NOUNS], adjective


def first_is_meant(sentences):
    """Whether "it" means the noun that stands first: (n,) bool."""
    return sentences.answer < sentences.other


# What the sentences are ---------------------------------------------------------------


def test_positions_point_at_it_and_at_the_two_nouns():
    sentences = sampled("train")
    rows = np.arange(len(sentences.ids))
    assert {WORDS.words[i] for i in sentences.ids[rows, sentences.it]} == {"it"}
    for words, answer, other in zip(
        texts(sentences), sentences.answer, sentences.other, strict=True
    ):
        nouns, _ = nouns_and_adjective(words)
        assert sorted(nouns) == sorted([words[answer], words[other]])
        assert words[answer] != words[other]


def test_the_adjective_tells_of_the_noun_that_is_meant():
    """By the lists: animals are tired, places wide, contents big, containers small."""
    sentences = sampled("test")
    for words, answer in zip(texts(sentences), sentences.answer, strict=True):
        _, adjective = nouns_and_adjective(words)
        kind = "role" if "fit" in words else "meaning"
        (firsts, seconds), of_first, of_second = KINDS[kind]
        assert words[answer] in (firsts if adjective in of_first else seconds)
        if kind == "role":  # what goes in stands before "didn't", at once or after into
            goes_in = words[words.index("didn't") - 1]
            assert (words[answer] == goes_in) == (adjective in of_first)
            assert adjective in of_first + of_second


@pytest.mark.parametrize("split", ["train", "test"])
def test_twins_differ_in_one_adjective_and_mean_the_other_noun(split):
    sentences = sampled(split)
    twin = sentences.twin
    np.testing.assert_array_equal(twin[twin], np.arange(len(twin)))
    differ = sentences.ids != sentences.ids[twin]
    assert (differ.sum(axis=1) == 1).all()
    assert {WORDS.words[i] for i in sentences.ids[differ]} <= ADJECTIVES
    np.testing.assert_array_equal(sentences.answer, sentences.other[twin])
    np.testing.assert_array_equal(sentences.it, sentences.it[twin])


def test_padding_stands_behind_and_is_masked():
    sentences = sampled("train")
    np.testing.assert_array_equal(sentences.mask, sentences.ids != PAD)
    np.testing.assert_array_equal(
        np.sort(sentences.mask)[:, ::-1], sentences.mask
    )  # no hole in a row
    assert not sentences.mask.all()


def test_no_word_is_in_two_lists():
    lists = [ANIMALS, PLACES, THINGS]
    lists += [words for _, *both in KINDS.values() for words in both]
    counts = Counter(word for words in lists for word in words)
    assert max(counts.values()) == 1
    assert len(WORDS) < 120


# Splits -------------------------------------------------------------------------------


def test_no_sentence_is_in_both_splits():
    seen = [set(map(tuple, texts(sampled(split)))) for split in ("train", "test")]
    assert not seen[0] & seen[1]


def test_a_noun_that_is_meant_in_testing_was_never_seen_with_its_adjective():
    together = set()
    for words in texts(sampled("train", n_twins=5000)):
        nouns, adjective = nouns_and_adjective(words)
        together |= {(noun, adjective) for noun in nouns}
    sentences = sampled("test")
    for words, answer in zip(texts(sentences), sentences.answer, strict=True):
        _, adjective = nouns_and_adjective(words)
        assert (words[answer], adjective) not in together
        assert is_kept(words[answer], adjective)


def test_every_noun_and_adjective_is_meant_in_training():
    sentences = sampled("train", n_twins=3000)
    meant = {
        words[answer]
        for words, answer in zip(texts(sentences), sentences.answer, strict=True)
    }
    assert meant == NOUNS
    assert ADJECTIVES <= {word for words in texts(sentences) for word in words}


def test_about_a_fifth_of_nouns_and_adjectives_are_kept_apart():
    pairs = list(product(sorted(NOUNS), sorted(ADJECTIVES)))
    assert 0.17 < np.mean([is_kept(*pair) for pair in pairs]) < 0.23


def test_a_seed_gives_the_same_sentences_on_every_machine():
    sentences = sampled("test", n_twins=2, seed=3)
    assert [" ".join(words) for words in texts(sentences)] == [
        "the trophy didn't fit into the chest because it was too tall",
        "the trophy didn't fit into the chest because it was too narrow",
        "into the suitcase the crate didn't fit because it was too fat",
        "into the suitcase the crate didn't fit because it was too thin",
    ]


# What does not suffice ----------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("kind", KINDS)
def test_place_alone_decides_nothing(kind, split):
    """First noun, last noun, the noun nearer to "it": each right half of the time."""
    sentences = sampled(split, [kind], n_twins=400)
    assert first_is_meant(sentences).mean() == 0.5
    nearer = abs(sentences.answer - sentences.it) < abs(sentences.other - sentences.it)
    assert nearer.mean() == 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_an_adjective_alone_does_not_tell_the_order(kind):
    sentences = sampled("train", [kind], n_twins=4000)
    first = defaultdict(list)
    for words, is_first in zip(
        texts(sentences), first_is_meant(sentences), strict=True
    ):
        first[nouns_and_adjective(words)[1]].append(is_first)
    for found in first.values():
        assert abs(np.mean(found) - 0.5) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_words_in_another_order_mean_first_and_second_noun_alike(kind):
    """Every bag of words has as many sentences of either order: chance is 1/2."""
    for sentence in SENTENCES:
        bags = set()
        for clause in CLAUSES[kind]:
            written = sentence.format(
                clause=clause.format(first="FIRST", second="SECOND", verb="use"),
                adjective="big",
            )
            order = written.index("FIRST") < written.index("SECOND")
            bags.add((tuple(sorted(written.split())), order))
        (one, first), (other, then) = bags
        assert one == other and first != then


def bags_and_nouns(sentences):
    """The two nouns and the adjective of each sentence, and the noun that is meant."""
    for words, answer in zip(texts(sentences), sentences.answer, strict=True):
        nouns, adjective = nouns_and_adjective(words)
        yield (*sorted(nouns), adjective), words[answer]


def test_in_the_second_kind_the_words_do_not_even_tell_the_noun():
    """Two things change places in half of all sentences, and with them what is meant.

    A table of the answers seen with the two nouns and the adjective, as a bag, and the
    majority of them: better than chance with the first kind, not with the second.
    """
    right = {}
    for kind in KINDS:
        table = defaultdict(Counter)
        for bag, noun in bags_and_nouns(sampled("train", [kind], 4000)):
            table[bag][noun] += 1
        right[kind] = np.mean(
            [
                table[bag].most_common(1)[0][0] == noun
                for bag, noun in bags_and_nouns(sampled("train", [kind], 1000, 1))
                if bag in table
            ]
        )
    assert right["meaning"] == 1
    assert right["role"] < 0.6


def test_a_linear_reader_of_words_is_at_chance():
    """Least squares from the bag of words to whether the first noun is meant."""
    train, test = sampled("train", n_twins=3000), sampled("test", n_twins=1000)

    def bag(sentences):
        rows = np.eye(len(WORDS))[sentences.ids].sum(axis=1)
        rows[:, PAD] = 1  # a constant
        return rows

    goal = first_is_meant(train) * 2.0 - 1
    weights, *_ = np.linalg.lstsq(bag(train), goal, rcond=None)
    guessed = bag(test) @ weights > 0
    assert abs((guessed == first_is_meant(test)).mean() - 0.5) < 0.06


# Real sentences -----------------------------------------------------------------------


def test_the_real_sentences_are_of_the_grammar_and_never_in_training():
    meant = ("animal", "street"), ("trophy", "suitcase")
    for twins, (first, second) in zip(REAL_TWINS, meant, strict=False):
        sentences = point(twins, [(first, second), (second, first)])
        for words, noun in zip(texts(sentences), (first, second), strict=True):
            assert is_kept(noun, nouns_and_adjective(words)[1])
        assert (sentences.ids != sentences.ids[::-1]).sum(axis=1).tolist() == [1, 1]
    assert texts(point(REAL_TWINS[0][:1], meant[:1]))[0][:5] == [
        "the", "animal", "didn't", "cross", "the"]  # fmt: skip


# Errors -------------------------------------------------------------------------------

RNG = np.random.default_rng(0)


def test_no_twins_are_no_rows():
    sentences = winograd_twins(0, "train", RNG)
    assert sentences.ids.shape[0] == len(sentences.it) == len(sentences.twin) == 0


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda: winograd_twins(-1, "train", RNG),
         "n_twins must be a whole number from 0 up, got -1"),
        (lambda: winograd_twins(1, "dev", RNG),
         "split must be 'train' or 'test', got 'dev'"),
        (lambda: winograd_twins(1, "test", RNG, ["order"]),
         "kinds must be one of 'meaning', 'role', got 'order'"),
        (lambda: winograd_twins(1, "test", RNG, []),
         "kinds must name at least one of 'meaning', 'role', got []"),
        (lambda: point(["it was a whale"], [("whale", "sea")]),
         "'sea' is not in the sentence 'it was a whale'"),
        (lambda: point(["it was a whale"], [("whale", "was")]),
         "'a' is not among the 84 words of this vocabulary"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_one_sentence(call, sentence):
    with pytest.raises(ValueError) as raised:
        call()
    assert str(raised.value) == sentence
