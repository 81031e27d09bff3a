"""Metrics: each by hand, and what each refuses."""

import sys

import numpy as np
import pytest

from course_lib.data.vocabulary import END, PAD
from course_lib.training import metrics

TARGET = np.array([[5, 6, END], [7, END, PAD], [8, 9, END]])
PREDICTED = np.array([[5, 6, END, PAD], [7, 7, END, PAD], [9, 9, END, 4]])


def test_metrics_by_hand():
    assert metrics.token_accuracy(PREDICTED, TARGET) == 6 / 8
    correct = metrics.sequence_correct(PREDICTED, TARGET)
    assert correct.tolist() == [True, False, False]
    assert metrics.accuracy_by_length(correct, [2, 1, 5], [(1, 2), (3, 5)]) == [0.5, 0]


def test_what_is_written_behind_the_end_of_the_target_does_not_count():
    longer = np.concatenate([TARGET, np.full((3, 2), 9)], axis=1)
    assert metrics.sequence_correct(longer, TARGET).all()
    assert metrics.token_accuracy(longer, TARGET) == 1


def test_an_empty_bin_has_no_accuracy():
    assert np.isnan(metrics.accuracy_by_length([True], [2], [(3, 5)])[0])
    assert np.isnan(metrics.token_accuracy(np.zeros((0, 3)), np.zeros((0, 3))))


def test_metrics_refuse_what_does_not_fit_in_one_sentence():
    with pytest.raises(
        ValueError, match=r"^predicted has shape \(3, 4\) but target has \(2, 3\): "
    ):
        metrics.token_accuracy(PREDICTED, TARGET[:2])
    with pytest.raises(ValueError, match="^correct has 1 sequences but length has 2$"):
        metrics.accuracy_by_length([True], [2, 3], [(2, 3)])


def test_alignment_error_rate_by_hand():
    gold = np.array([3, 3, -1, 0, 1])
    assert metrics.alignment_error_rate(gold, gold) == 0
    # 5 links found, 4 gold, 3 of them the same: 1 - 6/9.
    found = np.array([3, 2, 3, 0, 1])
    assert metrics.alignment_error_rate(found, gold) == pytest.approx(1 / 3)
    assert metrics.alignment_error_rate(np.full(5, -1), gold) == 1
    assert metrics.alignment_error_rate([[4]], [[2]]) == 1


def test_no_link_is_no_agreement():
    # Where both say "none" there is no link, so it is not counted as one found.
    one, other = np.array([-1, -1, 2, 5]), np.array([-1, -1, 2, 4])
    assert metrics.alignment_error_rate(one, other) == pytest.approx(1 - 2 / 4)
    assert np.isnan(metrics.alignment_error_rate([-1], [-1]))


def test_bleu_by_hand():
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    said, right = ["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "f"]
    # of 5 words 4 are right, of 4 pairs 3, of 3 triples 2, of 2 fours 1
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4)
    assert metrics.bleu([said], [right]) == pytest.approx(expected)
    # Too short by half: times exp(1 - 8/4).
    assert metrics.bleu([right[:4]], [right[:4] * 2]) == pytest.approx(100 / np.e)
    # The words stay as they are: a tokeniser would split "e,g" in three.
    said, right = [*said[:4], "e,f"], [*right[:4], "e,g"]
    assert metrics.bleu([said], [right]) == pytest.approx(expected)


def test_bleu_without_sacrebleu_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(ModuleNotFoundError) as error:
        metrics.bleu([["a"]], [["a"]])
    assert str(error.value) == "bleu needs sacrebleu: pip install sacrebleu"


def test_bits_per_character_by_hand():
    # 3 words of 8 equally likely ones are 9 bits, here for 6 characters.
    nats = 3 * np.log(8)
    assert metrics.bits_per_character(nats, 6) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("metric", "arguments", "sentence"),
    [
        (
            "alignment_error_rate",
            ([1, 2], [1]),
            "predicted has shape (2,) but gold has (1,)",
        ),
        ("bleu", ([["a"]], []), "predicted has 1 translations but target has 0"),
        (
            "bits_per_character",
            (1.0, 0),
            "n_characters must be a whole number from 1 up, got 0",
        ),
    ],
)
def test_other_metrics_refuse_what_does_not_fit(metric, arguments, sentence):
    if metric == "bleu":
        pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    with pytest.raises(ValueError) as error:
        getattr(metrics, metric)(*arguments)
    assert str(error.value) == sentence
