"""An encoder-only masked model (BERT) in PyTorch. Twin of `in_numpy.masked_model`.

The classes below the functions hold the weights and call them.
"""

import torch
from torch import nn

from course_lib.in_torch.layers import Embedding, EncoderLayer, Norm, normalise
from course_lib.in_torch.linear import embed, linear
from course_lib.in_torch.ops import gelu
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.stack import add_positions, encoder_stack
from course_lib.shapes.basic import check_count
from course_lib.shapes.transformer import (
    Settings,
    check_ids,
    check_masked_model,
    check_real_words,
)


def encode_words(ids, parameters, settings, mask=None, head_mask=None):
    """Twin of `in_numpy.masked_model.encode_words`; shapes as there."""
    check_masked_model(parameters, settings, head=False)
    check_ids("ids", ids)
    check_real_words("mask", mask, "ids", ids)
    x = embed(ids, parameters["embedding"])
    if "segment_table" in parameters:
        x = x + parameters["segment_table"][0]
    x = add_positions(x, settings, parameters.get("position_table"))
    x = normalise(x, parameters["embedding_norm"], settings.eps)
    keys = None if mask is None else mask[..., None, :]
    x, weights = encoder_stack(x, parameters["layers"], settings, keys, head_mask)
    if settings.norm_first:
        x = normalise(x, parameters["norm"], settings.eps)
    return x, weights


def masked_model(ids, parameters, settings, mask=None):
    """Twin of `in_numpy.masked_model.masked_model`; shapes as there."""
    check_masked_model(parameters, settings, head=True)
    x, weights = encode_words(ids, parameters, settings, mask)
    head = parameters["head"]
    x = gelu(linear(x, head["W"], head["b"]))
    x = normalise(x, head["norm"], settings.eps)
    return linear(x, parameters["embedding"], parameters["b_out"]), weights


class Head(nn.Module):
    """What turns each state of a `MaskedModel` before it is compared with the words.

    Args:
        d_model: features of each position
    """

    def __init__(self, d_model):
        super().__init__()
        self.W = nn.Linear(d_model, d_model)
        self.norm = Norm(d_model)


class MaskedModel(nn.Module):
    """A stack of layers in which every word sees every word: BERT.

    Devlin et al. 2018, arXiv:1810.04805, section 3; the head as in their code.

    Args:
        vocab_size, d_model, n_heads, n_layers, d_ff: sizes
        max_length: longest sequence
        norm_first, activation, eps: as for `Settings`
        head:       whether it can score words, or only give states
    """

    def __init__(
        self,
        vocab_size,
        d_model,
        n_heads,
        n_layers,
        d_ff,
        max_length,
        norm_first=False,
        activation="gelu",
        eps=1e-12,
        head=True,
    ):
        super().__init__()
        check_count("n_layers", n_layers)
        self.settings = Settings(n_heads, norm_first, activation, eps, "learned")
        self.embedding = Embedding(vocab_size, d_model)
        self.position_table = Embedding(max_length, d_model)
        self.segment_table = Embedding(2, d_model)
        self.embedding_norm = Norm(d_model)
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, d_ff, self.settings) for _ in range(n_layers)
        )
        if norm_first:
            self.norm = Norm(d_model)
        if head:
            self.head = Head(d_model)
            self.b_out = nn.Parameter(torch.zeros(vocab_size))

    def forward(self, ids, mask=None):
        """`masked_model` with these weights: logits (..., n, vocab_size), weights."""
        return masked_model(ids, parameter_tree(self), self.settings, mask)

    def encode_words(self, ids, mask=None, head_mask=None):
        """`encode_words` with these weights: states (..., n, d_model) and weights."""
        parameters = parameter_tree(self)
        return encode_words(ids, parameters, self.settings, mask, head_mask)
