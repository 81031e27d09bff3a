"""What a translator needs around the loop: its loss, and writing word by word."""

import numpy as np
import torch

from course_lib.data.vocabulary import END, PAD, START
from course_lib.in_torch.ops import cross_entropy


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


def greedy_decode(model, source, source_mask, max_length):
    """Translate: take the likeliest word each time, until END or max_length.

    Args:
        model:       `in_torch.recurrent.Seq2Seq`
        source:      (n_batch, n_source) ids
        source_mask: (n_batch, n_source) bool, True = a real position
        max_length:  int, the most words to write, END included

    Returns:
        ids (n_batch, max_length), PAD behind END, and the attention weights
        (n_batch, max_length, n_source) of every step, or None without attention.
    """
    model.eval()
    source, source_mask = _tensors(model, source, source_mask)
    words = source.new_full((len(source), 1), START)
    written, looked = [], []
    done = torch.zeros_like(words, dtype=torch.bool)
    with torch.no_grad():
        states, vector = model.encoder(source, source_mask)
        for _ in range(max_length):
            logits, weights, vector = model.decode(words, vector, states, source_mask)
            words = logits.argmax(dim=-1).masked_fill(done, PAD)  # (n_batch, 1)
            written.append(words)
            looked.append(weights)
            done = done | (words == END)
    ids = torch.cat(written, dim=1).cpu().numpy()
    if looked[0] is None:
        return ids, None
    return ids, torch.cat(looked, dim=1).cpu().numpy()


def _tensors(model, *arrays):
    """Arrays as tensors on the device of the model."""
    device = next(model.parameters()).device
    return [torch.tensor(np.asarray(array), device=device) for array in arrays]
