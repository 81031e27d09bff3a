"""A small model that reads a sentence and points from "it" to the noun it means."""

import numpy as np
import torch
from torch import nn

from course_lib.data.winograd import KINDS, WORDS, winograd_twins
from course_lib.in_torch.masked_model import MaskedModel
from course_lib.in_torch.ops import cross_entropy
from course_lib.in_torch.scores import scaled_dot_scores
from course_lib.shapes.basic import check_count
from course_lib.training.devices import device_of, seeded
from course_lib.training.loop import fit

BATCH = 32  # pairs of twins in a training step
TESTED = 500  # pairs of twins
STEPS = 200
_TEST_SEED = 2012


class Pointer(nn.Module):
    """Self-attention over a sentence, then one query from "it" to every word.

    Args:
        d_model, n_heads, n_layers: sizes of the encoder
    """

    def __init__(self, d_model=48, n_heads=4, n_layers=2):
        super().__init__()
        self.encoder = MaskedModel(
            len(WORDS), d_model, n_heads, n_layers, 2 * d_model, 16, head=False
        )
        self.W_query = nn.Linear(d_model, d_model)
        self.W_key = nn.Linear(d_model, d_model)

    def forward(self, ids, mask, it):
        """Score every word as what "it" means.

        Args:
            ids:  (n_batch, n_words)
            mask: (n_batch, n_words) bool, True = a word and not padding
            it:   (n_batch,) position of "it"

        Returns:
            scores (n_batch, n_words), -inf for padding, and the encoder's weights, one
            (n_batch, n_heads, n_words, n_words) a layer.
        """
        states, weights = self.encoder.encode_words(ids, mask)
        index = it[:, None, None].expand(-1, 1, states.shape[-1])
        query = self.W_query(states.gather(1, index))  # (n_batch, 1, d_model)
        scores = scaled_dot_scores(query, self.W_key(states))[:, 0]
        return scores.masked_fill(~mask, -torch.inf), weights


def pointer_loss(model, sentences):
    """Mean cross-entropy of the right position, over all words of each sentence."""
    ids, mask, it, answer = _tensors(model, sentences)
    return cross_entropy(model(ids, mask, it)[0], answer)


def points_right(model, sentences):
    """Which sentences the model gets right: (n,) bool."""
    model.eval()
    ids, mask, it, answer = _tensors(model, sentences)
    with torch.no_grad():
        scores, _ = model(ids, mask, it)
    return (scores.argmax(dim=-1) == answer).cpu().numpy()


def flips(model, sentences):
    """Share of the pairs of twins of which both are right."""
    right = points_right(model, sentences)
    return float((right & right[sentences.twin]).mean())


def train(seed, steps=STEPS, device="cpu", **settings):
    """Train a `Pointer` on generated twins and test it on held-out ones.

    Args:
        seed:     int, of the weights and of the training sentences
        steps:    int
        device:   where to train
        settings: of `training.loop.fit`, such as progress or checkpoint

    Returns:
        {"model": `Pointer`, "losses": one for each step, "accuracy": share of held-out
        sentences it got right, "flips": {kind: share of twins both right}}.
    """
    check_count("seed", seed, 0)
    with seeded(seed):
        model = Pointer().to(device)

    def batch_at(step):
        return winograd_twins(BATCH, "train", np.random.default_rng([seed, step]))

    losses = fit(
        model, batch_at, pointer_loss, steps, **{"learning_rate": 3e-3, **settings}
    )
    tested = {
        kind: winograd_twins(TESTED, "test", np.random.default_rng(_TEST_SEED), [kind])
        for kind in KINDS
    }
    right = [points_right(model, sentences) for sentences in tested.values()]
    return {
        "model": model,
        "losses": losses,
        "accuracy": float(np.mean(right)),
        "flips": {kind: flips(model, sentences) for kind, sentences in tested.items()},
    }


def _tensors(model, sentences):
    """What the model reads, and the answer, on its device."""
    arrays = sentences.ids, sentences.mask, sentences.it, sentences.answer
    return [torch.tensor(array, device=device_of(model)) for array in arrays]
