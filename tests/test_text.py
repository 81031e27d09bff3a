"""Models of text: what their losses count, and what is measured, by hand."""

import math

import numpy as np
import pytest
from twins import need_torch

torch = need_torch()
pytest.importorskip("tokenizers", reason="tokenizers is not installed")

from course_lib.data.documentation import documentation  # noqa: E402
from course_lib.in_numpy import ops  # noqa: E402
from course_lib.training import text  # noqa: E402

torch.set_num_threads(1)


class Constant(torch.nn.Module):
    """A model that gives every token the same logits, and keeps what it was shown."""

    def __init__(self, logits):
        super().__init__()
        self.logits, self.shown = torch.nn.Parameter(logits), []

    def forward(self, ids):
        self.shown.append(ids)
        return self.logits.expand(*ids.shape, -1), []


def logits_for(**shares):
    """Logits in which some ids have a share and the others share the rest."""
    rest = (1 - sum(shares.values())) / (text.VOCAB_SIZE - len(shares))
    logits = torch.full((text.VOCAB_SIZE,), rest)
    for index, share in shares.items():
        logits[int(index)] = share
    return logits.log()


def test_bits_for_each_character_by_hand():
    some = documentation("test")[:5000]
    encoded = text.tokenizer().encode(some)
    even = Constant(logits_for())  # every token costs log2(1024) = 10 bits
    n_tokens, given = len(encoded.ids), encoded.offsets[0][1]
    assert n_tokens > 3 * text.WINDOW  # so there are several windows
    expected = 10 * (n_tokens - 1) / (len(some) - given)
    assert text.text_bits(even, some) == pytest.approx(expected, rel=1e-5)
    # What was read, in a row: every token but the last once, and nothing else.
    read = torch.cat([ids[0] for ids in even.shown]).tolist()
    assert read == encoded.ids[:-1]
    assert max(ids.shape[1] for ids in even.shown) == text.WINDOW


def test_the_loss_of_the_next_token_is_that_of_the_one_behind():
    ids = np.array([[3, 7, 7], [5, 7, 3]])
    model = Constant(logits_for(**{"7": 0.5, "3": 0.25}))
    expected = (3 * math.log(2) + math.log(4)) / 4  # 7, 7 and 7, 3
    assert text.next_loss(model, ids).item() == pytest.approx(expected, rel=1e-5)
    assert model.shown[0].tolist() == [[3, 7], [5, 7]]


def test_the_loss_of_hidden_tokens_counts_them_alone_and_hides_them():
    ids = np.array([[3, 7, 5], [7, 7, 3]])
    hidden = np.array([[True, False, False], [False, True, True]])
    model = Constant(logits_for(**{"7": 0.5, "3": 0.25}))
    expected = (math.log(2) + 2 * math.log(4)) / 3
    loss = text.hidden_loss(model, (ids, hidden)).item()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert text.n_hidden((ids, hidden)) == 3
    mask = text.MASK
    assert model.shown[0].tolist() == [[mask, 7, 5], [7, mask, mask]]


def test_the_share_of_hidden_tokens_that_are_right_by_hand():
    always = Constant(logits_for(**{"12": 0.9}))
    batches = [text.hidden_batch(1991, step, "test") for step in range(8)]
    tokens = np.concatenate([ids[hidden] for ids, hidden in batches])
    expected = (tokens == 12).mean()
    assert expected > 0
    assert text.hidden_accuracy(always) == pytest.approx(expected)


def test_batches_are_windows_of_the_training_text_that_the_step_decides():
    assert text.next_batch(0, 3).shape == (text.BATCH, text.WINDOW + 1)
    np.testing.assert_array_equal(text.next_batch(0, 3), text.next_batch(0, 3))
    assert not np.array_equal(text.next_batch(0, 3), text.next_batch(0, 4))
    ids, hidden = text.hidden_batch(0, 3)
    assert ids.shape == hidden.shape == (text.BATCH, text.WINDOW)
    assert hidden.mean() == pytest.approx(text.HIDDEN, abs=0.03)
    training = documentation("train")
    for row in (*text.next_batch(1, 0)[:3], *ids[:3]):
        assert text.tokenizer().decode(row.tolist()) in training


@pytest.mark.parametrize("kind", text.MODELS)
def test_the_losses_are_those_of_the_models(kind):
    model = text.build_model(kind, 0).eval()
    if kind == "gpt":
        ids = text.next_batch(0, 0)[:2, :9]
        loss = text.next_loss(model, ids)
        logits, target, counts = model(torch.tensor(ids[:, :-1]))[0], ids[:, 1:], None
    else:
        batch = target, counts = [part[:2, :9] for part in text.hidden_batch(0, 0)]
        loss = text.hidden_loss(model, batch)
        seen = torch.tensor(np.where(counts, text.MASK, target))
        logits = model(seen)[0]
    expected = ops.cross_entropy(logits.detach().numpy(), target, counts)
    assert loss.item() == pytest.approx(float(expected), rel=1e-5)


def test_the_seed_decides_the_first_weights():
    one, same, other = (text.build_model("gpt", seed) for seed in (1, 1, 2))
    assert torch.equal(one.embedding.weight, same.embedding.weight)
    assert not torch.equal(one.embedding.weight, other.embedding.weight)


def test_a_kind_that_is_none_is_refused_in_one_sentence():
    with pytest.raises(ValueError) as error:
        text.build_model("x", 0)
    assert str(error.value) == "kind must be one of 'gpt', 'bert', got 'x'"
