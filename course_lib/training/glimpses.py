"""Reading a digit among clutter with one glimpse: soft, hard, or at everything alike.

The reader never hears where the digit is; the loss of the label is all it learns from.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_lib.data.glimpses import CELL, CLUTTER, cluttered_digits
from course_lib.in_torch.attention import attend
from course_lib.in_torch.hard import (
    attend_hard,
    attend_straight_through,
    baseline_error,
    log_probability,
    moving_average,
)
from course_lib.shapes.basic import check_choice
from course_lib.training.devices import device_of, seeded
from course_lib.training.gradient_spread import gradient_spread
from course_lib.training.loop import fit

# Sampled glimpses learn by the score function: with no baseline, with a moving average,
# or with one that is learned and differs from image to image.
SAMPLED = ("sample", "sample-average", "sample-learned")
KINDS = ("mean", "soft", *SAMPLED, "straight-through")
STEPS, BATCH, TESTED = 500, 64, 1000
GUESSED = math.log(10)  # the loss of a reader that knows nothing
_TEST_SEED = 2015


class GlimpseReader(nn.Module):
    """Encode each patch, look at the patches, name the digit.

    A learned query scores the encoded patches, which are keys and values at once.

    Args:
        kind:    one of `KINDS`: how it looks
        d_model: size of an encoded patch
    """

    def __init__(self, kind, d_model=64):
        super().__init__()
        check_choice("kind", kind, KINDS)
        self.kind = kind
        self.W_patch = nn.Linear(CELL * CELL, d_model)
        self.W_out = nn.Linear(d_model, 10)
        self.query = self.W_baseline = None
        if kind != "mean":
            self.query = nn.Linear(d_model, 1, bias=False)
        if kind == "sample-learned":
            self.W_baseline = nn.Linear(d_model, 1)
            nn.init.constant_(self.W_baseline.bias, GUESSED)
        average = GUESSED if kind == "sample-average" else 0.0  # then it stays 0
        self.register_buffer("average", torch.tensor(average))

    def encode(self, patches):
        """Patches (n_batch, n_patches, 64) -> (n_batch, n_patches, d_model), scores."""
        encoded = torch.relu(self.W_patch(patches))
        if self.query is None:
            return encoded, encoded.new_zeros((len(encoded), 1, encoded.shape[1]))
        return encoded, self.query(encoded).transpose(-1, -2)

    def forward(self, patches, noise=None):
        """Name the digits.

        Args:
            patches: (n_batch, n_patches, 64)
            noise:   (n_batch, 1, n_patches), Gumbel. None = a hard look takes the best.

        Returns:
            logits (n_batch, 10), weights and scores, both (n_batch, 1, n_patches).
        """
        encoded, scores = self.encode(patches)
        if self.kind in ("mean", "soft"):
            context, weights = attend(scores, encoded)
        elif self.kind in SAMPLED or noise is None:
            context, weights = attend_hard(scores, encoded, noise=noise)
        else:
            context, weights = attend_straight_through(scores, encoded, noise)
        return self.W_out(context)[:, 0], weights, scores

    def baseline(self, patches):
        """The loss to expect from each image, seen as a whole: (n_batch,)."""
        if self.W_baseline is not None:
            encoded, _ = self.encode(patches)
            return self.W_baseline(encoded.mean(dim=1).detach())[:, 0]
        return self.average.expand(len(patches))


def glimpse_loss(model, batch):
    """Mean cross-entropy of the label; sampled glimpses add what teaches their scores.

    What they add is zero, only its gradient is not. So the losses of all kinds compare.

    Args:
        model: `GlimpseReader`
        batch: `Glimpses` and their noise (n_batch, 1, n_patches)

    Returns:
        scalar tensor, in nats.
    """
    glimpses, noise = batch
    patches, label, noise = _tensors(model, glimpses.patches, glimpses.label, noise)
    logits, weights, scores = model(patches, noise)
    loss = F.cross_entropy(logits, label, reduction="none")  # (n_batch,)
    if model.kind not in SAMPLED:
        return loss.mean()
    baseline = model.baseline(patches)
    worse = (loss - baseline).detach()
    added = (worse * log_probability(scores, weights)[:, 0]).mean()
    if model.kind == "sample-average":
        model.average = moving_average(model.average, loss.detach())
    if model.kind == "sample-learned":
        added = added + baseline_error(baseline, loss)
    return loss.mean() + added - added.detach()


def batch_at(seed, step, clutter=CLUTTER):
    """The training batch of a step, with its noise; it depends on nothing else."""
    rng = np.random.default_rng([seed, step])
    glimpses = cluttered_digits(BATCH, "train", rng, clutter)
    noise = rng.gumbel(size=(BATCH, 1, glimpses.patches.shape[1]))
    return glimpses, noise.astype(np.float32)


def build_model(kind, seed):
    """The untrained reader; its first weights depend on the kind and the seed alone."""
    with seeded(seed):
        return GlimpseReader(kind)


def measure(model, clutter=CLUTTER):
    """How well a reader reads unseen digits, and how often it looks at them.

    Returns:
        a dict: accuracy, the share of digits named right, and found, the share whose
        patch has the largest weight.
    """
    rng = np.random.default_rng(_TEST_SEED)
    glimpses = cluttered_digits(TESTED, "test", rng, clutter)
    model.eval()
    with torch.no_grad():
        logits, weights, _ = model(*_tensors(model, glimpses.patches))
    named = logits.argmax(dim=-1).cpu().numpy()
    looked = weights[:, 0].argmax(dim=-1).cpu().numpy()
    return {
        "accuracy": float((named == glimpses.label).mean()),
        "found": float((looked == glimpses.position).mean()),
    }


def train(kind, seed, steps=STEPS, *, clutter=CLUTTER, checkpoint=None, progress=False):
    """Train a reader and measure it.

    Args:
        kind:    one of `KINDS`
        seed:    int, of the first weights, the batches and the noise
        steps:   int
        clutter: int, how many pieces of other digits lie on each canvas
        checkpoint, progress: as for `fit`

    Returns:
        the result, a dict: how it was made; the losses; the spread of the gradient at
        the start and at the end; and see `measure`.
    """
    model = build_model(kind, seed)
    seen, _ = batch_at(seed, 0, clutter)

    def spread():
        return gradient_spread(model, seen, np.random.default_rng(seed))

    at_start = spread()
    losses = fit(
        model,
        lambda step: batch_at(seed, step, clutter),
        glimpse_loss,
        steps,
        checkpoint=checkpoint,
        progress=progress,
    )
    return {
        "kind": kind,
        "seed": seed,
        "steps": steps,
        "clutter": clutter,
        "n_parameters": sum(p.numel() for p in model.parameters()),
        "loss": [round(loss, 4) for loss in losses],
        **measure(model, clutter),
        "gradient_at_start": at_start,
        "gradient_at_end": spread(),
    }


def _tensors(model, *arrays):
    """Arrays as tensors on the device of the model."""
    return [torch.tensor(array, device=device_of(model)) for array in arrays]
