"""Training on captioned shapes: two ways from text to image, and reading an image.

`denoiser` asks the words by cross-attention, `stream` writes words and picture as one
sequence, `vision` goes the other way: which colour is the upper or left one?
"""

from dataclasses import dataclass

import numpy as np
import torch

from course_lib.data.shapes_and_captions import (
    COLOURS,
    PALETTE,
    RELATIONS,
    SIDE,
    WORDS,
    captioned_shapes,
    check_picture,
)
from course_lib.data.vocabulary import PAD
from course_lib.in_torch.denoiser import Denoiser, draw, flow_loss
from course_lib.in_torch.image_tokens import TextAndImageModel, stream_loss
from course_lib.in_torch.ops import cross_entropy
from course_lib.in_torch.vision import VisionTransformer
from course_lib.shapes.basic import check_choice, check_count
from course_lib.training.devices import device_of, seeded
from course_lib.training.loop import fit

BATCH = 64  # pictures in a training step
TESTED = 100  # captions
UNKNOWN = 0.1  # share of the captions that a denoiser trains without
_TEST_SEED = 2021


@dataclass(frozen=True)
class Noisy:
    """A batch for the denoiser: all that is random is drawn before the loss."""

    image: np.ndarray
    caption: np.ndarray
    noise: np.ndarray
    time: np.ndarray


@dataclass(frozen=True)
class Kind:
    """A model of pictures: how to make it, what it reads, and how good it is.

    Attributes:
        build:    function of nothing, giving the untrained model
        batch:    function of n, split, rng and relations
        loss:     function of the model and a batch
        measure:  function of the model, a batch of test pictures and rng, giving a dict
        learning_rate, steps: of training
    """

    build: object
    batch: object
    loss: object
    measure: object
    learning_rate: float
    steps: int


def noisy_shapes(n, split, rng, relations=tuple(RELATIONS)):
    """`captioned_shapes` with noise and times, and some captions unknown (all PAD)."""
    shown = captioned_shapes(n, split, rng, relations)
    unknown = rng.random((n, 1)) < UNKNOWN
    return Noisy(
        shown.image,
        np.where(unknown, PAD, shown.caption),
        rng.standard_normal(shown.image.shape).astype(np.float32),
        rng.random(n).astype(np.float32),
    )


def share_right(images, caption):
    """What the checker says of pictures: the share that has each of its points.

    Args:
        images:  (n, 16, 16, 3)
        caption: (n, 5) ids

    Returns:
        dict of numbers from 0 to 1: "first", "second", "relation".
    """
    checked = [
        check_picture(image, WORDS.decode(ids))
        for image, ids in zip(np.asarray(images), caption, strict=True)
    ]
    return {
        name: float(np.mean([points[name] for points in checked]))
        for name in ("first", "second", "relation")
    }


def _denoiser_loss(model, batch):
    arrays = batch.image, batch.noise, batch.time, batch.caption
    return flow_loss(model, *_tensors(model, *arrays))


def _measure_denoiser(model, shown, rng):
    noise = rng.standard_normal(shown.image.shape).astype(np.float32)
    images, _ = draw(model, *_tensors(model, shown.caption, noise), guidance=2.0)
    return share_right(images.cpu(), shown.caption)


def _stream_loss(model, batch):
    return stream_loss(model, *_tensors(model, batch.caption, batch.image))


def _measure_stream(model, shown, rng):
    (caption,) = _tensors(model, shown.caption)
    generator = torch.Generator(device_of(model)).manual_seed(int(rng.integers(2**31)))
    return share_right(model.draw(caption, generator).cpu(), shown.caption)


def _leading_colour(shown):
    """The colour of the upper or left one of the two objects, from 0.

    Not the relation: "red above blue" and "blue below red" are the same picture.
    """
    leads = np.isin(shown.caption[:, 2], WORDS.encode(["above", "left-of"]))
    colour = np.where(leads, shown.caption[:, 0], shown.caption[:, 3])
    return colour - WORDS.encode(COLOURS)[0]


def _vision_loss(model, batch):
    image, colour = _tensors(model, batch.image, _leading_colour(batch))
    return cross_entropy(model(image)[0], colour)


def _measure_vision(model, shown, rng):
    (image,) = _tensors(model, shown.image)
    with torch.no_grad():
        said = model(image)[0].argmax(dim=-1).cpu().numpy()
    return {"leading_colour": float((said == _leading_colour(shown)).mean())}


KINDS = {
    "denoiser": Kind(
        build=lambda: Denoiser(SIDE, 3, 4, len(WORDS), 5, 96, 4, 3, 192),
        batch=noisy_shapes,
        loss=_denoiser_loss,
        measure=_measure_denoiser,
        learning_rate=2e-3,
        steps=3000,
    ),
    "stream": Kind(
        build=lambda: TextAndImageModel(
            len(WORDS), torch.tensor(PALETTE), SIDE, 5, 64, 4, 3, 128
        ),
        batch=captioned_shapes,
        loss=_stream_loss,
        measure=_measure_stream,
        learning_rate=3e-3,
        steps=1000,
    ),
    "vision": Kind(
        build=lambda: VisionTransformer(SIDE, 3, 4, 32, 4, 2, 64, len(COLOURS)),
        batch=captioned_shapes,
        loss=_vision_loss,
        measure=_measure_vision,
        learning_rate=2e-3,
        steps=300,
    ),
}


def train(
    kind,
    seed,
    steps=None,
    device="cpu",
    relations=tuple(RELATIONS),
    tested=TESTED,
    **settings,
):
    """Train a model of pictures, and test it on captions it has never seen.

    Args:
        kind:      a name in `KINDS`
        seed:      int, of the weights and of the training pictures
        steps:     int. None = as many as the kind needs.
        device:    where to train
        relations: those of `RELATIONS` to use
        tested:    int, how many captions of either split to test
        settings:  of `training.loop.fit`, such as progress or checkpoint

    Returns:
        {"model": the model, "losses": one for each step, "seen" and "held_out": what
        the kind measures on captions of the training split and of the test split}.
    """
    check_choice("kind", kind, tuple(KINDS))
    check_count("seed", seed, 0)
    chosen = KINDS[kind]
    with seeded(seed):
        model = chosen.build().to(device)

    def batch_at(step):
        rng = np.random.default_rng([seed, step])
        return chosen.batch(BATCH, "train", rng, relations)

    steps = chosen.steps if steps is None else steps
    rate = {"learning_rate": chosen.learning_rate}
    losses = fit(model, batch_at, chosen.loss, steps, **{**rate, **settings})
    result = {"model": model.eval(), "losses": losses}
    for name, split in {"seen": "train", "held_out": "test"}.items():
        rng = np.random.default_rng(_TEST_SEED)
        shown = captioned_shapes(tested, split, rng, relations)
        result[name] = chosen.measure(model, shown, rng)
    return result


def _tensors(model, *arrays):
    """Arrays as tensors on the device of the model."""
    return [
        torch.tensor(np.asarray(array), device=device_of(model)) for array in arrays
    ]
