"""The course's models as writers: one word at a time, see `decoding`."""

import torch

from course_lib.in_torch.language_model import LanguageModel
from course_lib.in_torch.recurrent import Seq2Seq
from course_lib.in_torch.transformer import Transformer


class RecurrentWriter:
    """`in_torch.recurrent.Seq2Seq`: its state is a vector, beside what it reads."""

    def __init__(self, model):
        self.model = model

    def start(self, source, source_mask):
        """Read the source: vector (n_batch, d_hidden), states and mask, in a tuple."""
        states, vector = self.model.encoder(source, source_mask)
        return vector, states, source_mask

    def step(self, words, state):
        """Logits, weights (n_batch, n_source) or None, and the new state."""
        vector, *memory = state
        logits, weights, vector = self.model.decode(words[:, None], vector, *memory)
        weights = None if weights is None else weights[:, 0]
        return logits[:, 0], weights, (vector, *memory)

    def select(self, state, rows):
        """The state of these rows, in this order."""
        return tuple(part[rows] for part in state)


class TransformerWriter:
    """`in_torch.transformer.Transformer`, which remembers keys and values, or reads
    again all that is written.

    Args:
        model:  Transformer
        cached: whether it remembers
    """

    def __init__(self, model, cached=True):
        self.model, self.cached = model, cached

    def start(self, source, source_mask):
        """Read the source: memory, mask, and what is written, cached or in ids."""
        memory, _ = self.model.encode(source, source_mask)
        none = source.new_zeros((len(source), 0))
        return memory, source_mask, self.model.new_caches() if self.cached else none

    def step(self, words, state):
        """Logits, weights (n_batch, n_layers, n_heads, n_source) and the new state."""
        memory, mask, written = state
        words, caches, written = _one_more(words, written)
        logits, _, weights = self.model.decode(words, memory, mask, caches)
        looked = torch.stack([layer[..., -1, :] for layer in weights], dim=1)
        return logits[:, -1], looked, (memory, mask, written)

    def select(self, state, rows):
        """The state of these rows, in this order."""
        memory, mask, written = state
        return memory[rows], mask[rows], _select(written, rows)


class LanguageWriter:
    """`in_torch.language_model.LanguageModel`; it starts from a prompt.

    Args:
        model:  LanguageModel
        cached: whether it remembers keys and values, or reads again all that is written
    """

    def __init__(self, model, cached=True):
        self.model, self.cached = model, cached

    def start(self, source, source_mask=None):
        """Read (n_batch, n) ids, all of a prompt but its last word; n may be 0.

        A causal model has no padding: the prompts of a batch are of one length.
        """
        if source_mask is not None and not source_mask.all():
            raise ValueError("source_mask must be True throughout for a LanguageModel")
        if not self.cached:
            return source
        caches = self.model.new_caches()
        if source.shape[1] > 0:
            self.model(source, caches=caches)
        return caches

    def step(self, words, state):
        """Logits, None, and the new state."""
        words, caches, written = _one_more(words, state)
        logits, _ = self.model(words, caches=caches)
        return logits[:, -1], None, written

    def select(self, state, rows):
        """The state of these rows, in this order."""
        return _select(state, rows)


WRITERS = {
    Seq2Seq: RecurrentWriter,
    Transformer: TransformerWriter,
    LanguageModel: LanguageWriter,
}


def writer_of(model):
    """A writer for a model; a model that is one already is given back."""
    for kind, writer in WRITERS.items():
        if isinstance(model, kind):
            return writer(model)
    if not hasattr(model, "step"):
        name = type(model).__name__
        raise TypeError(f"model must be one that writes, but it is a {name}")
    return model


def _one_more(words, written):
    """What a model reads, its caches, and all that is written with `words` behind."""
    if isinstance(written, list):  # caches grow by themselves
        return words[:, None], written, written
    written = torch.cat([written, words[:, None]], dim=1)
    return written, None, written


def _select(written, rows):
    """The caches, or the ids, of these rows."""
    if not isinstance(written, list):
        return written[rows]
    for cache in written:
        cache.select(rows)
    return written
