"""A vision Transformer: an encoder that reads the patches of an image as words.

Dosovitskiy et al. 2021, arXiv:2010.11929, section 3.1. PyTorch only.
"""

import torch
from torch import nn

from course_lib.in_torch.layers import EncoderLayer, Norm
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.patches import patchify
from course_lib.in_torch.stack import add_positions, encoder_stack
from course_lib.shapes.patches import check_grid
from course_lib.shapes.transformer import Settings


class VisionTransformer(nn.Module):
    """Classify images. One learnt token stands in front and collects the answer.

    Args:
        side:      pixels on a side of the square image
        channels:  numbers of a pixel
        size:      pixels on a side of a patch
        d_model, n_heads, n_layers, d_ff: of the encoder, which normalises first
        n_classes: how many answers there are
    """

    def __init__(
        self, side, channels, size, d_model, n_heads, n_layers, d_ff, n_classes
    ):
        super().__init__()
        check_grid(side, side, size)
        self.size = size
        self.settings = Settings(n_heads, True, "gelu", positions="learned")
        n_tokens = 1 + (side // size) ** 2
        self.W_patch = nn.Linear(size * size * channels, d_model)
        self.class_token = nn.Parameter(0.02 * torch.randn(d_model))
        self.position_table = nn.Parameter(0.02 * torch.randn(n_tokens, d_model))
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, d_ff, self.settings) for _ in range(n_layers)
        )
        self.norm = Norm(d_model)
        self.W_out = nn.Linear(d_model, n_classes)

    def forward(self, image):
        """Score every class.

        Args:
            image: (..., side, side, channels)

        Returns:
            logits (..., n_classes) and for every layer the weights
            (..., n_heads, 1 + n_patches, 1 + n_patches); the class token is position 0.
        """
        x = self.W_patch(patchify(image, self.size))  # (..., n_patches, d_model)
        first = self.class_token.expand(*x.shape[:-2], 1, -1)
        x = torch.cat([first, x], dim=-2)
        x = add_positions(x, self.settings, self.position_table)
        layers = parameter_tree(self)["layers"]
        x, weights = encoder_stack(x, layers, self.settings)
        return self.W_out(self.norm(x[..., 0, :])), weights
