"""Writing word by word: greedy, sampled, or with a beam of several hypotheses.

A writer is anything with three methods; `writers.writer_of` gives one for each model.

    start(source, source_mask) -> state
    step(words, state)         -> logits (n_batch, n_words), weights or None, new state
    select(state, rows)        -> the state of these rows of the batch, in this order

`words` (n_batch,) are the ids written last. A state may be used once only, for a cache
grows in place.
"""

import torch

from course_lib.data.vocabulary import END, PAD
from course_lib.shapes.basic import check_count, check_positive


def write(writer, state, words, max_length, choose, end=END):
    """Write with every row of a batch until END or max_length.

    Args:
        writer:     see above
        state:      of the writer
        words:      (n_batch,) ids, the words before the first to be written
        max_length: int, the most words to write, END included
        choose:     function of logits (n_batch, n_words), giving ids (n_batch,)
        end:        id of END. None = there is none.

    Returns:
        ids (n_batch, max_length), PAD behind END, and the weights of the writer
        (n_batch, max_length, ...), zeros where nothing was written, or None.
    """
    ids = words.new_full((len(words), max_length), PAD)
    done, looked = torch.zeros_like(words, dtype=torch.bool), None
    for t in range(max_length):
        if done.all():
            break
        with torch.no_grad():
            logits, weights, state = writer.step(words, state)
        words = choose(logits).masked_fill(done, PAD)
        ids[:, t] = words
        if weights is not None:
            if looked is None:
                looked = weights.new_zeros((len(ids), max_length, *weights.shape[1:]))
            looked[:, t] = _where_not(done, weights)
        done = done | (words == end) if end is not None else done
    return ids, looked


def greedy(writer, state, words, max_length, end=END):
    """`write` the likeliest word each time."""
    return write(writer, state, words, max_length, likeliest, end)


def sample(
    writer,
    state,
    words,
    max_length,
    generator,
    temperature=1.0,
    top_k=None,
    top_p=None,
    end=END,
):
    """`write` words that are `drawn`.

    Args:
        writer, state, words, max_length, end: as for `write`
        generator, temperature, top_k, top_p: as for `drawn`

    Returns:
        as from `write`.
    """
    choose = drawn(generator, temperature, top_k, top_p)
    return write(writer, state, words, max_length, choose, end)


def likeliest(logits):
    """The id of the largest logit of each row: (n_batch, n_words) -> (n_batch,)."""
    return logits.argmax(dim=-1)


def drawn(generator, temperature=1.0, top_k=None, top_p=None):
    """A way to choose: draw from the softmax, after dividing and filtering the logits.

    Args:
        generator:   torch.Generator, on the device of the logits
        temperature: positive number that divides the logits; towards 0 the choice is
            the `likeliest`
        top_k, top_p: as for `keep_top_k` and, after it, `keep_top_p`. None = keep all.

    Returns:
        function of logits (n_batch, n_words), giving ids (n_batch,).
    """
    check_positive("temperature", temperature)

    def choose(logits):
        logits = logits / temperature
        if top_k is not None:
            logits = keep_top_k(logits, top_k)
        if top_p is not None:
            logits = keep_top_p(logits, top_p)
        shares = torch.softmax(logits, dim=-1)
        return torch.multinomial(shares, 1, generator=generator)[:, 0]

    return choose


def keep_top_k(logits, k):
    """Keep the k largest logits of each row; the others become -inf.

    Fan, Lewis and Dauphin 2018, arXiv:1805.04833.

    Args:
        logits: (..., n_words)
        k:      int >= 1; more than n_words keeps all

    Returns:
        logits (..., n_words).
    """
    check_count("top_k", k)
    kept, index = logits.topk(min(k, logits.shape[-1]), dim=-1)
    return torch.full_like(logits, -torch.inf).scatter(-1, index, kept)


def keep_top_p(logits, p):
    """Keep the fewest words that have at least the share p together; the rest is -inf.

    Holtzman et al. 2020, arXiv:1904.09751 ("nucleus sampling"). The likeliest word
    always stays.

    Args:
        logits: (..., n_words)
        p:      number, 0 < p <= 1

    Returns:
        logits (..., n_words).
    """
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {p!r}")
    ordered, index = logits.sort(dim=-1, descending=True)
    shares = torch.softmax(ordered, dim=-1)
    before = shares.cumsum(dim=-1) - shares  # what the likelier words have
    beyond = (before >= p) & (p < 1)  # sums are rounded: 1 must keep all
    kept = ordered.masked_fill(beyond, -torch.inf)
    return torch.full_like(logits, -torch.inf).scatter(-1, index, kept)


def _where_not(done, weights):
    """The weights, and zeros in the rows that are done."""
    return weights.masked_fill(done.reshape(-1, *[1] * (weights.dim() - 1)), 0)
