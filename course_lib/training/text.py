"""Models of text: one that says the next token, one that says the hidden ones.

Both read the documentation of Python's standard library in byte pairs.
"""

from functools import lru_cache, partial

import numpy as np
import torch

from course_lib.data.documentation import documentation, sample_windows
from course_lib.data.pair_encoding import train_tokenizer
from course_lib.in_torch.language_model import LanguageModel
from course_lib.in_torch.masked_model import MaskedModel
from course_lib.in_torch.ops import cross_entropy
from course_lib.shapes.basic import check_choice
from course_lib.training.devices import device_of, seeded
from course_lib.training.loop import fit
from course_lib.training.metrics import bits_per_character

VOCAB_SIZE, WINDOW, BATCH = 1024, 128, 32
MASK = VOCAB_SIZE  # the id that stands for a hidden token
HIDDEN = 0.15  # share of tokens: Devlin et al. 2018, arXiv:1810.04805, section 3.1
_TEST_SEED = 1991
_SIZES = {"d_model": 128, "n_heads": 4, "n_layers": 3, "d_ff": 512}
MODELS = {
    "gpt": partial(LanguageModel, VOCAB_SIZE, **_SIZES, max_length=WINDOW),
    "bert": partial(MaskedModel, VOCAB_SIZE + 1, **_SIZES, max_length=WINDOW),
}


@lru_cache
def tokenizer():
    """The tokenizer that is learnt from the training text."""
    return train_tokenizer(documentation("train"), VOCAB_SIZE)


@lru_cache
def token_ids(split):
    """The text of one split in tokens (n,), shared and never to be written to."""
    ids = np.array(tokenizer().encode(documentation(split)).ids)
    ids.flags.writeable = False
    return ids


def next_batch(seed, step):
    """The training batch of a step for "gpt": ids (n_batch, WINDOW + 1)."""
    rng = np.random.default_rng([seed, step])
    return sample_windows(token_ids("train"), BATCH, WINDOW + 1, rng)


def hidden_batch(seed, step, split="train"):
    """The batch of a step for "bert": ids (n_batch, WINDOW), and which are hidden."""
    rng = np.random.default_rng([seed, step])
    ids = sample_windows(token_ids(split), BATCH, WINDOW, rng)
    return ids, rng.random(ids.shape) < HIDDEN


def next_loss(model, ids):
    """Mean cross-entropy of every token but the first, those before it being given.

    Args:
        model: `LanguageModel`
        ids:   (n_batch, n)

    Returns:
        scalar tensor, in nats.
    """
    (ids,) = _tensors(model, ids)
    return cross_entropy(model(ids[:, :-1])[0], ids[:, 1:])


def hidden_loss(model, batch):
    """Mean cross-entropy of the hidden tokens, the others being given.

    BERT hides four of five this way; the fifth it replaces, or leaves to be seen. Here
    all are replaced by MASK.

    Args:
        model: `MaskedModel`
        batch: ids and hidden, both (n_batch, n)

    Returns:
        scalar tensor, in nats.
    """
    ids, hidden = _tensors(model, *batch)
    return cross_entropy(_guess(model, ids, hidden), ids, hidden)


def n_hidden(batch):
    """How many tokens `hidden_loss` is a mean over."""
    return int(batch[1].sum())


def build_model(kind, seed):
    """An untrained model; its first weights depend on the kind and the seed alone."""
    check_choice("kind", kind, MODELS)
    with seeded(seed):
        return MODELS[kind]()


def train(kind, seed, steps, device, **options):
    """Train a model of text and measure it on text that it has never seen.

    Args:
        kind:    "gpt" or "bert"
        seed:    int, of the first weights and the batches
        steps:   int
        device:  torch.device
        options: of `fit`

    Returns:
        the trained model, its losses, and the measure: bits for each character for
        "gpt", the share of hidden tokens that are right for "bert".
    """
    model = build_model(kind, seed).to(device)
    how = {"learning_rate": 3e-3, **options}
    if kind == "gpt":
        losses = fit(model, partial(next_batch, seed), next_loss, steps, **how)
        return model, losses, text_bits(model, documentation("test"))
    how["count_of"] = n_hidden
    losses = fit(model, partial(hidden_batch, seed), hidden_loss, steps, **how)
    return model, losses, hidden_accuracy(model)


def text_bits(model, text):
    """Bits for each character of a text, the first token being given.

    The text is read in windows; each begins with the last token of the one before.

    Args:
        model: `LanguageModel` of these tokens
        text:  str of two tokens or more
    """
    encoded = tokenizer().encode(text)
    _, given = encoded.offsets[0]  # characters of the first token
    model.eval()
    nats = 0.0
    for first in range(0, len(encoded.ids) - 1, WINDOW):
        ids = np.array([encoded.ids[first : first + WINDOW + 1]])
        with torch.no_grad():
            nats += next_loss(model, ids).item() * (ids.size - 1)
    return bits_per_character(nats, len(text) - given)


def hidden_accuracy(model, n_batches=8):
    """Share of the hidden tokens of unseen text that a `MaskedModel` gets right."""
    model.eval()
    right = n = 0
    for step in range(n_batches):
        ids, hidden = _tensors(model, *hidden_batch(_TEST_SEED, step, "test"))
        with torch.no_grad():
            said = _guess(model, ids, hidden).argmax(dim=-1)
        right += int(((said == ids) & hidden).sum())
        n += int(hidden.sum())
    return right / n


def _guess(model, ids, hidden):
    """Logits of every token, the hidden ones being unseen."""
    logits, _ = model(ids.masked_fill(hidden, MASK))
    return logits


def _tensors(model, *arrays):
    """Arrays as tensors on the device of the model."""
    return [torch.tensor(array, device=device_of(model)) for array in arrays]
