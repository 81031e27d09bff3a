"""Answers to chapter 1 as students write them: wrong ones, and other right ones.

Each cell stands alone, after `import numpy as np`. "says" is part of the message that a
wrong answer gets, and that no other wrong answer to the same question gets.
"""

import numpy as np


# %% 1.1 wrong: says "the wrong way round"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r, z = (1 / (1 + np.exp(-s)) for s in (x_r + h_r, x_z + h_z))
    return (1 - z) * state + z * np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "in each other's place"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_z, x_r, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_z, h_r, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r, z = (1 / (1 + np.exp(-s)) for s in (x_r + h_r, x_z + h_z))
    return z * state + (1 - z) * np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "before the product"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    W_r, W_z, W_n = np.split(W_h, 3)
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x + b_h, 3, axis=-1)
    r = 1 / (1 + np.exp(-(x_r + state @ W_r.T)))
    z = 1 / (1 + np.exp(-(x_z + state @ W_z.T)))
    return z * state + (1 - z) * np.tanh(x_n + (r * state) @ W_n.T)


# %% 1.1 wrong: says "leaves out the bias b_hn"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x + b_h, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T, 3, axis=-1)
    r, z = (1 / (1 + np.exp(-s)) for s in (x_r + h_r, x_z + h_z))
    return z * state + (1 - z) * np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "has no effect on the candidate"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    d = state.shape[-1]
    score = x @ W_x.T + b_x + state @ W_h.T + b_h
    z = 1 / (1 + np.exp(-score[..., d : 2 * d]))
    return z * state + (1 - z) * np.tanh(score[..., 2 * d :])


# %% 1.1 wrong: says "what comes from x is not reset"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    r, z, n = np.split(x @ W_x.T + b_x + state @ W_h.T + b_h, 3, axis=-1)
    r, z = 1 / (1 + np.exp(-r)), 1 / (1 + np.exp(-z))
    return z * state + (1 - z) * np.tanh(r * n)


# %% 1.1 wrong: says "the candidate alone"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r = 1 / (1 + np.exp(-(x_r + h_r)))
    return np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "`b_h` is missing"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T, 3, axis=-1)
    r, z = (1 / (1 + np.exp(-s)) for s in (x_r + h_r, x_z + h_z))
    return z * state + (1 - z) * np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "exp of that becomes inf"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r, z = (np.exp(s) / (1 + np.exp(s)) for s in (x_r + h_r, x_z + h_z))
    return z * state + (1 - z) * np.tanh(x_n + r * h_n)


# %% 1.1 wrong: says "stopped with ValueError"
def gru_step(x, state, W_x, W_h, b_x, b_h):
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3)
    r, z = (1 / (1 + np.exp(-s)) for s in (x_r + h_r, x_z + h_z))
    return z * state + (1 - z) * np.tanh(x_n + r * h_n)


# %% 1.1 right
def gru_step(x, state, W_x, W_h, b_x, b_h):
    d = state.shape[-1]

    def part(k):
        rows = slice(k * d, (k + 1) * d)
        return x @ W_x[rows].T + b_x[rows], state @ W_h[rows].T + b_h[rows]

    r, z = (0.5 + 0.5 * np.tanh(sum(part(k)) / 2) for k in (0, 1))
    from_x, from_state = part(2)
    candidate = np.tanh(from_x + r * from_state)
    return candidate + z * (state - candidate)


# %% 1.2 wrong: says "ran on over the padding"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
    return state


# %% 1.2 wrong: says "set to zero, but still read"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        word = np.where(mask[..., t, None], x[..., t, :], 0)
        state = gru_cell(word, state, W_x, W_h, b_x, b_h)
    return state


# %% 1.2 wrong: says "is 0 behind its last word"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        state = np.where(mask[..., t, None], state, 0)
    return state


# %% 1.2 wrong: says "True means a word"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        new_state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        state = np.where(mask[..., t, None], state, new_state)
    return state


# %% 1.2 wrong: says "0 * nan is nan"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        real = mask[..., t, None]
        new_state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        state = real * new_state + (1 - real) * state
    return state


# %% 1.2 wrong: says "the mean of the states"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    states = []
    for t in range(x.shape[-2]):
        state = gru_cell(x[..., t, :], state, W_x, W_h, b_x, b_h)
        states.append(np.where(mask[..., t, None], state, 0))
    return sum(states) / mask.sum(axis=-1)[..., None]


# %% 1.2 wrong: says "only the last word was read"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = zeros = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        new_state = gru_cell(x[..., t, :], zeros, W_x, W_h, b_x, b_h)
        state = np.where(mask[..., t, None], new_state, state)
    return state


# %% 1.2 wrong: says "stopped with"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    state = np.zeros(W_h.shape[-1], x.dtype)
    for word in x[mask]:
        state = gru_cell(word, state, W_x, W_h, b_x, b_h)
    return (
        np.stack([state[row] for row in range(len(mask))]) if mask.ndim > 1 else state
    )


# %% 1.2 wrong: says "`vector` has shape"
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    states = [np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)]
    for t in range(x.shape[-2]):
        state = gru_cell(x[..., t, :], states[-1], W_x, W_h, b_x, b_h)
        states.append(np.where(mask[..., t, None], state, states[-1]))
    return np.stack(states[1:], axis=-2)


# %% 1.2 right
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    vectors = np.zeros((*x.shape[:-2], W_h.shape[-1]))
    for row in np.ndindex(x.shape[:-2]):
        for word in x[row][mask[row]]:
            vectors[row] = gru_cell(word, vectors[row], W_x, W_h, b_x, b_h)
    return vectors


# %% 1.2 right
def encode(x, W_x, W_h, b_x, b_h, mask):
    from course_lib.in_numpy import gru_cell

    states = [np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)]
    for word in np.moveaxis(x, -2, 0):
        states.append(gru_cell(word, states[-1], W_x, W_h, b_x, b_h))
    states = np.stack(states, axis=-2)
    place = mask.sum(axis=-1)[..., None, None]
    return np.take_along_axis(states, place, axis=-2)[..., 0, :]


# %% 1.3 wrong: says "the square is missing"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t + 1])
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_u + d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "tanh is taken twice"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - np.tanh(h[t + 1]) ** 2)
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_u + d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "`1 - h**2`, is missing"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_w, d_u, d_x[t] = d_w + d_h * h[t], d_u + d_h * x[t], d_h * u
        d_h = d_h * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "without its factor w"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_h = d_h * (1 - h[t + 1] ** 2)
        d_w, d_u, d_x[t] = d_w + d_h * h[t], d_u + d_h * x[t], d_h * u
    return d_w, d_u, d_x


# %% 1.3 wrong: says "through w alone"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t + 1] ** 2)
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_u + d_a * x[t], d_a * u
        d_h = d_h * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "starts again from `d_last`"
def rnn_backward(d_last, x, w, u):
    h = np.zeros(len(x) + 1)
    for t in range(len(x)):
        h[t + 1] = np.tanh(w * h[t] + u * x[t])
    d_a = d_last * (1 - h[1:] ** 2)
    return (d_a * h[:-1]).sum(), (d_a * x).sum(), d_a * u


# %% 1.3 wrong: says "is added at every step"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), 0
    for t in range(len(x) - 1, -1, -1):
        d_a = (d_h + d_last) * (1 - h[t + 1] ** 2)
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_u + d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "the opposite order"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_u, d_x, d_h = 0, 0, [], d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t + 1] ** 2)
        d_w, d_u = d_w + d_a * h[t], d_u + d_a * x[t]
        d_x.append(d_a * u)
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "the state after each step"
def rnn_backward(d_last, x, w, u):
    h = []
    for word in x:
        h.append(np.tanh(w * (h[-1] if h else 0) + u * word))
    d_w, d_u, d_x, d_h = 0, 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t] ** 2)
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_u + d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "`d_w` comes from one step alone"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_x, d_h = np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t + 1] ** 2)
        d_w, d_u, d_x[t] = d_a * h[t], d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 wrong: says "`d_u` comes from one step alone"
def rnn_backward(d_last, x, w, u):
    h = [0.0]
    for word in x:
        h.append(np.tanh(w * h[-1] + u * word))
    d_w, d_x, d_h = 0, np.zeros(len(x)), d_last
    for t in range(len(x) - 1, -1, -1):
        d_a = d_h * (1 - h[t + 1] ** 2)
        d_w, d_u, d_x[t] = d_w + d_a * h[t], d_a * x[t], d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x


# %% 1.3 right
def rnn_backward(d_last, x, w, u):
    def last_state(x, w, u):
        h = 0
        for word in x:
            h = np.tanh(w * h + u * word)
        return h

    x, step = x.astype(complex), 1e-30  # the complex step: no difference, no rounding
    d_x = [last_state(x + 1j * step * row, w, u).imag for row in np.eye(len(x))]
    d_w = last_state(x, w + 1j * step, u).imag
    d_u = last_state(x, w, u + 1j * step).imag
    return [d_last * np.array(d) / step for d in (d_w, d_u, d_x)]


# %% 1.3 right
def rnn_backward(d_last, x, w, u):
    h, by_w, by_u, by_x = 0.0, 0.0, 0.0, np.zeros(len(x))
    for t, word in enumerate(x):
        before, h = h, np.tanh(w * h + u * word)
        slope = 1 - h**2
        by_w, by_u = slope * (before + w * by_w), slope * (word + w * by_u)
        by_x *= slope * w
        by_x[t] = slope * u
    return float(d_last * by_w), float(d_last * by_u), (d_last * by_x).tolist()


# %% 1.4 wrong: says "the share of right words"
def accuracy_by_length(predicted, target, pad):
    real = target != pad
    share = ((predicted == target) & real).sum(axis=1) / real.sum(axis=1)
    lengths = np.unique(real.sum(axis=1))
    return lengths, np.array([share[real.sum(axis=1) == n].mean() for n in lengths])


# %% 1.4 wrong: says "the padding counts with the words"
def accuracy_by_length(predicted, target, pad):
    right = (predicted == target).all(axis=1)
    length = (target != pad).sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


# %% 1.4 wrong: says "the number of all rows"
def accuracy_by_length(predicted, target, pad):
    real = target != pad
    right = ((predicted == target) | ~real).all(axis=1)
    length = real.sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([(right & (length == n)).mean() for n in lengths])


# %% 1.4 wrong: says "one right word makes a row right"
def accuracy_by_length(predicted, target, pad):
    real = target != pad
    right = ((predicted == target) & real).any(axis=1)
    length = real.sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


# %% 1.4 wrong: says "stops early counts as right"
def accuracy_by_length(predicted, target, pad):
    right = ((predicted == target) | (predicted == pad)).all(axis=1)
    length = (target != pad).sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


# %% 1.4 wrong: says "over all lengths together"
def accuracy_by_length(predicted, target, pad):
    real = target != pad
    right = ((predicted == target) | ~real).all(axis=1)
    lengths = np.unique(real.sum(axis=1))
    return lengths, np.array([right.mean() for _ in lengths])


# %% 1.4 wrong: says "is not sorted"
def accuracy_by_length(predicted, target, pad):
    rows = {}
    for p, t in zip(predicted, target, strict=True):
        n = (t != pad).sum()
        rows.setdefault(n, []).append((p[:n] == t[:n]).all())
    return list(rows), [np.mean(right) for right in rows.values()]


# %% 1.4 wrong: says "`lengths` begins with"
def accuracy_by_length(predicted, target, pad):
    real = target != pad
    right = ((predicted == target) | ~real).all(axis=1)
    length = real.sum(axis=1) - 1  # the end mark is no word
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


# %% 1.4 wrong: says "`lengths` has shape"
def accuracy_by_length(predicted, target, pad):
    real = target != 0
    right = ((predicted == target) | ~real).all(axis=1)
    length = real.sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])


# %% 1.4 right
def accuracy_by_length(predicted, target, pad):
    rows = {}
    for p, t in zip(predicted.tolist(), target.tolist(), strict=True):
        n = len([word for word in t if word != pad])
        rows.setdefault(n, []).append(p[:n] == t[:n])
    lengths = sorted(rows)
    return lengths, [sum(rows[n]) / len(rows[n]) for n in lengths]


# %% 1.4 right
def accuracy_by_length(predicted, target, pad):
    length = (target != pad).sum(1)
    errors = ((predicted != target) & (target != pad)).sum(1)
    lengths, place, n_rows = np.unique(length, return_inverse=True, return_counts=True)
    return lengths, np.bincount(place, weights=errors == 0) / n_rows


# %% 1.5 wrong: says "natural logarithms"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = n_digits * np.log(10)
    return needed, 32 * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "not n**10"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = np.log2(n_digits**10)
    return needed, 32 * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "not rounded up"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = n_digits * np.ceil(np.log2(10))
    return needed, 32 * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "wraps around"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = np.log2(10**n_digits)
    return needed, 32 * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "these are bytes"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = n_digits * np.log2(10)
    return needed, np.float32(0).nbytes * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "of type float32"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = n_digits * np.log2(10)
    return needed, 64 * d_hidden, accuracy * needed / d_hidden


# %% 1.5 wrong: says "a share of the capacity"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed, capacity = n_digits * np.log2(10), 32 * d_hidden
    return needed, capacity, accuracy * needed / capacity


# %% 1.5 wrong: says "counts the whole state"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed, capacity = n_digits * np.log2(10), 32 * d_hidden
    return needed, capacity, accuracy * needed + 0 * d_hidden


# %% 1.5 wrong: says "leaves out the accuracy"
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed, capacity = n_digits * np.log2(10), 32 * d_hidden
    return needed, capacity, needed / d_hidden + 0 * accuracy


# %% 1.5 right
def bits_and_capacity(accuracy, n_digits, d_hidden):
    needed = np.log2(10.0**n_digits)
    return needed, np.finfo(np.float32).bits * d_hidden, accuracy / d_hidden * needed


# %% 1.6 wrong: says "the padding is now in front"
def reverse_source(ids, pad):
    return ids[:, ::-1]


# %% 1.6 wrong: says "the rows are in the opposite order"
def reverse_source(ids, pad):
    return ids[::-1]


# %% 1.6 wrong: says "both axes are turned round"
def reverse_source(ids, pad):
    return np.flip(ids)


# %% 1.6 wrong: says "nothing has changed"
def reverse_source(ids, pad):
    answer = ids.copy()
    for row in answer:
        row = row[row != pad][::-1]
    return answer


# %% 1.6 wrong: says "as if it had"
def reverse_source(ids, pad):
    n_words = (ids[0] != pad).sum()
    return np.hstack([ids[:, :n_words][:, ::-1], ids[:, n_words:]])


# %% 1.6 wrong: says "find the words with `ids != pad`"
def reverse_source(ids, pad):
    answer = np.zeros_like(ids)
    for row, sentence in zip(answer, ids, strict=True):
        words = sentence[sentence != 0]
        row[: len(words)] = words[::-1]
    return answer


# %% 1.6 wrong: says "overwrites its input `ids`"
def reverse_source(ids, pad):
    for row in ids:
        n_words = (row != pad).sum()
        row[:n_words] = row[:n_words][::-1].copy()
    return ids


# %% 1.6 wrong: says "`reversed_ids` has shape"
def reverse_source(ids, pad):
    return [[word for word in row if word != pad][::-1] for row in ids]


# %% 1.6 wrong: says "are not in the opposite order"
def reverse_source(ids, pad):
    answer = ids.copy()
    for row, sentence in zip(answer, ids, strict=True):
        n_words = (sentence != pad).sum()
        row[: n_words - 1] = sentence[: n_words - 1][::-1]
    return answer


# %% 1.6 right
def reverse_source(ids, pad):
    rows = []
    for row in ids.tolist():
        words = [word for word in row if word != pad]
        rows.append(words[::-1] + [pad] * (len(row) - len(words)))
    return rows


# %% 1.6 right
def reverse_source(ids, pad):
    n_words = (ids != pad).sum(axis=1, keepdims=True)
    place = (n_words - 1 - np.arange(ids.shape[1])) % ids.shape[1]
    return np.take_along_axis(ids, place, axis=1)
