"""A decoder-only language model in PyTorch. Twin of `in_numpy.language_model`.

The class below the function holds the weights and calls it.
"""

from torch import nn

from course_lib.in_torch.cache import KeyValueCache
from course_lib.in_torch.layers import Embedding, EncoderLayer, Norm, normalise
from course_lib.in_torch.linear import embed, linear
from course_lib.in_torch.masks import causal_mask
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.stack import add_positions, encoder_stack
from course_lib.shapes.basic import check_count
from course_lib.shapes.transformer import Settings, check_ids, check_language_model


def language_model(ids, parameters, settings, head_mask=None, caches=None):
    """Twin of `in_numpy.language_model.language_model`; shapes as there."""
    check_language_model(parameters, settings)
    check_ids("ids", ids)
    embedding, n = parameters["embedding"], ids.shape[-1]
    start = caches[0].length if caches else 0
    x = embed(ids, embedding)
    x = add_positions(x, settings, parameters.get("position_table"), start)
    mask = causal_mask(n, start + n, device=x.device)
    x, weights = encoder_stack(
        x, parameters["layers"], settings, mask, head_mask, caches
    )
    if settings.norm_first:
        x = normalise(x, parameters["norm"], settings.eps)
    return linear(x, parameters.get("W_out", embedding)), weights


class LanguageModel(nn.Module):
    """A stack of causal layers that scores the next word: GPT-2, Llama, in between.

    The defaults are GPT-2's (Radford et al. 2019). Llama's (Touvron et al. 2023,
    arXiv:2302.13971, section 2.2) are activation="swiglu", positions="rotary",
    norm="rms", bias=False.

    Args:
        vocab_size, d_model, n_heads, n_layers, d_ff: sizes
        max_length:  longest sequence, for learned positions only
        n_kv_heads:  key/value heads. None = as many as query heads.
        norm_first, activation, positions, rotary_base, eps: as for `Settings`
        norm:        "layer" or "rms"
        bias:        whether the linear maps add one
        tied:        the output matrix is the embedding; else it is W_out
    """

    def __init__(
        self,
        vocab_size,
        d_model,
        n_heads,
        n_layers,
        d_ff,
        max_length=None,
        n_kv_heads=None,
        norm_first=True,
        activation="gelu",
        positions="learned",
        norm="layer",
        bias=True,
        rotary_base=10000.0,
        eps=1e-5,
        tied=True,
    ):
        super().__init__()
        check_count("n_layers", n_layers)
        self.settings = Settings(
            n_heads, norm_first, activation, eps, positions, rotary_base
        )
        self.embedding = Embedding(vocab_size, d_model)
        if positions == "learned":
            check_count("max_length", max_length)
            self.position_table = Embedding(max_length, d_model)
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, d_ff, self.settings, n_kv_heads, norm, bias)
            for _ in range(n_layers)
        )
        if norm_first:
            self.norm = Norm(d_model, norm)
        if not tied:
            self.W_out = nn.Linear(d_model, vocab_size, bias=False)

    def forward(self, ids, head_mask=None, caches=None):
        """`language_model` with these weights: logits (..., n, vocab_size), weights.

        With caches (from `new_caches`) ids holds the new words only.
        """
        return language_model(
            ids, parameter_tree(self), self.settings, head_mask, caches
        )

    def new_caches(self):
        """An empty `KeyValueCache` for each layer."""
        return [KeyValueCache() for _ in self.layers]
