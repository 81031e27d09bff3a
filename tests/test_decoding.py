"""Decoding: greedy, sampled and with a beam, against a search of everything."""

from itertools import product

import numpy as np
import pytest
from twins import need_torch

torch = need_torch()

from tiny_models import batch_at, tiny  # noqa: E402

from course_lib.data.vocabulary import END, PAD, START  # noqa: E402
from course_lib.in_numpy import ops  # noqa: E402
from course_lib.in_torch.language_model import LanguageModel  # noqa: E402
from course_lib.in_torch.recurrent import Seq2Seq  # noqa: E402
from course_lib.in_torch.recurrent_attention import AttentionSeq2Seq  # noqa: E402
from course_lib.in_torch.transformer import Transformer  # noqa: E402
from course_lib.training.beam import beam_search, length_penalty  # noqa: E402
from course_lib.training.decoding import (  # noqa: E402
    greedy,
    keep_top_k,
    keep_top_p,
    sample,
)
from course_lib.training.translation import (  # noqa: E402
    greedy_decode,
    translation_loss,
)
from course_lib.training.writers import (  # noqa: E402
    LanguageWriter,
    TransformerWriter,
    writer_of,
)

torch.set_num_threads(1)
N_BATCH, N_SOURCE, N_WORDS, LENGTH = 3, 7, 5, 4  # PAD, START, END and two words


def translators():
    """A translator of every kind with 11 source words and 5 target words, by name."""
    sizes, shape = (
        (11, N_WORDS),
        {"d_model": 12, "n_heads": 2, "n_layers": 2, "d_ff": 13},
    )
    return {
        "vector": lambda: Seq2Seq(*sizes, 6, attention=False),
        "general": lambda: Seq2Seq(*sizes, 6, bidirectional=True),
        "bahdanau": lambda: AttentionSeq2Seq(*sizes, 6, wiring="bahdanau"),
        "luong": lambda: AttentionSeq2Seq(*sizes, 6, score="dot", wiring="luong"),
        "post-norm": lambda: Transformer(*sizes, **shape),
        "rotary": lambda: Transformer(
            *sizes, **shape, norm_first=True, n_kv_heads=1, positions="rotary"
        ),
        "alibi": lambda: Transformer(*sizes, **shape, positions="alibi"),
        "learned": lambda: Transformer(
            *sizes, **shape, positions="learned", max_length=N_SOURCE
        ),
    }  # fmt: skip


def translator(name, seed=0):
    """One of them, its output sharpened so that no two words are nearly alike."""
    torch.manual_seed(seed)
    model = translators()[name]().double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2
    return model


def sources(seed=0):
    """Padded sources and their mask, as tensors."""
    rng = np.random.default_rng(seed)
    mask = np.arange(N_SOURCE) < np.array([[7], [2], [5]])
    ids = np.where(mask, rng.integers(3, 11, (N_BATCH, N_SOURCE)), PAD)
    return torch.tensor(ids), torch.tensor(mask)


def started(writer, seed=0):
    """State and first words, ready to write."""
    source, mask = sources(seed)
    with torch.no_grad():
        state = writer.start(source, mask)
    return state, torch.full((N_BATCH,), START)


def forced(model, ids, seed=0):
    """Logits and weights when all words are given at once: the definition."""
    start = torch.full((len(ids), 1), START)
    with torch.no_grad():
        return model(*sources(seed), torch.cat([start, ids[:, :-1]], dim=1))


def last_layer(weights):
    """Weights (n_batch, n_target, ...) of a forward pass, in the order of `write`."""
    if isinstance(weights, list):  # one of each layer, (n_batch, n_heads, n_target, n)
        return torch.stack(weights, dim=1).movedim(-2, 1)
    return weights


@pytest.mark.parametrize("attention", [False, True])
def test_the_translation_loss_is_the_cross_entropy_of_the_next_word(attention):
    model, pairs = tiny(attention=attention), batch_at(0)
    with torch.no_grad():
        logits, _ = model(
            torch.tensor(pairs.source),
            torch.tensor(pairs.source_mask),
            torch.tensor(pairs.target_input),
        )
        ours = translation_loss(model, pairs).item()
    expected = ops.cross_entropy(logits.numpy(), pairs.target, pairs.target_mask)
    assert ours == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("attention", [False, True])
def test_greedy_decoding_writes_the_likeliest_word_after_what_it_wrote(attention):
    model, pairs = tiny(attention=attention), batch_at(0)
    ids, weights = greedy_decode(model, pairs.source, pairs.source_mask, 6)
    assert ids.shape == (7, 6)
    assert (weights is None) is not attention
    start = np.full((7, 1), 1)
    with torch.no_grad():
        logits, looked = model(
            torch.tensor(pairs.source),
            torch.tensor(pairs.source_mask),
            torch.tensor(np.concatenate([start, ids[:, :-1]], axis=1)),
        )
    written = ids != PAD
    best = logits.argmax(dim=-1).numpy()
    np.testing.assert_array_equal(ids[written], best[written])
    if attention:
        assert weights.shape == (7, 6, pairs.source.shape[1])
        np.testing.assert_allclose(weights[written], looked[written], atol=1e-6)


def test_nothing_is_written_behind_the_end():
    model, pairs = tiny(), batch_at(0)
    with torch.no_grad():
        model.W_out.bias[END] = 1e3
    ids, _ = greedy_decode(model, pairs.source, pairs.source_mask, 5)
    assert ids.tolist() == [[END, PAD, PAD, PAD, PAD]] * 7


# Writers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", translators())
def test_one_word_at_a_time_gives_what_all_at_once_gives(name):
    model = translator(name)
    writer = writer_of(model)
    ids = torch.tensor(np.random.default_rng(1).integers(3, N_WORDS, (N_BATCH, LENGTH)))
    logits, looked = forced(model, ids)
    state, words = started(writer)
    with torch.no_grad():
        for t in range(LENGTH):
            step_logits, weights, state = writer.step(words, state)
            torch.testing.assert_close(step_logits, logits[:, t], rtol=0, atol=1e-10)
            if looked is not None:
                expected = last_layer(looked)[:, t]
                torch.testing.assert_close(weights, expected, rtol=0, atol=1e-10)
            words = ids[:, t]


@pytest.mark.parametrize("name", translators())
def test_selected_rows_go_on_as_they_would_have_alone(name):
    writer, rows = writer_of(translator(name)), torch.tensor([2, 0, 2, 1])
    words = torch.tensor([3, 4, 3])

    def two_steps(select):
        state, first = started(writer)
        _, _, state = writer.step(first, state)
        if select:
            return writer.step(words[rows], writer.select(state, rows))[0]
        return writer.step(words, state)[0][rows]

    with torch.no_grad():
        torch.testing.assert_close(
            two_steps(True), two_steps(False), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("name", translators())
def test_greedy_writes_the_likeliest_word_and_nothing_behind_the_end(name):
    model = translator(name)
    writer = writer_of(model)
    ids, weights = greedy(writer, *started(writer), LENGTH)
    logits, looked = forced(model, ids)
    ended = (ids == END).cumsum(dim=1) - (ids == END).long()  # an END before here
    assert torch.equal(ids, logits.argmax(dim=-1).masked_fill(ended > 0, PAD))
    assert (weights is None) == (looked is None)
    if looked is not None:
        expected = last_layer(looked)
        shape = (*ended.shape, *[1] * (expected.dim() - 2))
        expected = expected.masked_fill(ended.reshape(shape) > 0, 0)
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["post-norm", "rotary", "alibi", "learned"])
def test_a_cached_transformer_writes_what_one_without_cache_writes(name):
    model, found = translator(name), []
    for cached in (True, False):
        writer = TransformerWriter(model, cached)
        ids, weights = greedy(writer, *started(writer), LENGTH)
        best, scores = beam_search(writer, *started(writer), LENGTH, width=3)
        found.append((ids, weights, best, scores))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def language_model(**options):
    torch.manual_seed(0)
    model = LanguageModel(11, 12, 2, 2, 13, max_length=9, **options)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 3
    return model.double().eval()


@pytest.mark.parametrize("n_prompt", [1, 4])
@pytest.mark.parametrize("positions", ["learned", "rotary", "alibi"])
def test_a_language_model_goes_on_from_a_prompt_cached_or_not(n_prompt, positions):
    model = language_model(positions=positions)
    prompt = torch.tensor(np.random.default_rng(0).integers(3, 11, (2, n_prompt)))
    found = []
    for cached in (True, False):
        writer = LanguageWriter(model, cached)
        with torch.no_grad():
            state = writer.start(prompt[:, :-1])
        ids, weights = greedy(writer, state, prompt[:, -1], 5, end=None)
        assert weights is None
        found.append(ids)
        both = torch.cat([prompt, ids], dim=1)
        with torch.no_grad():
            best = model(both)[0].argmax(dim=-1)
        assert torch.equal(both[:, n_prompt:], best[:, n_prompt - 1 : -1])
    assert torch.equal(*found)


def test_a_language_model_refuses_padding_in_one_sentence():
    with pytest.raises(ValueError) as error:
        LanguageWriter(language_model()).start(*sources())
    sentence = "source_mask must be True throughout for a LanguageModel"
    assert str(error.value) == sentence


def test_what_cannot_write_is_refused_in_one_sentence():
    with pytest.raises(
        TypeError, match="^model must be one that writes, but it is a Linear$"
    ):
        writer_of(torch.nn.Linear(2, 3))


def test_a_model_that_writes_is_its_own_writer():
    model = translator("luong")
    assert writer_of(model) is model


# Beam search --------------------------------------------------------------------------


def every_hypothesis(length):
    """All that can be written: words up to END, or to the greatest length."""
    going_on = [word for word in range(N_WORDS) if word != END]
    ended = [
        (*words, END) for n in range(length) for words in product(going_on, repeat=n)
    ]
    return ended + list(product(going_on, repeat=length))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.5])
@pytest.mark.parametrize("name", ["vector", "bahdanau", "post-norm", "rotary"])
def test_a_beam_wide_enough_finds_what_a_search_of_everything_finds(name, alpha):
    model, length = translator(name, seed=3), 3
    writer, hypotheses = writer_of(model), every_hypothesis(3)
    ids, scores = beam_search(
        writer, *started(writer), length, len(hypotheses) + 2, alpha
    )
    expected = torch.empty(N_BATCH, len(hypotheses), dtype=torch.float64)
    for column, words in enumerate(hypotheses):
        given = torch.tensor([[*words, *[PAD] * (length - len(words))]] * N_BATCH)
        logp = forced(model, given)[0].log_softmax(dim=-1)
        logp = logp.gather(-1, given[..., None])[:, : len(words), 0].sum(dim=1)
        expected[:, column] = logp / ((5 + len(words)) / 6) ** alpha
    order = expected.argsort(dim=1, descending=True)
    torch.testing.assert_close(
        scores[:, :-2], expected.gather(1, order), rtol=0, atol=1e-10
    )
    assert (scores[:, -2:] == -torch.inf).all()  # there is no more
    for row in range(N_BATCH):
        best = hypotheses[order[row, 0]]
        assert ids[row, 0].tolist() == [*best, *[PAD] * (length - len(best))]


@pytest.mark.parametrize("name", translators())
def test_a_beam_of_one_is_greedy(name):
    for seed in range(3):
        writer = writer_of(translator(name, seed))
        ids, _ = beam_search(writer, *started(writer), LENGTH, width=1, alpha=2.0)
        expected, _ = greedy(writer, *started(writer), LENGTH)
        assert torch.equal(ids[:, 0], expected)


class Scripted:
    """A writer whose next word depends on the words so far, as a table says."""

    def __init__(self, table):
        self.table = table

    def start(self, source, source_mask):
        return source

    def step(self, words, state):
        state = torch.cat([state, words[:, None]], dim=1)
        rows = [
            self.table.get(tuple(row[1:]), [0, 0, 1, 0, 0]) for row in state.tolist()
        ]
        return torch.tensor(rows).log(), None, state

    def select(self, state, rows):
        return state[rows]


A, B = 3, 4
# Shares of PAD, START, END, A, B. Greedy takes A (.6), and then the best is .6 x .4.
# B (.4) goes on with .9: .36, which is more.
TRAP = {
    (): [0, 0, 0, 0.6, 0.4],
    (A,): [0, 0, 0.4, 0.35, 0.25],
    (B,): [0, 0, 0.9, 0.1, 0],
}  # and then END


def test_a_beam_finds_what_greed_misses_by_hand():
    first = torch.zeros((1, 0), dtype=torch.long), torch.tensor([START])
    ids, _ = greedy(Scripted(TRAP), *first, 3)
    assert ids.tolist() == [[A, END, PAD]]
    ids, scores = beam_search(Scripted(TRAP), *first, 3, width=2, alpha=0.0)
    assert ids.tolist() == [[[B, END, PAD], [A, END, PAD]]]
    assert scores[0].exp().tolist() == pytest.approx([0.36, 0.24])
    # Width 3 keeps (A, A) with .6 x .35 in its second step, and then it ends as well.
    ids, scores = beam_search(Scripted(TRAP), *first, 3, width=3, alpha=0.0)
    assert scores[0].exp().tolist() == pytest.approx([0.36, 0.24, 0.21])


def test_the_length_penalty_by_hand_and_what_it_does():
    assert length_penalty(1, 0.7) == 1
    assert length_penalty(7, 1.0) == 2
    assert length_penalty(7, 0.5) == pytest.approx(2**0.5)
    first = torch.zeros((1, 0), dtype=torch.long), torch.tensor([START])
    # ln .36 / (7/6)^a for B END beats ln .21 / (8/6)^a for A A END unless a is large.
    for alpha, best in ((1.0, [B, END, PAD]), (5.0, [A, A, END])):
        ids, _ = beam_search(Scripted(TRAP), *first, 3, width=3, alpha=alpha)
        assert ids[0, 0].tolist() == best


# Sampling -----------------------------------------------------------------------------

LOGITS = torch.log(torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.7, 0.1, 0.1, 0.1]]))


def kept(logits):
    """Which words are left, as 0 and 1."""
    return (logits > -torch.inf).int().tolist()


def test_top_k_keeps_the_k_likeliest_by_hand():
    filtered = keep_top_k(LOGITS, 2)
    assert kept(filtered)[0] == [0, 1, 0, 1]
    assert sum(kept(filtered)[1]) == 2  # ties or not, never more than k
    assert torch.equal(filtered[0, [1, 3]], LOGITS[0, [1, 3]])
    for k in (4, 100):
        assert torch.equal(keep_top_k(LOGITS, k), LOGITS)


def test_top_p_keeps_the_fewest_that_have_the_share_p_by_hand():
    expected = {0.39: [0, 1, 0, 0], 0.41: [0, 1, 0, 1], 0.71: [0, 1, 1, 1]}
    for p, words in expected.items():
        assert kept(keep_top_p(LOGITS, p))[0] == words
    assert kept(keep_top_p(LOGITS, 0.5))[1] == [1, 0, 0, 0]
    assert kept(keep_top_p(LOGITS, 1e-9)) == [[0, 1, 0, 0], [1, 0, 0, 0]]
    torch.manual_seed(0)
    many = torch.randn(7, 5000) * 9
    assert torch.equal(keep_top_p(many, 1.0), many)
    assert kept(keep_top_p(LOGITS + 100, 0.41)) == kept(keep_top_p(LOGITS, 0.41))


@pytest.mark.parametrize("name", ["general", "luong", "rotary"])
@pytest.mark.parametrize(
    "options", [{"temperature": 1e-4}, {"top_k": 1}, {"top_p": 1e-9}]
)
def test_sampling_at_its_narrowest_is_greedy(name, options):
    writer = writer_of(translator(name))
    ids, _ = sample(writer, *started(writer), LENGTH, torch.Generator(), **options)
    assert torch.equal(ids, greedy(writer, *started(writer), LENGTH)[0])


def shares_drawn(n=20_000, **options):
    """How often each word is drawn from the shares .1 .4 .2 .3."""
    writer = Scripted({(): [0.1, 0.4, 0.2, 0.3]})
    state, words = torch.zeros((n, 0), dtype=torch.long), torch.zeros(n).long()
    generator = torch.Generator().manual_seed(0)
    ids, _ = sample(writer, state, words, 1, generator, end=None, **options)
    return (ids.flatten().bincount(minlength=4) / n).tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.1, 0.4, 0.2, 0.3]),
        ({"temperature": 0.5}, [1 / 30, 16 / 30, 4 / 30, 9 / 30]),  # shares squared
        ({"top_k": 2}, [0, 4 / 7, 0, 3 / 7]),
        ({"top_p": 0.8}, [0, 4 / 9, 2 / 9, 3 / 9]),
        # First the temperature: .53 and .3 and .13, so that p = .8 keeps two.
        ({"temperature": 0.5, "top_p": 0.8}, [0, 16 / 25, 0, 9 / 25]),
        # First k, so that .57 of what is left is enough for p = .5.
        ({"top_k": 2, "top_p": 0.5}, [0, 1, 0, 0]),
    ],
)
def test_words_are_drawn_as_often_as_they_should(options, expected):
    # Four standard deviations of a share of one half in 20,000.
    assert shares_drawn(**options) == pytest.approx(expected, abs=0.0142)


def test_the_generator_decides_what_is_drawn():
    writer = writer_of(translator("general"))

    def drawn(seed):
        torch.manual_seed(torch.seed())  # the global one does not matter
        generator = torch.Generator().manual_seed(seed)
        return sample(writer, *started(writer), 30, generator, 2.0, end=None)[0]

    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: keep_top_k(LOGITS, 0),
            "top_k must be a whole number from 1 up, got 0",
        ),
        (lambda: keep_top_p(LOGITS, 0), "top_p must be above 0 and at most 1, got 0"),
        (
            lambda: keep_top_p(LOGITS, 1.5),
            "top_p must be above 0 and at most 1, got 1.5",
        ),
        (
            lambda: sample(None, None, None, 1, None, temperature=0),
            "temperature must be a positive number, got 0",
        ),
        (
            lambda: beam_search(None, None, None, 1, width=0),
            "width must be a whole number from 1 up, got 0",
        ),
    ],
)
def test_decoders_refuse_what_makes_no_sense_in_one_sentence(call, sentence):
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value) == sentence
