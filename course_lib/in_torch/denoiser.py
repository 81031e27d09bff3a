"""Text to image as latent diffusion does it: cross-attention from patches to words.

The words stay a sequence of their own; every patch asks them in every layer (Rombach
et al. 2022, arXiv:2112.10752, section 3.3). Here the picture itself is denoised, along
straight lines from noise: flow matching (Lipman et al. 2023, arXiv:2210.02747; Liu,
Gong and Liu 2023, arXiv:2209.03003). PyTorch only.
"""

import torch
from torch import nn

from course_lib.data.vocabulary import PAD
from course_lib.in_torch.layers import DecoderLayer, Embedding, Norm
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.patches import patchify, unpatchify
from course_lib.in_torch.positions import rotary_angles
from course_lib.in_torch.stack import decoder_stack
from course_lib.shapes.basic import check_count
from course_lib.shapes.patches import check_grid
from course_lib.shapes.transformer import Settings

_FINENESS = 1000  # times lie in [0, 1]; the sinusoids are made for whole positions


class Denoiser(nn.Module):
    """Say in which direction a noisy image has to move to become what the words say.

    Args:
        side, channels: of the square image, in pixels and in numbers of a pixel
        size:      pixels on a side of a patch
        n_words:   size of the vocabulary of the captions
        max_words: the longest caption
        d_model, n_heads, n_layers, d_ff: of the layers, which normalise first
    """

    def __init__(
        self,
        side,
        channels,
        size,
        n_words,
        max_words,
        d_model,
        n_heads,
        n_layers,
        d_ff,
    ):
        super().__init__()
        check_grid(side, side, size)
        self.side, self.size, d_patch = side, size, size * size * channels
        self.settings = Settings(n_heads, True, "gelu", positions="none")
        self.W_patch = nn.Linear(d_patch, d_model)
        self.patch_table = Embedding((side // size) ** 2, d_model)
        self.W_time = nn.Linear(d_model, d_model)
        self.word_embedding = Embedding(n_words, d_model)
        self.word_table = Embedding(max_words, d_model)
        self.layers = nn.ModuleList(
            DecoderLayer(d_model, d_ff, self.settings) for _ in range(n_layers)
        )
        self.norm = Norm(d_model)
        self.W_out = nn.Linear(d_model, d_patch)

    def forward(self, image, time, caption):
        """The velocity at a point between noise (time 0) and picture (time 1).

        Args:
            image:   (n_batch, side, side, channels)
            time:    (n_batch,) from 0 to 1
            caption: (n_batch, n_words) ids; PAD throughout = no caption

        Returns:
            velocity, of the shape of the image, and for every layer the cross weights
            (n_batch, n_heads, n_patches, n_words).
        """
        x = self.W_patch(patchify(image, self.size)) + self.patch_table.weight
        x = x + self._time(time, x.dtype)[:, None]
        words = self.word_embedding(caption)
        words = words + self.word_table.weight[: caption.shape[-1]]
        layers = parameter_tree(self)["layers"]
        x, _, cross_weights = decoder_stack(x, words, layers, self.settings)
        velocity = self.W_out(self.norm(x))
        return unpatchify(velocity, self.side, self.side, self.size), cross_weights

    def _time(self, time, dtype):
        """A vector for each time, (n_batch, d_model)."""
        d_model = self.W_time.in_features
        (step,) = rotary_angles(1, d_model, 1, dtype=time.dtype, device=time.device)
        angles = _FINENESS * time[:, None] * step  # (n_batch, d_model / 2)
        return self.W_time(torch.cat([angles.sin(), angles.cos()], dim=-1).to(dtype))


def between(image, noise, time):
    """The point of the straight line from noise to image at a time, and its velocity.

    Args:
        image, noise: (n_batch, side, side, channels)
        time:         (n_batch,) from 0 (noise) to 1 (image)

    Returns:
        point (1 - time) noise + time image, and image - noise: the same all along.
    """
    share = time[:, None, None, None]
    return (1 - share) * noise + share * image, image - noise


def flow_loss(model, image, noise, time, caption):
    """Mean squared error of the velocity at one point of the line of each image.

    Args:
        model:   `Denoiser`
        image, noise, time: as for `between`
        caption: (n_batch, n_words) ids, PAD throughout where it is to be unknown

    Returns:
        scalar tensor.
    """
    point, velocity = between(image, noise, time)
    predicted, _ = model(point, time, caption)
    return ((predicted - velocity) ** 2).mean()


def guided_velocity(model, image, time, caption, guidance=1.0):
    """The velocity with the caption, pushed away from the one without it.

    Classifier-free guidance: Ho and Salimans 2022, arXiv:2207.12598, section 3.2. With
    guidance 1 it is the model's own, with 0 the caption does not count.

    Args:
        model, image, time, caption: as for `Denoiser.forward`
        guidance: number, how far to push

    Returns:
        velocity and cross weights, as from `Denoiser.forward` with the caption.
    """
    velocity, cross_weights = model(image, time, caption)
    if guidance == 1:
        return velocity, cross_weights
    without, _ = model(image, time, torch.full_like(caption, PAD))
    return without + guidance * (velocity - without), cross_weights


def draw(model, caption, noise, n_steps=20, guidance=1.0):
    """Turn noise into pictures: follow the velocity in equal steps.

    Args:
        model:    `Denoiser`
        caption:  (n_batch, n_words) ids
        noise:    (n_batch, side, side, channels), drawn from a standard normal
        n_steps:  int
        guidance: as for `guided_velocity`

    Returns:
        image, of the shape of the noise, and the cross weights of every step, each a
        list with one tensor a layer.
    """
    check_count("n_steps", n_steps)
    image, looked = noise, []
    with torch.no_grad():
        for step in range(n_steps):
            time = noise.new_full((len(noise),), step / n_steps)
            velocity, weights = guided_velocity(model, image, time, caption, guidance)
            image = image + velocity / n_steps
            looked.append(weights)
    return image, looked
