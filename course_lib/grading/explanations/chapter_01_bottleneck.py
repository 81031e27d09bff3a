"""Chapter 1: what a wrong answer most likely got wrong, in one sentence each.

Each function takes the inputs of a call, what came back and what was expected (lists of
arrays of equal shapes), and returns a sentence, or None if it knows none. Most know
what the usual mistakes give: a dict from the sentence to the array.
"""

import numpy as np

from course_lib.grading.explanations.observed import close, first, row_name
from course_lib.in_numpy.recurrent import _gates, gru, gru_cell


def _named(mistakes, got):
    """The sentence whose array is closest to `got`, or None if none is close."""
    near = {
        says: np.abs(array - got).max()
        for says, array in mistakes.items()
        if close(got, array)
    }
    return min(near, key=near.get, default=None)


def gru_step(inputs, got, expected):
    x, state, W_x, W_h, b_x, b_h = inputs
    if not np.isfinite(got[0]).all():
        return (
            f"A score is about {(x @ W_x.T + b_x).max():.0f}, and exp of that becomes "
            "inf: write the sigmoid as `1 / (1 + np.exp(-s))`, which becomes 0 or 1."
        )
    r, z, candidate, h_n = _gates(*inputs)
    x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)[2]
    mistakes = {
        "The update gate is the wrong way round: z is the share of the old state, and "
        "1 - z that of the candidate.": (1 - z) * state + z * candidate,
        "Reset and update gate are in each other's place: the first third of the rows "
        "is r, the second is z.": r * state + (1 - r) * np.tanh(x_n + z * h_n),
        "This is the candidate alone: mix it with the old state.": candidate,
        "The bias `b_h` is missing.": gru_cell(x, state, W_x, W_h, b_x, 0 * b_h),
    }
    W_hn, b_hn = np.split(W_h, 3)[2], np.split(b_h, 3)[2]
    for says, wrong in _candidates(r, x_n, h_n, state, W_hn, b_hn).items():
        mistakes[says] = z * state + (1 - z) * wrong
    return _named(mistakes, got[0])


def _candidates(r, x_n, h_n, state, W_hn, b_hn):
    """Wrong candidates (..., d_hidden), by what is to be said about them."""
    return {
        "The reset gate scales the state before the product with W_hn. Here it scales "
        "what comes out of it, with its bias: `r * (W_hn h + b_hn)`.": np.tanh(
            x_n + (r * state) @ W_hn.T + b_hn
        ),
        "The reset gate leaves out the bias b_hn, which it should scale together with "
        "W_hn h.": np.tanh(x_n + r * (h_n - b_hn) + b_hn),
        "The reset gate has no effect on the candidate.": np.tanh(x_n + h_n),
        "The reset gate scales all of the candidate's score: what comes from x is not "
        "reset.": np.tanh(r * (x_n + h_n)),
    }


def encode(inputs, got, expected):
    (x, *weights, mask), vector = inputs, got[0]
    row = first(~mask.all(axis=-1))
    words = np.where(mask[..., None], x, 0)
    if row is None:
        return _misread(words, weights, mask, vector)
    name, where = row_name(row), f"{mask[row].sum()} of {mask.shape[-1]} positions"
    if not np.isfinite(x).all() and not np.isfinite(vector).all():
        return (
            "The padding holds nan, and 0 * nan is nan: choose the old or the new "
            "state with `np.where`, do not multiply."
        )
    if not vector[row].any():
        return f"The state of {name} is 0 behind its last word: keep the old one."
    zeros = np.zeros_like(vector, x.dtype)  # (..., d_hidden)
    mistakes = {
        f"The state of {name} ran on over the padding: it has words at {where}, and "
        "behind them the state must stay as it was.": gru(x, zeros, *weights),
        "The padding was set to zero, but still read: a step with x = 0 changes the "
        "state.": gru(words, zeros, *weights),
    }
    mistakes = {says: states[..., -1, :] for says, states in mistakes.items()}
    return _named(mistakes, vector) or _misread(words, weights, mask, vector)


def _misread(words, weights, mask, vector):
    """What is wrong with a vector of words (..., n, d_x) apart from the padding."""
    zeros = np.zeros_like(vector, words.dtype)
    states = gru(words, zeros, *weights, mask)  # (..., n, d_hidden)
    n_words = mask.sum(axis=-1)[..., None]
    last = np.take_along_axis(words, n_words[..., None] - 1, axis=-2)[..., 0, :]
    total = (mask[..., None] * states).sum(axis=-2)
    mistakes = {
        "The mask is the wrong way round: True means a word, which is read.": gru(
            words, zeros, *weights, ~mask
        )[..., -1, :],
        "This is the mean of the states. Return the last one: it has read "
        "everything.": total / n_words,
        "Only the last word was read: the state that one step returns goes into the "
        "next.": gru_cell(last, zeros, *weights),
    }
    return _named(mistakes, vector)


def rnn_backward(inputs, got, expected):
    d_last, x, w, u = inputs
    d_w, d_u, d_x = got
    h = np.zeros(len(x) + 1)
    for t in range(len(x)):
        h[t + 1] = np.tanh(w * h[t] + u * x[t])
    if not close(d_x, expected[2]):
        return _named(_wrong_d_x(d_last, h, w, u), d_x)
    d_a = d_x / u  # before the tanh
    if not np.isclose(d_w, expected[0]) and np.isclose(d_w, d_a @ h[1:]):
        return (
            "`d_w` takes the state after each step: w was multiplied with the state "
            "before it, h_(t-1)."
        )
    for name, mine, right, shares in (
        ("d_w", d_w, expected[0], d_a * h[:-1]),
        ("d_u", d_u, expected[1], d_a * x),
    ):
        if np.isclose(mine, right):
            continue
        if np.isclose(mine, shares).any():
            return (
                f"`{name}` comes from one step alone. Every step uses the same "
                "weight: add up what all of them give, with `+=`."
            )
        return f"`d_x` is right, but `{name}` is {mine:.4g} and not {right:.4g}."
    return None


def _wrong_d_x(d_last, h, w, u):
    """Wrong d_x (n,) from all states h (n + 1,), by what is to be said about them."""
    slope, ones = 1 - h[1:] ** 2, np.ones(len(h) - 1)
    no_square, twice = 1 - h[1:], 1 - np.tanh(h[1:]) ** 2

    def back(slope, handed_on, added=0):
        d_h, d_x = d_last, np.zeros(len(h) - 1)
        for t in reversed(range(len(d_x))):
            d_x[t] = u * d_h * slope[t]
            d_h = added + d_h * handed_on[t]
        return d_x

    right = back(slope, w * slope)
    return {
        "The derivative of tanh is `1 - h**2`: the square is missing.": back(
            no_square, w * no_square
        ),
        "The tanh is taken twice: h is already tanh(a), so its derivative is "
        "`1 - h**2`.": back(twice, w * twice),
        "The derivative of tanh, `1 - h**2`, is missing.": back(ones, w * ones),
        "The gradient goes back without its factor w.": back(slope, slope),
        "The gradient goes back through w alone: h_(t-1) stands inside the tanh, "
        "too.": back(slope, w * ones),
        "Every step starts again from `d_last`: what reaches a step has come through "
        "all the steps behind it.": back(slope, ones),
        "`d_last` is added at every step, but only the last state enters the "
        "loss.": back(slope, w * slope, added=d_last),
        "`d_x` is in the opposite order: the loop runs backwards, so fill it by its "
        "index t.": right[::-1],
    }


def accuracy_by_length(inputs, got, expected):
    predicted, target, pad = inputs
    lengths, accuracies = got
    if not close(lengths, expected[0]):
        if close(np.sort(lengths), expected[0]):
            return "`lengths` is not sorted: begin with the shortest."
        return (
            f"`lengths` begins with {lengths[0]:g}, but the shortest row of `target` "
            f"has {expected[0][0]} positions that are not padding."
        )
    same, real = predicted == target, target != pad
    length, whole = real.sum(axis=1), (same | ~real).all(axis=1)
    rows_right = {
        "This is the share of right words. A row counts as a whole: one wrong word "
        "makes it wrong.": (same & real).sum(axis=1) / length,
        "The padding counts with the words: compare only where `target` is not "
        "`pad`.": same.all(axis=1),
        "A row that stops early counts as right: choose the positions by `target`, not "
        "by `predicted`.": (same | (predicted == pad)).all(axis=1),
        "One right word makes a row right here. All of them have to be.": (
            (same & real).any(axis=1)
        ),
        "This is the accuracy over all lengths together.": 0 * length + whole.mean(),
    }
    mistakes = {
        says: np.array([right[length == n].mean() for n in expected[0]])
        for says, right in rows_right.items()
    }
    mistakes[
        "The right rows of a length are divided by the number of all rows: divide by "
        "the rows of that length."
    ] = np.array([whole[length == n].sum() for n in expected[0]]) / len(whole)
    return _named(mistakes, accuracies)


def bits_and_capacity(inputs, got, expected):
    accuracy, n_digits, d_hidden = inputs
    needed, capacity, recovered = got
    if not close(needed, expected[0]):
        return _wrong_needed(n_digits, needed, expected[0])
    if not close(capacity, expected[1]):
        n_bytes, n_bits = 4 * d_hidden, 64 * d_hidden
        mistakes = {
            "These are bytes: a float32 has 4 of them, and each has 8 bits.": n_bytes,
            "A float64 has 64 bits. Here the numbers are of type float32.": n_bits,
        }
        return _named(mistakes, capacity)
    mistakes = {
        "`recovered` is a share of the capacity. It should be bits for each number of "
        "the state: divide by `d_hidden`.": expected[2] / 32,
        "`recovered` counts the whole state: divide by `d_hidden`.": expected[2]
        * d_hidden,
        "`recovered` leaves out the accuracy: only strings that come back whole "
        "count.": expected[2] / accuracy,
    }
    return _named(mistakes, recovered)


def _wrong_needed(n_digits, needed, right):
    long = np.asarray(n_digits) > 18
    if long.any() and close(needed[~long], right[~long]):
        return (
            f"10**{np.max(n_digits)} does not fit into an integer of 64 bits, so it "
            "wraps around: the logarithm of a power is a product."
        )
    mistakes = {
        "These are natural logarithms: bits need `np.log2`.": n_digits * np.log(10),
        "Base and exponent are in each other's place: n digits make 10**n strings, "
        "not n**10.": 10 * np.log2(n_digits),
        "Four bits tell 16 digits apart, but there are 10: a digit has log2(10) = 3.32 "
        "bits, and they are not rounded up.": 4 * n_digits,
    }
    return _named(mistakes, needed)


def reverse_source(inputs, got, expected):
    (ids, pad), answer = inputs, got[0]
    real = ids != pad
    if pad != 0 and (close(answer, ids[:, ::-1]) or close(answer, real * expected[0])):
        return f"Here the padding is {pad}, not 0: find the words with `ids != pad`."
    mistakes = {
        "Nothing has changed.": ids,
        "The rows are in the opposite order: keep them, and turn the words round in "
        "each row.": ids[::-1],
        "Both axes are turned round: keep the order of the rows.": ids[::-1, ::-1],
        "The padding is now in front: turn round the words only.": ids[:, ::-1],
    }
    for n_words in map(int, np.unique(real.sum(axis=1))):
        says = f"Every row is turned round as if it had {n_words} words: count them."
        mistakes[says] = np.hstack([ids[:, :n_words][:, ::-1], ids[:, n_words:]])
    row = first((answer != expected[0]).any(axis=1))
    generic = row and f"In {row_name(row)}, the words are not in the opposite order."
    return _named(mistakes, answer) or generic
