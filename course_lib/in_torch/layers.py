"""Layers of a Transformer in PyTorch, on any device. Twin of `in_numpy.layers`.

The modules below the functions hold the weights and call them.
"""

import torch
from torch import nn

from course_lib.in_torch.feed_forward import FeedForward, feed_forward
from course_lib.in_torch.multi_head import MultiHeadAttention, multi_head_attention
from course_lib.in_torch.ops import layer_norm, rms_norm
from course_lib.in_torch.parameters import parameter_tree
from course_lib.shapes.basic import check_choice
from course_lib.shapes.transformer import NORMS, check_layer


def normalise(x, parameters, eps):
    """Twin of `in_numpy.layers.normalise`; shapes as there."""
    if "bias" in parameters:
        return layer_norm(x, parameters["gain"], parameters["bias"], eps)
    return rms_norm(x, parameters["gain"], eps)


def attention_sublayer(
    x,
    memory,
    parameters,
    settings,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
    cache=None,
):
    """Twin of `in_numpy.layers.attention_sublayer`; shapes as there."""
    name = "attention" if memory is None else "cross"
    norm = parameters[f"{name}_norm"]
    query = normalise(x, norm, settings.eps) if settings.norm_first else x
    key = query if memory is None else memory
    looks = settings.n_heads, mask, head_mask, angles, bias, cache
    found, weights = multi_head_attention(query, key, key, parameters[name], *looks)
    x = x + found
    return (x if settings.norm_first else normalise(x, norm, settings.eps)), weights


def feed_forward_sublayer(x, parameters, settings):
    """Twin of `in_numpy.layers.feed_forward_sublayer`; shapes as there."""
    norm = parameters["feed_forward_norm"]
    read = normalise(x, norm, settings.eps) if settings.norm_first else x
    x = x + feed_forward(read, parameters["feed_forward"], settings.activation)
    return x if settings.norm_first else normalise(x, norm, settings.eps)


def encoder_layer(
    x,
    parameters,
    settings,
    mask=None,
    head_mask=None,
    angles=None,
    bias=None,
    cache=None,
):
    """Twin of `in_numpy.layers.encoder_layer`; shapes as there."""
    check_layer(parameters, ("attention", "feed_forward"))
    looks = mask, head_mask, angles, bias, cache
    x, weights = attention_sublayer(x, None, parameters, settings, *looks)
    return feed_forward_sublayer(x, parameters, settings), weights


def decoder_layer(
    x,
    memory,
    parameters,
    settings,
    mask=None,
    memory_mask=None,
    cache=None,
    angles=None,
    bias=None,
):
    """Twin of `in_numpy.layers.decoder_layer`; shapes as there."""
    check_layer(parameters, ("attention", "cross", "feed_forward"))
    looks = mask, None, angles, bias, cache
    x, weights = attention_sublayer(x, None, parameters, settings, *looks)
    x, cross_weights = attention_sublayer(x, memory, parameters, settings, memory_mask)
    return feed_forward_sublayer(x, parameters, settings), weights, cross_weights


class Norm(nn.Module):
    """Layer norm (gain and bias) or RMS norm (gain alone).

    Args:
        d_model: features of what is normalised
        kind:    "layer" or "rms"
    """

    def __init__(self, d_model, kind="layer"):
        super().__init__()
        check_choice("kind", kind, NORMS)
        self.gain = nn.Parameter(torch.ones(d_model))
        if kind == "layer":
            self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x, eps=1e-5):
        """x (..., d_model), each row with a spread of 1 times the gain."""
        return normalise(x, parameter_tree(self), eps)


class Embedding(nn.Embedding):
    """A table of vectors whose entries start with standard deviation d_model ** -0.5.

    Vaswani et al. 2017 do not say how theirs start; their code, Tensor2Tensor, draws
    them like this (layers/modalities.py). Times sqrt(d_model) the entries spread by 1,
    about as the sinusoids do. As the output matrix of a model that ends in a norm the
    table gives logits that spread by 1.
    """

    def reset_parameters(self):
        """Draw the table."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)


class EncoderLayer(nn.Module):
    """One layer of an encoder, and of a decoder-only model: `encoder_layer`.

    Args:
        d_model:    features of each position
        d_ff:       features in the middle of the feed-forward network
        settings:   `Settings`
        n_kv_heads: key/value heads. None = as many as query heads.
        norm:       "layer" or "rms"
        bias:       whether the linear maps add one
    """

    def __init__(
        self, d_model, d_ff, settings, n_kv_heads=None, norm="layer", bias=True
    ):
        super().__init__()
        self.settings = settings
        self.attention = MultiHeadAttention(d_model, settings.n_heads, n_kv_heads, bias)
        self.attention_norm = Norm(d_model, norm)
        self.feed_forward = FeedForward(d_model, d_ff, settings.activation, bias)
        self.feed_forward_norm = Norm(d_model, norm)

    def forward(self, x, mask=None, head_mask=None, angles=None, bias=None, cache=None):
        """`encoder_layer` with these weights: x (..., n, d_model) and weights."""
        return encoder_layer(
            x,
            parameter_tree(self),
            self.settings,
            mask,
            head_mask,
            angles,
            bias,
            cache,
        )


class DecoderLayer(EncoderLayer):
    """One layer of a decoder that also asks an encoder: `decoder_layer`.

    Args: as for `EncoderLayer`.
    """

    def __init__(
        self, d_model, d_ff, settings, n_kv_heads=None, norm="layer", bias=True
    ):
        super().__init__(d_model, d_ff, settings, n_kv_heads, norm, bias)
        self.cross = MultiHeadAttention(d_model, settings.n_heads, n_kv_heads, bias)
        self.cross_norm = Norm(d_model, norm)

    def forward(
        self,
        x,
        memory,
        mask=None,
        memory_mask=None,
        cache=None,
        angles=None,
        bias=None,
    ):
        """`decoder_layer` with these weights: x, weights and cross weights."""
        return decoder_layer(
            x,
            memory,
            parameter_tree(self),
            self.settings,
            mask,
            memory_mask,
            cache,
            angles,
            bias,
        )
