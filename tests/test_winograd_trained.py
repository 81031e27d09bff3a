"""A small model learns what "it" means, in sentences that it has never seen."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from course_lib.data.winograd import REAL_TWINS, point  # noqa: E402
from course_lib.training import winograd  # noqa: E402


@pytest.mark.trained
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_flips_with_the_adjective_in_held_out_twins(seed):
    """Each of these seeds got all twins right after 150 of the 200 steps."""
    torch.set_num_threads(1)
    result = winograd.train(seed)
    assert min(result["flips"].values()) >= 0.95
    assert result["accuracy"] >= 0.975
    for twins, (first, second) in (
        (REAL_TWINS[0], ("animal", "street")),
        (REAL_TWINS[1], ("trophy", "suitcase")),
    ):
        sentences = point(twins, [(first, second), (second, first)])
        assert winograd.flips(result["model"], sentences) == 1


def test_an_untrained_model_points_anywhere():
    torch.set_num_threads(1)
    result = winograd.train(0, steps=0)
    assert result["losses"] == []
    assert max(result["flips"].values()) < 0.2
    assert result["accuracy"] < 0.4


def test_padding_gets_no_score_and_does_not_matter():
    torch.manual_seed(0)
    model = winograd.Pointer(d_model=12, n_heads=2, n_layers=1)
    ids = torch.tensor([[5, 7, 11, 13, 0, 0]])
    it = torch.tensor([3])
    scores, weights = model(ids, ids > 0, it)
    alone, _ = model(ids[:, :4], ids[:, :4] > 0, it)
    assert torch.isneginf(scores[:, 4:]).all()
    torch.testing.assert_close(scores[:, :4], alone)
    assert [tuple(one.shape) for one in weights] == [(1, 2, 6, 6)]


def test_the_query_comes_from_it():
    torch.manual_seed(0)
    model = winograd.Pointer(d_model=12, n_heads=2, n_layers=1)
    ids, it = torch.tensor([[5, 7, 11, 13]] * 2), torch.tensor([3, 1])
    scores, _ = model(ids, ids > 0, it)
    states, _ = model.encoder.encode_words(ids, ids > 0)
    for row, position in enumerate(it):
        query = model.W_query(states[row, position])
        expected = model.W_key(states[row]) @ query / 12**0.5
        torch.testing.assert_close(scores[row], expected)
    assert not torch.allclose(scores[0], scores[1])


def test_a_pair_flips_when_both_of_its_twins_are_right(monkeypatch):
    sentences = winograd.winograd_twins(3, "test", np.random.default_rng(0))
    right = np.array([True, True, True, False, False, False])
    monkeypatch.setattr(winograd, "points_right", lambda *_: right)
    assert winograd.flips(None, sentences) == 1 / 3


def test_the_loss_is_the_cross_entropy_of_the_right_position():
    sentences = point(REAL_TWINS[0], [("animal", "street"), ("street", "animal")])
    torch.manual_seed(0)
    model = winograd.Pointer(d_model=12, n_heads=2, n_layers=1)
    loss = winograd.pointer_loss(model, sentences)
    scores, _ = model(*map(torch.tensor, (sentences.ids, sentences.mask, sentences.it)))
    weights = scores.softmax(dim=-1)
    by_hand = -(weights[0, 1].log() + weights[1, 5].log()) / 2
    torch.testing.assert_close(loss, by_hand)


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(ValueError) as error:
        winograd.train(-1)
    assert str(error.value) == "seed must be a whole number from 0 up, got -1"
