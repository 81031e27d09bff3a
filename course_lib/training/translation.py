"""What a translator needs around the loop: its loss, and writing word by word."""

import numpy as np
import torch

from course_lib.data.vocabulary import START
from course_lib.in_torch.ops import cross_entropy
from course_lib.training.decoding import greedy
from course_lib.training.devices import device_of
from course_lib.training.writers import writer_of


def translation_loss(model, pairs):
    """Mean cross-entropy of the right next word, the words before it being given.

    Args:
        model: `in_torch.recurrent.Seq2Seq`, or what is called like it
        pairs: `data.vocabulary.Pairs`

    Returns:
        scalar tensor, in nats; padding does not count.
    """
    arrays = (pairs.source, pairs.source_mask, pairs.target_input)
    logits, _ = model(*_tensors(model, *arrays))
    return cross_entropy(logits, *_tensors(model, pairs.target, pairs.target_mask))


def n_words(pairs):
    """How many words `translation_loss` is a mean over: those of the target, and END.

    Args:
        pairs: `data.vocabulary.Pairs`
    """
    return int(pairs.target_mask.sum())


def greedy_decode(model, source, source_mask, max_length):
    """Translate: take the likeliest word each time, until END or max_length.

    Args:
        model:       `in_torch.recurrent.Seq2Seq`, or another of `writers.writer_of`
        source:      (n_batch, n_source) ids
        source_mask: (n_batch, n_source) bool, True = a real position
        max_length:  int, the most words to write, END included

    Returns:
        ids (n_batch, max_length), PAD behind END, and the attention weights of every
        word (n_batch, max_length, ..., n_source), or None without attention.
    """
    model.eval()
    source, source_mask = _tensors(model, source, source_mask)
    writer, first = writer_of(model), source.new_full((len(source),), START)
    with torch.no_grad():
        state = writer.start(source, source_mask)
    ids, weights = greedy(writer, state, first, max_length)
    return ids.cpu().numpy(), None if weights is None else weights.cpu().numpy()


def _tensors(model, *arrays):
    """Arrays as tensors on the device of the model."""
    device = device_of(model)
    return [torch.tensor(np.asarray(array), device=device) for array in arrays]
