"""Text to image as the first DALL-E does it: one stream of tokens, self-attention only.

Words and picture are one sequence, and a decoder-only model writes it from left to
right (Ramesh et al. 2021, arXiv:2102.12092, section 2). There is no cross-attention:
a token of the picture looks back at the words as at the tokens before it. DALL-E learns
its 8,192 tokens, one for a square; ours are the pixels, each the nearest of a few
colours. PyTorch only.
"""

import torch
from torch import nn

from course_lib.in_torch.language_model import LanguageModel
from course_lib.in_torch.ops import cross_entropy
from course_lib.in_torch.patches import patchify, unpatchify
from course_lib.shapes.patches import check_grid


class ImageTokens(nn.Module):
    """Between pictures and tokens: the nearest of a palette, for each pixel.

    Args:
        palette: (n_colours, channels) tensor
    """

    def __init__(self, palette):
        super().__init__()
        self.register_buffer("palette", palette)

    def forward(self, image):
        """Tokens (..., height * width) of an image (..., height, width, channels)."""
        pixels = patchify(image, 1)  # (..., height * width, channels)
        distance = ((pixels[..., None, :] - self.palette) ** 2).sum(dim=-1)
        return distance.argmin(dim=-1)

    def picture(self, tokens, height, width):
        """The image (..., height, width, channels) of these tokens."""
        return unpatchify(self.palette[tokens], height, width, 1)


class TextAndImageModel(nn.Module):
    """One stream: the words of the caption, then the tokens of the picture.

    Args:
        n_words:   size of the vocabulary of the captions
        palette:   (n_colours, channels) tensor, as for `ImageTokens`
        side:      of the square picture, in pixels
        max_words: the longest caption
        d_model, n_heads, n_layers, d_ff: of the `LanguageModel`
    """

    def __init__(
        self, n_words, palette, side, max_words, d_model, n_heads, n_layers, d_ff
    ):
        super().__init__()
        check_grid(side, side, 1)
        self.n_words, self.side = n_words, side
        self.tokens = ImageTokens(palette)
        self.language_model = LanguageModel(
            n_words + len(palette),  # a colour's id lies behind the words'
            d_model,
            n_heads,
            n_layers,
            d_ff,
            max_length=max_words + side**2,
        )

    def forward(self, caption, image):
        """Score every token of the picture, all before it being given.

        Args:
            caption: (n_batch, n_words) ids
            image:   (n_batch, side, side, channels)

        Returns:
            logits (n_batch, side * side, n_colours), the tokens they should have been
            (n_batch, side * side), and the weights of the language model.
        """
        tokens = self.tokens(image)
        stream = torch.cat([caption, self.n_words + tokens], dim=-1)
        logits, weights = self.language_model(stream[:, :-1])
        before = caption.shape[-1] - 1  # the last word says the first token
        return logits[:, before:, self.n_words :], tokens, weights

    def draw(self, caption, generator=None):
        """Write pictures token by token, with keys and values remembered.

        Args:
            caption:   (n_batch, n_words) ids
            generator: torch.Generator on the caption's device. None = the likeliest.

        Returns:
            image (n_batch, side, side, channels).
        """
        caches = self.language_model.new_caches()
        new, tokens = caption, []
        with torch.no_grad():
            for _ in range(self.side**2):
                logits, _ = self.language_model(new, caches=caches)
                shares = logits[:, -1, self.n_words :].softmax(dim=-1)
                if generator is None:
                    chosen = shares.argmax(dim=-1, keepdim=True)
                else:
                    chosen = torch.multinomial(shares, 1, generator=generator)
                tokens.append(chosen)
                new = self.n_words + chosen
        return self.tokens.picture(torch.cat(tokens, dim=-1), self.side, self.side)


def stream_loss(model, caption, image):
    """Mean cross-entropy of the right next token of the picture, in nats.

    Args:
        model: `TextAndImageModel`
        caption, image: as for its `forward`

    Returns:
        scalar tensor.
    """
    logits, tokens, _ = model(caption, image)
    return cross_entropy(logits, tokens)
