"""Chapter 1: GRU, encoder, gradients through time, accuracy, bits, reversal."""

import numpy as np

from course_lib.grading.explanations import chapter_01_bottleneck as explain
from course_lib.grading.forbidden import GRADIENTS, GRU, in_both
from course_lib.grading.question import Case, Question
from course_lib.in_numpy import recurrent


def _gru_weights(rng, d_x, d_hidden):
    """Random W_x, W_h, b_x, b_h, rows in the order r, z, candidate."""
    shapes = [(d_x,), (d_hidden,), (), ()]
    return [_away_from_0(rng, 3 * d_hidden, *shape) for shape in shapes]


def _away_from_0(rng, *shape, least=0.3):
    """Numbers of size `least` to 1.2 with random signs."""
    return rng.uniform(least, 1.2, shape) * rng.choice([-1, 1], shape)


def _gru_inputs(*batch, d_x=2, d_hidden=3, dtype=np.float64, update=0):
    """Inputs of one step; `update` is added to the score of the update gate."""

    def inputs(rng):
        x, state = (
            _away_from_0(rng, *batch, d_x),
            rng.uniform(-1, 1, (*batch, d_hidden)),
        )
        W_x, W_h, b_x, b_h = _gru_weights(rng, d_x, d_hidden)
        b_x[d_hidden : 2 * d_hidden] += update
        return tuple(array.astype(dtype) for array in (x, state, W_x, W_h, b_x, b_h))

    return inputs


GRU_STEP = Question(
    id="1.1",
    title="one step of a GRU",
    function="gru_step",
    returns=("new_state",),
    minutes=20,
    points=3,
    task=r"""
Complete `gru_step`. It reads one word vector $x$ of shape $(\ldots, d_x)$ and turns the
state $h$ of shape $(\ldots, d_h)$ into the next one, $h'$, of the same shape:

$$r = \sigma(W_{xr} x + b_{xr} + W_{hr} h + b_{hr}) \qquad
z = \sigma(W_{xz} x + b_{xz} + W_{hz} h + b_{hz})$$

$$\tilde h = \tanh\bigl(W_{xn} x + b_{xn} + r \odot (W_{hn} h + b_{hn})\bigr) \qquad
h' = z \odot h + (1 - z) \odot \tilde h$$

Here $\sigma(s) = 1 / (1 + e^{-s})$ and $\odot$ multiplies entry by entry. The three
blocks are stacked as in PyTorch's `nn.GRU`: the first $d_h$ rows of `W_x`, `W_h`, `b_x`
and `b_h` belong to the reset gate $r$, the next $d_h$ to the update gate $z$, the last
$d_h$ to the candidate $\tilde h$. Scores may be in the thousands.
""".strip(),
    predict="all weights and biases are 0, and every entry of the state is 1. What is "
    "the new state?",
    hints=(
        "The state is on the right of two products and `x` of one. Two large products "
        "do all six: `x @ W_x.T + b_x` and `state @ W_h.T + b_h`. Write down their "
        "shapes.",
        "Cut each product into three blocks along its last axis: "
        "`np.split(..., 3, axis=-1)`. Keep the two apart: for the candidate, only the "
        "block that comes from the state meets the reset gate.",
        "With `x_r, x_z, x_n` and `h_r, h_z, h_n`: `r` and `z` are the sigmoids of "
        "`x_r + h_r` and `x_z + h_z`, `candidate = np.tanh(x_n + r * h_n)`, and the "
        "answer is `z * state + (1 - z) * candidate`.",
    ),
    reference=recurrent.gru_cell,
    cases=(
        Case("one word, one state", _gru_inputs()),
        Case("an update gate near 1 keeps the state", _gru_inputs(update=30)),
        Case(
            "an update gate near 0 replaces the state",
            _gru_inputs(d_x=3, d_hidden=5, update=-30),
        ),
        Case("a batch of states", _gru_inputs(2, d_x=5, d_hidden=7)),
        Case("a state of one number", _gru_inputs(d_x=3, d_hidden=1)),
        Case("scores in the thousands work", _gru_inputs(d_hidden=7, update=2000)),
        Case("float32 works", _gru_inputs(5, d_x=2, d_hidden=3, dtype=np.float32)),
        Case("two batch axes", _gru_inputs(2, 3, d_x=7, d_hidden=5), hidden=True),
        Case(
            "wide states in float32",
            _gru_inputs(3, d_x=11, d_hidden=13, dtype=np.float32),
            hidden=True,
        ),
    ),
    explain=explain.gru_step,
    # Any GRU takes one step, and so do the decoders that hold one.
    forbidden=(
        *in_both("recurrent", "recurrent_attention", "wirings"),
        *GRU,
        "torch.gru_cell",
        "torch.nn.GRUCell",
        "tensorflow.keras.layers.GRUCell",
        "keras.layers.GRUCell",
        "flax.linen.GRUCell",
    ),
)


def _encode(x, W_x, W_h, b_x, b_h, mask):
    zeros = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    return recurrent.gru(x, zeros, W_x, W_h, b_x, b_h, mask)[..., -1, :]


def _padded(lengths, n, d_x=2, d_hidden=3, dtype=np.float64, padding=None):
    """Sequences of these lengths in n positions; `padding` fills what lies behind."""

    def inputs(rng):
        mask = np.arange(n) < np.array(lengths)[..., None]  # (..., n)
        x = _away_from_0(rng, *mask.shape, d_x)
        if padding is not None:
            x[~mask] = padding
        weights = [W.astype(dtype) for W in _gru_weights(rng, d_x, d_hidden)]
        return x.astype(dtype), *weights, mask

    return inputs


ENCODE = Question(
    id="1.2",
    title="one vector, whatever the length",
    function="encode",
    returns=("vector",),
    minutes=15,
    points=2,
    task=r"""
Complete `encode`: fold a whole sequence into one vector. Start from a state of zeros,
let a GRU read $x_1, x_2, \ldots, x_n$ one after the other, and return the last state.

`x` has shape $(\ldots, n, d_x)$. Sequences of different length share one array, so
short ones have padding behind them. `mask` has shape $(\ldots, n)$ and is `True` where
there is a word. Where it is `False`, the state stays as it was, whatever the padding
holds. The weights are those of exercise 1.1, and you may call your `gru_step`. The
vector has shape $(\ldots, d_h)$: no $n$ is left in it.
""".strip(),
    predict="$d_h = 64$. A sentence of 4 words goes in, then one of 32. How many "
    "numbers are there for each word?",
    hints=(
        "One loop over the positions, one variable for the state. What is its shape "
        "before the first word?",
        "`x[..., t, :]` is the word at position `t` of every sequence. Take the step "
        "for all of them, then decide for each whether it counts.",
        "`state = np.where(mask[..., t, None], new_state, state)`. The `None` adds an "
        "axis, so that one decision holds for all the entries of a state. "
        "`np.where` chooses, so it never calculates with what the padding holds.",
    ),
    reference=_encode,
    cases=(
        Case("a sentence without padding", _padded(5, n=5)),
        Case("a sentence of one word", _padded(1, n=1, d_x=5)),
        Case("the padding behind a sentence is skipped", _padded(3, n=5)),
        Case("each sentence of a batch has its own length", _padded([3, 7, 1, 5], n=7)),
        Case("padding of zeros is skipped too", _padded([5, 2], n=7, padding=0)),
        Case("padding may hold nan", _padded([2, 5, 3], n=5, padding=np.nan)),
        Case("float32 works", _padded([3, 5], n=5, d_hidden=7, dtype=np.float32)),
        Case(
            "two batch axes",
            _padded([[3, 7, 1], [2, 5, 11]], n=11, d_x=5, d_hidden=7),
            hidden=True,
        ),
        Case(
            "long sentences",
            _padded([31, 17], n=31, d_x=3, d_hidden=2, dtype=np.float32),
            hidden=True,
        ),
    ),
    explain=explain.encode,
    forbidden=GRU,  # one step of it is the answer to 1.1, which may be called
)


def _rnn_backward(d_last, x, w, u):
    h = np.zeros(len(x) + 1)
    for t in range(len(x)):
        h[t + 1] = np.tanh(w * h[t] + u * x[t])
    d_a = np.zeros(len(x))  # before the tanh
    d_h = d_last
    for t in reversed(range(len(x))):
        d_a[t] = d_h * (1 - h[t + 1] ** 2)
        d_h = d_a[t] * w
    return d_a @ h[:-1], d_a @ x, d_a * u


def _rnn_inputs(n, w=(0.6, 0.95), dtype=np.float64):
    """Inputs of a scalar network whose states are neither near 0 nor near 1."""

    def inputs(rng):
        x, (d_last, u) = (_away_from_0(rng, k, least=0.7) for k in (n, 2))
        signed_w = rng.uniform(*w) * rng.choice([-1, 1])
        return np.array(d_last, dtype), x.astype(dtype), float(signed_w), float(u)

    return inputs


RNN_BACKWARD = Question(
    id="1.3",
    title="back through time",
    function="rnn_backward",
    returns=("d_w", "d_u", "d_x"),
    minutes=25,
    points=3,
    task=r"""
The smallest recurrent network has a state of one number and two weights, the numbers
$w$ and $u$. It reads the numbers $x_1, \ldots, x_n$ in `x`, of shape $(n,)$:

$$h_t = \tanh(w\, h_{t-1} + u\, x_t), \qquad h_0 = 0$$

Only the last state $h_n$ enters the loss. Complete `rnn_backward`: given `d_last`, the
gradient of the loss with respect to $h_n$, return `d_w`, `d_u` and `d_x`, in this
order. The first two are numbers, and `d_x` has shape $(n,)$. Run forwards first and
keep the states.

Each step back multiplies the gradient by $w\,(1 - h_t^2)$. The second factor is never
above 1. So while $|w| < 1$, the product shrinks with every step, and each word gets a
smaller gradient than the word behind it.
""".strip(),
    predict="$w = 0.5$, $u = 1$, `d_last` is 1 and there are 20 words. How large can "
    "the gradient with respect to $x_1$ be at most?",
    hints=(
        "Draw the network for three words and follow the arrows back from $h_3$. How "
        "many ways lead to $x_1$? To $w$?",
        "The derivative of $\\tanh(a)$ is $1 - \\tanh(a)^2$, here $1 - h_t^2$. Call "
        "the gradient before the tanh `d_a`. It gives $x_t$ its share through $u$, and "
        "$h_{t-1}$ its share through $w$. The same $w$ and $u$ are used at every "
        "step, so their gradients add up.",
        "In a loop from the last step to the first, with `before` and `after` for "
        "$h_{t-1}$ and $h_t$: `d_a = d_h * (1 - after**2)`, `d_w += d_a * before`, "
        "`d_u += d_a * x[t]`, `d_x[t] = d_a * u`, and last `d_h = d_a * w`.",
    ),
    reference=_rnn_backward,
    cases=(
        Case("three words", _rnn_inputs(3)),
        Case("one word: there is nothing to remember", _rnn_inputs(1)),
        Case("seven words", _rnn_inputs(7)),
        Case("w = 0: only the last word counts", _rnn_inputs(5, w=(0, 0))),
        Case("over 30 words the gradient fades", _rnn_inputs(30, w=(0.3, 0.5))),
        Case("float32 works", _rnn_inputs(5, dtype=np.float32)),
        Case("w above 1", _rnn_inputs(11, w=(1.2, 1.5)), hidden=True),
        Case("two words in float32", _rnn_inputs(2, dtype=np.float32), hidden=True),
    ),
    explain=explain.rnn_backward,
    forbidden=GRADIENTS,
)


def _accuracy_by_length(predicted, target, pad):
    real = target != pad
    right = ((predicted == target) | ~real).all(axis=1)
    length = real.sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


def _predictions(*lengths, n_max, pad=0, dtype=np.int64, early=False, behind=False):
    """Some right and some wrong rows of each length.

    `early`: wrong rows stop one word early, instead of having one wrong word.
    `behind`: the prediction goes on behind the end of the target.
    """

    def inputs(rng):
        # Right and wrong rows; `repeat` wants the machine's own integers.
        counts = rng.integers(1, 4, (len(lengths), 2)).astype(np.intp)
        length = np.repeat(lengths, counts.sum(axis=1))
        wrong = np.concatenate([np.arange(r + w) >= r for r, w in counts])
        real = np.arange(n_max) < length[:, None]  # (n, n_max)
        words = rng.integers(10, 20, real.shape)
        target = np.where(real, words, pad)
        predicted = np.where(real, words, words if behind else pad)
        place = length - 1 if early else rng.integers(0, length)
        here = (np.arange(n_max) == place[:, None]) & wrong[:, None]
        predicted = np.where(here, pad if early else words + 10, predicted)
        return predicted.astype(dtype), target.astype(dtype), pad

    return inputs


ACCURACY_BY_LENGTH = Question(
    id="1.4",
    title="all right or wrong, by length",
    function="accuracy_by_length",
    returns=("lengths", "accuracies"),
    minutes=15,
    points=2,
    task=r"""
Complete `accuracy_by_length`. Each row of `target`, of shape $(n, n_{\max})$, holds the
ids of one sequence, its end sign included, and then `pad` up to the end of the row.
Each row of `predicted`, of the same shape, is what a model wrote.

- The length of a row is the number of its positions in `target` that are not `pad`.
- A row is right if `predicted` equals `target` at all these positions. One wrong word
  makes the row wrong. What `predicted` holds behind them does not count.

Return `lengths`, the different lengths from short to long, and `accuracies`, the share
of right rows among the rows of each length.
""".strip(),
    predict="each word is right with probability 0.9, whatever the others are. Which "
    "share of the sequences of one word is right? Of those of ten words?",
    hints=(
        "Three steps: which positions count, which rows are right, how long each row "
        "is. Each of the three comes from a comparison of whole arrays.",
        "`real = target != pad` is `True` where a word stands. A position is no "
        "mistake if it is equal *or* not real: combine the two with `|`, then ask for "
        "`all` along a row.",
        "`right = ((predicted == target) | ~real).all(axis=1)` and "
        "`length = real.sum(axis=1)`. `np.unique(length)` is sorted, and "
        "`right[length == n].mean()` is the share for one length `n`.",
    ),
    reference=_accuracy_by_length,
    cases=(
        Case("one wrong word makes a row wrong", _predictions(3, 2, n_max=3)),
        Case("lengths from 1", _predictions(3, 1, n_max=3)),
        Case(
            "a row that stops early is wrong", _predictions(5, 2, n_max=7, early=True)
        ),
        Case(
            "what stands behind the end does not count",
            _predictions(7, 3, 2, n_max=11, behind=True),
        ),
        Case("padding may have another id", _predictions(5, 3, n_max=7, pad=-1)),
        Case("one length", _predictions(3, n_max=5)),
        Case("int32 works", _predictions(3, 5, 2, n_max=5, dtype=np.int32)),
        Case(
            "many lengths",
            _predictions(11, 2, 7, 5, 3, 13, n_max=13, behind=True),
            hidden=True,
        ),
        Case(
            "another id of padding, and words behind the end",
            _predictions(5, 2, n_max=7, pad=3, behind=True, dtype=np.int32),
            hidden=True,
        ),
    ),
    explain=explain.accuracy_by_length,
    forbidden=(
        "course_lib.training.metrics.accuracy_by_length",
        "course_lib.training.metrics.sequence_correct",
    ),
)


def _bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = n_digits * np.log2(10)
    return needed, 32 * d_hidden, accuracy * needed / d_hidden


def _measured(*shape, longest=None, dtype=np.float64):
    """Accuracies (sizes, lengths) or (lengths,) or (), with their digits and sizes."""

    def inputs(rng):
        accuracy = rng.uniform(0.2, 0.8, shape).astype(dtype)
        sizes = 8 * rng.permutation(np.arange(2, 13))
        n_digits = rng.permutation(np.arange(2, 14))[: shape[-1]] if shape else 7
        if longest:
            n_digits = np.append(n_digits[1:], longest)
        d_hidden = sizes[: shape[0], None] if len(shape) == 2 else int(sizes[0])
        return accuracy, n_digits, d_hidden

    return inputs


BITS_AND_CAPACITY = Question(
    id="1.5",
    title="bits that would fit",
    function="bits_and_capacity",
    returns=("needed", "capacity", "recovered"),
    minutes=10,
    points=2,
    task=r"""
A network reads a string of `n_digits` random digits, keeps a state of `d_hidden`
numbers of type float32, and writes the string from it. The share `accuracy` of the
strings comes back whole. Complete `bits_and_capacity` and return, in this order:

- `needed`: the bits in one string. All $10^n$ strings are equally likely.
- `capacity`: the bits in the state. A float32 has 32.
- `recovered`: the bits that come back for each number of the state, on average. A
  string that comes back whole counts with all its bits, any other with none.

The arguments are numbers, or arrays that broadcast: `needed` has the shape of
`n_digits`, `capacity` that of `d_hidden`, and `recovered` the common shape.

The bound is necessary: with `capacity` below `needed`, two strings must share a state.
It does not say that a network learns to use the room it has. In this chapter it never
binds. What fails is learning to pack and unpack.
""".strip(),
    predict="a string has twenty digits, and the state 64 numbers. Does the bound "
    "forbid that every string comes back? How many such strings would fit?",
    hints=(
        "One bit tells two cases apart, two bits four, three bits eight. How many bits "
        "tell $10$ cases apart? How many $10^n$?",
        "The logarithm to base 2 counts bits, and the logarithm of a power is a "
        "product: never compute $10^n$ itself. For `recovered`, take the bits of one "
        "string, then the share that comes back, then divide by `d_hidden`.",
        "`needed = n_digits * np.log2(10)`, `capacity = 32 * d_hidden`, and "
        "`recovered` is `accuracy * needed / d_hidden`.",
    ),
    reference=_bits_and_capacity,
    cases=(
        Case("one length, one network", _measured()),
        Case("several lengths", _measured(5)),
        Case("several lengths and hidden sizes", _measured(3, 5)),
        Case("twenty digits and more work", _measured(3, longest=40)),
        Case("float32 works", _measured(7, dtype=np.float32)),
        Case("a table in float32", _measured(2, 7, dtype=np.float32), hidden=True),
        Case("a hundred digits", _measured(5, 3, longest=100), hidden=True),
    ),
    explain=explain.bits_and_capacity,
    forbidden=(),  # no library counts this
)


def _reverse_source(ids, pad):
    answer = np.full_like(ids, pad)
    for row, sentence in zip(answer, ids, strict=True):
        words = sentence[sentence != pad]
        row[: len(words)] = words[::-1]
    return answer


def _sentences(*lengths, n_max, pad=0, dtype=np.int64):
    """One sentence of each length; no word occurs twice in a sentence."""

    def inputs(rng):
        words = rng.permuted(np.tile(np.arange(10, 40), (len(lengths), 1)), axis=1)
        real = np.arange(n_max) < np.array(lengths)[:, None]
        return np.where(real, words[:, :n_max], pad).astype(dtype), pad

    return inputs


REVERSE_SOURCE = Question(
    id="1.6",
    title="read it backwards",
    function="reverse_source",
    returns=("reversed_ids",),
    minutes=10,
    points=2,
    task=r"""
Sutskever, Vinyals and Le (2014) let their encoder read each source sentence from its
end to its beginning. The targets stayed as they were. They reported better
translations.

Complete `reverse_source`. Each row of `ids`, of shape $(n_{\text{batch}}, n)$, holds
the words of one sentence and then `pad` up to the end of the row. `pad` never stands
between words. Return an array of the same shape, with the words of each row in the
opposite order. The padding stays behind them.
""".strip(),
    predict="a network reads $n$ words, then writes $n$ words, one for each, in the "
    "same order. How many steps after it reads word 1 does it write its partner? And "
    "when the source is reversed? What happens to word $n$, and to the average?",
    hints=(
        "Take the sentence 5, 6, 7 in a row of five, behind it two times `pad`. Write "
        "down the answer. Where would `ids[:, ::-1]` put the padding?",
        "The rows have different lengths, so go row by row. How many words has one "
        "row? Where do they go?",
        "Start from `np.full_like(ids, pad)`. For each row, "
        "`words = ids[i][ids[i] != pad]`, and `words[::-1]` goes into the first "
        "`len(words)` places.",
    ),
    reference=_reverse_source,
    cases=(
        Case("sentences without padding", _sentences(5, 5, n_max=5)),
        Case("the padding stays behind", _sentences(3, 3, n_max=5)),
        Case("each row has its own length", _sentences(5, 2, 7, n_max=11)),
        Case("one word stays where it is", _sentences(3, 1, n_max=3)),
        Case("padding may have another id", _sentences(2, 5, n_max=7, pad=-1)),
        Case("int32 works", _sentences(3, 5, n_max=7, dtype=np.int32)),
        Case("many rows", _sentences(13, 3, 11, 1, 7, n_max=13), hidden=True),
        Case(
            "another id of padding in int32",
            _sentences(5, 2, 3, n_max=11, pad=3, dtype=np.int32),
            hidden=True,
        ),
    ),
    explain=explain.reverse_source,
    forbidden=(
        "course_lib.data.vocabulary.reverse_source",
        "tensorflow.reverse_sequence",
    ),
)

QUESTIONS = (
    GRU_STEP,
    ENCODE,
    RNN_BACKWARD,
    ACCURACY_BY_LENGTH,
    BITS_AND_CAPACITY,
    REVERSE_SOURCE,
)
