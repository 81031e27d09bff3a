"""Recurrent seq2seq with any score, in PyTorch. Twin of `in_numpy.recurrent_attention`.

The functions are the definition. The module below them holds their parameters, calls
them, and writes word by word.
"""

import torch
from torch import nn

from course_lib.in_torch.linear import embed, linear
from course_lib.in_torch.parameters import parameter_tree
from course_lib.in_torch.recurrent import Encoder, gru
from course_lib.in_torch.wirings import SCORES, WIRINGS
from course_lib.shapes.recurrent import check_words
from course_lib.shapes.recurrent_attention import (
    check_decoder,
    check_settings,
    score_shapes,
)


def attention_decoder(
    target_input,
    state,
    memory,
    parameters,
    score="additive",
    wiring="bahdanau",
    mask=None,
):
    """Twin of `in_numpy.recurrent_attention.attention_decoder`; shapes as there."""
    check_decoder(target_input, state, memory, wiring, WIRINGS)
    words = embed(target_input, parameters["embedding"])  # (..., n_target, d_x)
    joined = state.new_zeros((*state.shape[:-1], len(parameters["W_join"])))
    steps = []
    for t in range(target_input.shape[-1]):
        state, joined, weights = WIRINGS[wiring](
            words[..., t, :], state, joined, memory, parameters, score, mask
        )
        steps.append((joined, weights))
    if not steps:
        n_words, n_source = len(parameters["W_out"]), memory.shape[-2]
        return tuple(
            words.new_zeros((*words.shape[:-1], n)) for n in (n_words, n_source)
        )
    joined, weights = (torch.stack(parts, dim=-2) for parts in zip(*steps, strict=True))
    return linear(joined, parameters["W_out"], parameters["b_out"]), weights


def attention_encoder_decoder(
    source, target_input, parameters, score="additive", wiring="bahdanau", mask=None
):
    """Twin of `in_numpy.recurrent_attention.attention_encoder_decoder`.

    Shapes as there.
    """
    check_words(source, target_input)
    x = embed(source, parameters["source_embedding"])  # (..., n_source, d_x)
    d_hidden = parameters["encoder"]["W_h"].shape[-1]
    zeros = x.new_zeros((*x.shape[:-2], d_hidden))
    memory = gru(x, zeros, **parameters["encoder"], mask=mask)
    state = torch.tanh(
        linear(memory[..., -1, :], parameters["W_start"], parameters["b_start"])
    )
    return attention_decoder(
        target_input, state, memory, parameters["decoder"], score, wiring, mask
    )


class AttentionSeq2Seq(nn.Module):
    """Translate with recurrent networks and any score as the cross-attention.

    Args:
        n_source_words, n_target_words: sizes of the vocabularies
        d_hidden:      size of the decoder's state, and of each state of the encoder
        score:         a name in `SCORES`
        wiring:        "bahdanau" or "luong"
        bidirectional: the encoder also reads from the end; half of d_hidden for either
            direction, so that a state and a query are of one size, as "dot" wants it
        max_length:    the longest source, for the score "location" only
    """

    def __init__(
        self,
        n_source_words,
        n_target_words,
        d_hidden,
        score="additive",
        wiring="bahdanau",
        bidirectional=True,
        max_length=None,
    ):
        check_settings(
            d_hidden, score, SCORES, wiring, WIRINGS, bidirectional, max_length
        )
        super().__init__()
        self.score, self.wiring = score, wiring
        d_encoder = d_hidden // (1 + bidirectional)
        self.encoder = Encoder(n_source_words, d_encoder, bidirectional)
        self.W_start = nn.Linear(d_encoder, d_hidden)
        shapes = score_shapes(d_hidden, d_hidden, d_hidden, max_length)[score]
        self.decoder = nn.ModuleDict(
            {
                "embedding": nn.Embedding(n_target_words, d_hidden),
                "cell": nn.ModuleDict(
                    {
                        "W_x": nn.Linear(2 * d_hidden, 3 * d_hidden),
                        "W_h": nn.Linear(d_hidden, 3 * d_hidden),
                    }
                ),
                "score": nn.ParameterDict(
                    {name: _uniform(shape) for name, shape in shapes.items()}
                ),
                "W_join": nn.Linear(2 * d_hidden, d_hidden, bias=False),
                "W_out": nn.Linear(d_hidden, n_target_words),
            }
        )

    def forward(self, source, source_mask, target_input):
        """Score every next word, the words before it being given.

        Args:
            source:       (n_batch, n_source) ids
            source_mask:  (n_batch, n_source) bool, True = a real position
            target_input: (n_batch, n_target) ids, the target one step late

        Returns:
            logits (n_batch, n_target, n_target_words) and weights
            (n_batch, n_target, n_source).
        """
        check_words(source, target_input)
        state, _, memory, _ = self.start(source, source_mask)
        parameters = parameter_tree(self.decoder)
        how = self.score, self.wiring, source_mask
        return attention_decoder(target_input, state, memory, parameters, *how)

    def start(self, source, source_mask):
        """Read the source: all that `step` needs before the first word.

        Returns:
            state and joined (n_batch, d_hidden), memory (n_batch, n_source, d_hidden)
            and source_mask, in a tuple.
        """
        memory, vector = self.encoder(source, source_mask)
        state = torch.tanh(self.W_start(vector))
        return state, torch.zeros_like(state), memory, source_mask

    def step(self, words, state):
        """Score the word after `words`.

        Args:
            words: (n_batch,) ids, the words written last
            state: tuple, as `start` or `step` returned it

        Returns:
            logits (n_batch, n_target_words), weights (n_batch, n_source) and the new
            state.
        """
        state, joined, memory, mask = state
        parameters = parameter_tree(self.decoder)
        x = embed(words, parameters["embedding"])
        state, joined, weights = WIRINGS[self.wiring](
            x, state, joined, memory, parameters, self.score, mask
        )
        return self.decoder["W_out"](joined), weights, (state, joined, memory, mask)

    def select(self, state, rows):
        """The state of these rows of the batch, in this order, as beam search asks."""
        return tuple(part[rows] for part in state)


def _uniform(shape):
    """A parameter that starts as `nn.Linear`'s do: evenly within 1 / sqrt(fan-in)."""
    bound = shape[-1] ** -0.5
    return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
