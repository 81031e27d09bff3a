"""How much the estimates of one gradient differ, measured on a reader of glimpses."""

import numpy as np
import torch

from course_lib.in_numpy import hard
from course_lib.in_numpy.ops import log_softmax, softmax
from course_lib.shapes.basic import check_count
from course_lib.training.devices import device_of


def gradient_spread(model, glimpses, rng, n_samples=200):
    """How much the estimates of one and the same gradient differ, and around what.

    The gradient is that of the expected loss of a sampled glimpse with respect to the
    scores of its image. All positions are tried, so it is known exactly.

    Args:
        model:     `GlimpseReader`; its scores and what it reads from each patch count
        glimpses:  `Glimpses`
        rng:       np.random.Generator
        n_samples: int, estimates for each image

    Returns:
        a dict: signal, the squared length of the exact gradient; and for each kind of
        estimate its variance and its bias, both as squared lengths. All are means over
        the images. The moving average is taken where it settles, the mean loss; the
        learned baseline at its best, the expected loss of each image.
    """
    check_count("n_samples", n_samples, 2)
    encoded, scores, losses, d_context = _every_glimpse(model, glimpses)
    exact, _ = hard.expected_loss_backward(np.ones((len(scores), 1)), scores, losses)
    expected = hard.expected_loss(scores, losses)  # (n, 1)
    noise = rng.gumbel(size=(n_samples, *scores.shape))  # (n_samples, n, 1, n_patches)
    many = np.broadcast_to(scores, noise.shape)
    weights = hard.choose(scores + noise)
    loss = (weights * losses).sum(axis=-1)  # (n_samples, n, 1)
    baselines = {
        "sample": 0.0,
        "sample-average": expected.mean(),
        "sample-learned": np.broadcast_to(expected, loss.shape),
    }
    estimates = {
        kind: hard.score_function_gradient(many, weights, loss, baseline=baseline)
        for kind, baseline in baselines.items()
    }
    estimates["straight-through"], _ = hard.attend_straight_through_backward(
        weights @ d_context, many, encoded, noise
    )
    return {"signal": _squared_length(exact)} | {
        kind: {
            "variance": _squared_length(estimate - estimate.mean(axis=0)),
            "bias": _squared_length(estimate.mean(axis=0) - exact),
        }
        for kind, estimate in estimates.items()
    }


def _every_glimpse(model, glimpses):
    """Encoded patches, scores, and of each patch its loss and the gradient of that."""
    with torch.no_grad():
        patches = torch.tensor(glimpses.patches, device=device_of(model))
        encoded, scores = model.encode(patches)
        logits = model.W_out(encoded)  # (n, n_patches, 10)
        W_out = model.W_out.weight.detach()
    encoded, scores, logits, W_out = (
        tensor.double().cpu().numpy() for tensor in (encoded, scores, logits, W_out)
    )
    label = glimpses.label[:, None, None]
    log_probability = np.take_along_axis(log_softmax(logits), label, axis=-1)
    d_logits = softmax(logits) - (np.arange(10) == label)
    losses = -log_probability.swapaxes(-1, -2)  # (n, 1, n_patches)
    return encoded, scores, losses, d_logits @ W_out


def _squared_length(gradients):
    """Mean of the squared length of gradients (..., n_patches)."""
    return float((gradients**2).sum(axis=-1).mean())
