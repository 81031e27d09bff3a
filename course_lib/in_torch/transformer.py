"""The Transformer, encoder and decoder, in PyTorch. Twin of `in_numpy.transformer`.

The class below the functions holds the weights and calls them.
"""

import math

from torch import nn

from course_lib.in_torch.cache import KeyValueCache
from course_lib.in_torch.layers import (
    DecoderLayer,
    Embedding,
    EncoderLayer,
    Norm,
    normalise,
)
from course_lib.in_torch.linear import embed, linear
from course_lib.in_torch.masks import causal_mask
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.stack import add_positions, decoder_stack, encoder_stack
from course_lib.shapes.basic import check_count
from course_lib.shapes.recurrent import check_words
from course_lib.shapes.transformer import (
    Settings,
    check_encoder_decoder,
    check_ids,
    check_real_words,
)


def encode(source, parameters, settings, source_mask=None):
    """Twin of `in_numpy.transformer.encode`; shapes as there."""
    check_encoder_decoder(parameters, settings)
    check_ids("source", source)
    check_real_words("source_mask", source_mask, "source", source)
    table = parameters.get("source_embedding", parameters["target_embedding"])
    x = _embed_in_order(source, table, parameters, settings)
    mask = None if source_mask is None else source_mask[..., None, :]
    x, weights = encoder_stack(x, parameters["encoder"], settings, mask)
    if settings.norm_first:
        x = normalise(x, parameters["encoder_norm"], settings.eps)
    return x, weights


def decode(target_input, memory, parameters, settings, source_mask=None, caches=None):
    """Twin of `in_numpy.transformer.decode`; shapes as there."""
    check_encoder_decoder(parameters, settings)
    check_ids("target_input", target_input)
    table, n = parameters["target_embedding"], target_input.shape[-1]
    start = caches[0].length if caches else 0
    x = _embed_in_order(target_input, table, parameters, settings, start)
    memory_mask = None if source_mask is None else source_mask[..., None, :]
    masks = causal_mask(n, start + n, device=x.device), memory_mask
    x, weights, cross_weights = decoder_stack(
        x, memory, parameters["decoder"], settings, *masks, caches
    )
    if settings.norm_first:
        x = normalise(x, parameters["decoder_norm"], settings.eps)
    return linear(x, table), weights, cross_weights


def transformer(source, target_input, parameters, settings, source_mask=None):
    """Twin of `in_numpy.transformer.transformer`; shapes as there."""
    check_words(source, target_input)
    memory, _ = encode(source, parameters, settings, source_mask)
    logits, _, cross_weights = decode(
        target_input, memory, parameters, settings, source_mask
    )
    return logits, cross_weights


class Transformer(nn.Module):
    """An encoder-decoder Transformer (Vaswani et al. 2017, arXiv:1706.03762).

    Args:
        n_source_words, n_target_words: sizes of the vocabularies. n_target_words=None:
            one vocabulary, and one embedding, for both (section 3.4).
        d_model, n_heads, d_ff: as in the paper's section 3
        n_layers:   of the encoder, and of the decoder
        norm_first, activation, positions: as for `Settings`
        n_kv_heads: key/value heads. None = as many as query heads.
        norm:       "layer" or "rms"
        max_length: longest sequence, for learned positions only
    """

    def __init__(
        self,
        n_source_words,
        n_target_words,
        d_model,
        n_heads,
        n_layers,
        d_ff,
        norm_first=False,
        activation="relu",
        n_kv_heads=None,
        positions="sinusoidal",
        norm="layer",
        max_length=None,
    ):
        super().__init__()
        check_count("n_layers", n_layers)
        self.settings = Settings(n_heads, norm_first, activation, positions=positions)
        if n_target_words is not None:
            self.source_embedding = Embedding(n_source_words, d_model)
        self.target_embedding = Embedding(n_target_words or n_source_words, d_model)
        if positions == "learned":
            check_count("max_length", max_length)
            self.position_table = Embedding(max_length, d_model)
        shape = d_model, d_ff, self.settings, n_kv_heads, norm
        self.encoder = nn.ModuleList(EncoderLayer(*shape) for _ in range(n_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*shape) for _ in range(n_layers))
        if norm_first:
            self.encoder_norm = Norm(d_model, norm)
            self.decoder_norm = Norm(d_model, norm)

    def forward(self, source, source_mask, target_input):
        """Score every next word at once, the words before it being given.

        Args:
            source:       (n_batch, n_source) ids
            source_mask:  (n_batch, n_source) bool, True = a real word. None = all are.
            target_input: (n_batch, n_target) ids, the target one step late

        Returns:
            logits (n_batch, n_target, n_target_words) and for every layer the cross
            weights (n_batch, n_heads, n_target, n_source).
        """
        return transformer(
            source, target_input, parameter_tree(self), self.settings, source_mask
        )

    def encode(self, source, source_mask=None):
        """`encode` with these weights: memory (.., n_source, d_model) and weights."""
        return encode(source, parameter_tree(self), self.settings, source_mask)

    def decode(self, target_input, memory, source_mask=None, caches=None):
        """`decode` with these weights: logits, weights and cross weights.

        With caches (from `new_caches`) target_input holds the new words only.
        """
        parameters = parameter_tree(self)
        return decode(
            target_input, memory, parameters, self.settings, source_mask, caches
        )

    def new_caches(self):
        """An empty `KeyValueCache` for each layer of the decoder."""
        return [KeyValueCache() for _ in self.decoder]


def _embed_in_order(ids, table, parameters, settings, start=0):
    """Vectors of words times sqrt(d_model), with their positions added."""
    x = embed(ids, table) * math.sqrt(table.shape[-1])
    return add_positions(x, settings, parameters.get("position_table"), start)
