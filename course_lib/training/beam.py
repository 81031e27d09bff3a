"""Beam search: keep the few best beginnings, and let each go on."""

from dataclasses import dataclass

import torch

from course_lib.data.vocabulary import END, PAD
from course_lib.in_torch.ops import log_softmax
from course_lib.shapes.basic import check_count


def length_penalty(length, alpha):
    """What a log-probability is divided by, so that long is not worse than short.

    Wu et al. 2016, arXiv:1609.08144, equation 14, without its coverage penalty.

    Args:
        length: words written, END included; a number or a tensor
        alpha:  0 = do not divide; near 1 = the mean over the words, roughly

    Returns:
        ((5 + length) / 6) ** alpha.
    """
    return ((5 + length) / 6) ** alpha


@dataclass(frozen=True)
class Beams:
    """The hypotheses of each row of a batch.

    Attributes:
        ids:    (n_batch, width, max_length), PAD where nothing is written yet
        logp:   (n_batch, width), the log-probability of all that is written
        length: (n_batch, width), how many words that is
        done:   (n_batch, width) bool, nothing can follow
    """

    ids: torch.Tensor
    logp: torch.Tensor
    length: torch.Tensor
    done: torch.Tensor

    @classmethod
    def first(cls, words, width, max_length):
        """One empty hypothesis a row, and places for the others."""
        ids = words.new_full((len(words), width, max_length), PAD)
        logp = torch.full(ids.shape[:2], -torch.inf, device=words.device)
        logp[:, 0] = 0
        return cls(ids, logp, torch.zeros_like(ids[..., 0]), logp == -torch.inf)


def beam_search(writer, state, words, max_length, width=4, alpha=0.6, end=END):
    """Write with a beam: of all continuations keep the `width` best, again and again.

    Hypotheses are compared by log-probability over `length_penalty`. One that has ended
    keeps its place for as long as it is among the best. Width 1 is greedy.

    Args:
        writer, state, words, max_length, end: as for `decoding.write`
        width: int >= 1, how many hypotheses a row keeps
        alpha: as for `length_penalty`. The defaults are those of Vaswani et al. 2017,
            arXiv:1706.03762, section 6.1.

    Returns:
        ids (n_batch, width, max_length), the best first, PAD behind END, and scores
        (n_batch, width); -inf where there are fewer hypotheses than places.
    """
    check_count("width", width)
    beams = Beams.first(words, width, max_length)
    rows = torch.arange(len(words), device=words.device).repeat_interleave(width)
    state, words = writer.select(state, rows), words[rows]
    for t in range(max_length):
        if beams.done.all():
            break
        with torch.no_grad():
            logits, _, state = writer.step(words, state)
        beams, rows = extend(beams, logits, t, alpha, end)
        state, words = writer.select(state, rows), beams.ids[..., t].flatten()
    return beams.ids, _scores(beams.logp, beams.length, alpha)


def extend(beams, logits, t, alpha, end):
    """The best continuations by one word, and the rows (n_batch * width,) they go on.

    Args:
        beams:  `Beams`
        logits: (n_batch * width, n_words) of the next word
        t:      int, its place
        alpha, end: as for `beam_search`
    """
    n_batch, width = beams.logp.shape
    n_words = logits.shape[-1]
    next_logp = log_softmax(logits).reshape(n_batch, width, n_words)
    nothing = torch.full_like(next_logp, -torch.inf)
    nothing[..., PAD] = 0  # what has ended goes on with padding alone, which is free
    done = beams.done[..., None]
    logp = beams.logp[..., None] + torch.where(done, nothing, next_logp)
    length = beams.length + ~beams.done
    scores = _scores(logp, length[..., None], alpha)
    chosen = scores.flatten(1).topk(width).indices  # (n_batch, width)
    parent, words = chosen // n_words, chosen % n_words
    ids = beams.ids.gather(1, parent[..., None].expand_as(beams.ids)).clone()
    ids[..., t] = words
    logp = logp.flatten(1).gather(1, chosen)
    done = beams.done.gather(1, parent) | (words == end) | (logp == -torch.inf)
    row = torch.arange(n_batch, device=words.device)[:, None] * width
    return Beams(ids, logp, length.gather(1, parent), done), (row + parent).flatten()


def _scores(logp, length, alpha):
    """What hypotheses are compared by."""
    return logp / length_penalty(length.to(logp.dtype), alpha)
