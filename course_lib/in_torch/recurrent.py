"""Recurrent networks in PyTorch, on any device. Twin of `in_numpy.recurrent`.

The functions are the definition, step by step. The modules below them train: they use
`nn.GRU`, which computes the same and is faster.
"""

import torch
from torch import nn

from course_lib.in_torch.attention import attend
from course_lib.shapes.recurrent import check_gru, check_steps, check_words


def gru_cell(x, state, W_x, W_h, b_x, b_h):
    """Twin of `in_numpy.recurrent.gru_cell`; shapes as there."""
    check_gru(x, state, W_x, W_h, b_x, b_h)
    x_r, x_z, x_n = (x @ W_x.T + b_x).chunk(3, dim=-1)
    h_r, h_z, h_n = (state @ W_h.T + b_h).chunk(3, dim=-1)
    r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
    candidate = torch.tanh(x_n + r * h_n)
    return z * state + (1 - z) * candidate


def gru(x, state, W_x, W_h, b_x, b_h, mask=None):
    """Twin of `in_numpy.recurrent.gru`; shapes as there."""
    check_steps(x, state, mask)
    check_gru(x, state, W_x, W_h, b_x, b_h)
    states = []
    for t in range(x.shape[-2]):
        new_state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        if mask is not None:
            new_state = torch.where(mask[..., t, None], new_state, state)
        states.append(state := new_state)
    if not states:
        return state.new_zeros((*x.shape[:-1], state.shape[-1]))
    return torch.stack(states, dim=-2)


def encoder_decoder(source, target_input, parameters, mask=None):
    """Twin of `in_numpy.recurrent.encoder_decoder`; shapes as there."""
    check_words(source, target_input)
    x = parameters["source_embedding"][source]  # (..., n_source, d_x)
    y = parameters["target_embedding"][target_input]  # (..., n_target, d_x)
    d_hidden = parameters["encoder"][1].shape[-1]
    zeros = x.new_zeros((*x.shape[:-2], d_hidden))
    vector = gru(x, zeros, *parameters["encoder"], mask)[..., -1, :]
    states = gru(y, vector, *parameters["decoder"])
    return states @ parameters["W_out"].T + parameters["b_out"]


class Encoder(nn.Module):
    """Words in, one state for each position out, and one vector for all of them.

    Args:
        n_words:       size of the vocabulary
        d_hidden:      size of the embedding, of the vector, and of the states
        bidirectional: also read from the end; then the states are 2 d_hidden wide,
            and the vector is a learnt mix of the last state of either direction
    """

    def __init__(self, n_words, d_hidden, bidirectional=False):
        super().__init__()
        self.embedding = nn.Embedding(n_words, d_hidden)
        self.forwards = nn.GRU(d_hidden, d_hidden, batch_first=True)
        self.backwards = self.mix = None
        if bidirectional:
            self.backwards = nn.GRU(d_hidden, d_hidden, batch_first=True)
            self.mix = nn.Linear(2 * d_hidden, d_hidden)

    def forward(self, source, mask):
        """Read a batch.

        Args:
            source: (n_batch, n_source) ids
            mask:   (n_batch, n_source) bool, True = a real position, padding behind

        Returns:
            states (n_batch, n_source, d) and vector (n_batch, d_hidden). States at
            padded positions mean nothing.
        """
        x = self.embedding(source)
        states, _ = self.forwards(x)
        last = mask.sum(dim=-1, keepdim=True) - 1  # (n_batch, 1)
        vector = _at(states, last)[:, 0]
        if self.backwards is None:
            return states, vector
        position = torch.arange(source.shape[-1], device=source.device)
        mirrored = (last - position).clamp(min=0)  # its own inverse
        from_end, _ = self.backwards(_at(x, mirrored))
        both = torch.cat([vector, _at(from_end, last)[:, 0]], dim=-1)
        states = torch.cat([states, _at(from_end, mirrored)], dim=-1)
        return states, torch.tanh(self.mix(both))


class Seq2Seq(nn.Module):
    """Translate one sequence into another, with attention or through one vector alone.

    Both start the decoder from the encoder's vector. With attention each state of the
    decoder also asks the encoder's states (Luong, Pham and Manning 2015,
    arXiv:1508.04025, the score "general"), and the answer joins it before the output.

    Args:
        n_source_words, n_target_words: sizes of the vocabularies
        d_hidden:      size of embeddings, states and vector
        attention:     whether the decoder may look back
        bidirectional: as for `Encoder`
    """

    def __init__(
        self,
        n_source_words,
        n_target_words,
        d_hidden,
        attention=True,
        bidirectional=False,
    ):
        super().__init__()
        self.encoder = Encoder(n_source_words, d_hidden, bidirectional)
        self.embedding = nn.Embedding(n_target_words, d_hidden)
        self.decoder = nn.GRU(d_hidden, d_hidden, batch_first=True)
        self.W_out = nn.Linear(d_hidden, n_target_words)
        self.W_key = self.W_join = None
        if attention:
            d_state = d_hidden * (1 + bidirectional)
            self.W_key = nn.Linear(d_state, d_hidden, bias=False)
            self.W_join = nn.Linear(d_state + d_hidden, d_hidden, bias=False)

    def forward(self, source, source_mask, target_input):
        """Score every next word at once, the words before it being given.

        Args:
            source:       (n_batch, n_source) ids
            source_mask:  (n_batch, n_source) bool, True = a real position
            target_input: (n_batch, n_target) ids, the target one step late

        Returns:
            logits (n_batch, n_target, n_target_words) and weights
            (n_batch, n_target, n_source), None without attention.
        """
        states, vector = self.encoder(source, source_mask)
        logits, weights, _ = self.decode(target_input, vector, states, source_mask)
        return logits, weights

    def decode(self, target_input, vector, states, source_mask):
        """Score the words after `target_input`, going on from a state of the decoder.

        Args:
            target_input: (n_batch, n_target) ids
            vector:       (n_batch, d_hidden), the encoder's, or the state to go on from
            states:       (n_batch, n_source, d), the encoder's
            source_mask:  (n_batch, n_source) bool

        Returns:
            logits and weights as from `forward`, and the last state, a vector again.
        """
        asked, last = self.decoder(self.embedding(target_input), vector[None])
        if self.W_key is None:
            return self.W_out(asked), None, last[0]
        scores = asked @ self.W_key(states).transpose(-1, -2)  # (n_batch, n_t, n_s)
        context, weights = attend(scores, states, source_mask[:, None])
        joined = torch.tanh(self.W_join(torch.cat([context, asked], dim=-1)))
        return self.W_out(joined), weights, last[0]


def _at(sequence, position):
    """Rows of a batch of sequences: (n_batch, n, d) and (n_batch, m) -> (.., m, d)."""
    index = position[..., None].expand(-1, -1, sequence.shape[-1])
    return sequence.gather(1, index)
