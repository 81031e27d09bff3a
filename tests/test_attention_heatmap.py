"""The heatmap without a browser: what it refuses and keeps, and MiniLM's data."""

import re
from pathlib import Path

import numpy as np
import pytest
import traitlets
from twins import need_torch

from course_lib.widgets import AttentionHeatmap
from course_lib.widgets.attention_heatmap import (
    MINILM,
    ROUNDING,
    STEPS,
    sentence,
    weights_of,
)

ROOT = Path(__file__).parents[1]
LAYERS, HEADS = 3, 2
LARGEST = 300_000  # bytes of all that the first page loads for it


def made_up_weights(n, seed):
    """Random weights of an encoder: (LAYERS, HEADS, n, n), rows summing to 1."""
    scores = np.random.default_rng(seed).exponential(size=(LAYERS, HEADS, n, n)) ** 3
    return scores / scores.sum(-1, keepdims=True)


def small_sentences(last="end"):
    """Four sentences of 5, 5, 7 and 3 words; two pairs, of which one is uneven."""
    texts = (
        ["[a]", "one", "two", "it", last],
        ["[a]", "one", "two", "it", "else"],
        ["[a]", "we", "sat", "on", "it", "all", last],
        ["it", "was", last],
    )
    focus, twins = (3, 3, 4, 0), (2, 1, 4, 3)
    return [
        sentence(" ".join(tokens), tokens, made_up_weights(len(tokens), i), *more)
        for i, (tokens, *more) in enumerate(zip(texts, focus, twins, strict=True))
    ]


def test_a_sentence_keeps_its_weights_to_the_promised_rounding():
    weights = made_up_weights(7, 11)
    kept = weights_of(sentence("x", list("abcdefg"), weights, 0))
    assert kept.shape == weights.shape
    assert np.abs(kept - weights).max() <= ROUNDING + 1e-12
    assert np.abs(kept - weights.round(2)).max() < 1e-12  # what it shows is exact


def test_it_starts_from_the_word_of_the_sentence_it_starts_with():
    widget = AttentionHeatmap(small_sentences(), sentence=3, layer=2, head=1)
    assert (widget.sentence, widget.layer, widget.head) == (3, 2, 1)
    assert widget.word == 4 and widget.compare is False


@pytest.mark.parametrize("compare", [False, True])
def test_the_static_form_has_the_weights_of_the_word_and_of_its_twin(compare):
    sentences = small_sentences()
    widget = AttentionHeatmap(sentences, layer=3, head=2, compare=compare)
    shown = re.findall(r'weight">(\d\.\d\d)<', widget.static())
    rows = [weights_of(each)[2, 1, 3] for each in sentences[: 1 + compare]]
    assert [float(x) for x in shown] == np.concatenate(rows).round(2).tolist()
    assert widget.static().count("heatmap-asks") == 1 + compare


@pytest.mark.parametrize(
    ("name", "wrong", "last"), [("sentence", 5, 4), ("layer", 0, 3), ("head", 3, 2)]
)
def test_a_sentence_layer_or_head_that_is_not_there_is_refused(name, wrong, last):
    message = f"{name} must be from 1 to {last}, but it is {wrong}"
    with pytest.raises(traitlets.TraitError, match=message):
        AttentionHeatmap(small_sentences(), **{name: wrong})


def test_sentences_that_do_not_fit_together_are_refused():
    first, *_ = small_sentences()
    with pytest.raises(ValueError, match="one or more, all with the same number"):
        AttentionHeatmap([])
    with pytest.raises(ValueError, match="the same number of layers and heads"):
        AttentionHeatmap([first, {**first, "heads": 7}])
    with pytest.raises(ValueError, match="twin must count sentences from 1 to 1, but"):
        AttentionHeatmap([first])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": made_up_weights(4, 0)}, r"shape \(n_layers, n_heads, 5, 5\), but"),
        ({"weights": made_up_weights(5, 0)[0]}, "weights must have shape"),
        ({"weights": made_up_weights(5, 0) * 3}, "weights must lie between 0 and 1"),
        ({"weights": made_up_weights(5, 0) * np.nan}, "weights must lie between 0"),
        ({"focus": 5}, "focus must be a position below 5, but it is 5"),
    ],
)
def test_a_sentence_that_does_not_fit_is_refused(changed, message):
    good = {"weights": made_up_weights(5, 0), "focus": 0}
    with pytest.raises(ValueError, match=message):
        sentence("a b c d e", list("abcde"), **(good | changed))


def test_the_page_counts_in_the_same_steps():
    script = (ROOT / "course_lib" / "widgets" / "attention_heatmap.js").read_text()
    assert f"const STEPS = {STEPS};" in script


# MiniLM's own numbers -----------------------------------------------------------------


@pytest.fixture(scope="module")
def fresh():
    """{text: (tokens, weights)} as MiniLM computes them now."""
    torch = need_torch()
    from course_lib.pretrained.files import MissingWeights
    from course_lib.pretrained.minilm import load_minilm
    from tools.heatmap_data import SENTENCES, attention

    torch.set_num_threads(1)
    try:
        model = load_minilm()
    except MissingWeights as missing:
        pytest.skip(str(missing))
    return {text: attention(*model, text) for text, _ in SENTENCES}


@pytest.fixture(scope="module")
def minilm():
    """The widget of the first page."""
    return AttentionHeatmap.of_minilm()


def test_the_committed_weights_are_what_minilm_computes(minilm, fresh):
    assert [each["text"] for each in minilm.sentences] == list(fresh)
    for each in minilm.sentences:
        tokens, weights = fresh[each["text"]]
        assert each["tokens"] == tokens
        assert weights_of(each).shape == weights.shape == (6, 12) + 2 * (len(tokens),)
        assert np.abs(weights_of(each) - weights).max() <= ROUNDING + 1e-5


def test_there_are_a_dozen_sentences_and_the_pairs_point_at_each_other(minilm):
    twins = [each["twin"] for each in minilm.sentences]
    assert twins == [2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11]
    first, second, *_ = (each["text"] for each in minilm.sentences)
    assert first.endswith("it was too tired.") and second.endswith("it was too wide.")


def test_all_that_the_first_page_loads_for_it_is_small_enough(html):
    script = (html / "_static" / "attention_heatmap.js").stat().st_size
    styles = (html / "_static" / "course_widgets.css").stat().st_size
    assert MINILM.stat().st_size < script
    assert script + styles <= LARGEST


def of_it(fresh, ending, word, layer=4, head=2):
    """What "it" puts on a word of the first page, to two decimals."""
    (text,) = [text for text in fresh if text.endswith(ending)]
    tokens, weights = fresh[text]
    row = weights[layer - 1, head - 1, tokens.index("it")]
    return f"{row[tokens.index(word)]:.2f}"


def test_the_first_page_says_what_the_weights_are(fresh):
    page = " ".join((ROOT / "index.md").read_text(encoding="utf-8").split())
    tired, wide = (of_it(fresh, end, "animal") for end in ("tired.", "wide."))
    assert f"gets {tired} of its weight if it was too tired, and {wide} if" in page
    street = of_it(fresh, "wide.", "street")
    assert f"not turn to the street, which gets {street}" in page
    assert float(street) < float(wide)  # no flip
    lost = float(tired) - float(wide)
    to_cls = [float(of_it(fresh, end, "[CLS]")) for end in ("wide.", "tired.")]
    assert to_cls[0] - to_cls[1] > lost / 2
    cat, ball = (
        [of_it(fresh, end, word) for end in ("hungry.", "rolling.")]
        for word in ("cat", "ball")
    )
    assert f"falls from {cat[0]} to {cat[1]}, and" in page
    assert f"rises from {ball[0]} to {ball[1]}." in page
    suitcase = [of_it(fresh, end, "suitcase") for end in ("too big.", "too small.")]
    assert f"gets {suitcase[0]} if *it* is the trophy, and {suitcase[1]} if" in page
    assert suitcase[1] < suitcase[0]  # the wrong way


def test_the_first_page_says_what_heads_there_are_and_what_one_of_them_does(fresh):
    for _, weights in fresh.values():
        n = weights.shape[-1]
        before = weights[0, 2, range(1, n), range(n - 1)]  # layer 1, head 3
        assert before.min() > 0.9
    assert "72 heads" in (ROOT / "index.md").read_text(encoding="utf-8")
    assert weights.shape[0] * weights.shape[1] == 72
