# %% [markdown]
# # Exercises: the fixed-size bottleneck
#
# **You need** [chapter 1](../chapters/01_bottleneck.ipynb). **Time:** about 95 minutes,
# with breaks. **Level:** first steps.
#
# There are six questions. Each is one idea and one short function.
#
# - Replace the line that raises `NotImplementedError`, then run the cell and the
#   `check` below it. A check tries your function on fresh inputs and says which
#   property failed.
# - Make the prediction first, on paper. It is where most of the learning happens.
# - Three hints wait under each question. Open one, try again, then open the next.
# - "Run All" stops at the first open question. That is intended: go on from there.
#
# Loops are fine. A recurrent network is one: each state needs the state before it.

# %%
import numpy as np

from course_lib.grading import check

# %% [markdown]
# {{ question 1.1 }}


# %%
def gru_step(x, state, W_x, W_h, b_x, b_h):
    """The state after one more word.

    Args:
        x:     (..., d_x)
        state: (..., d_hidden)
        W_x:   (3 d_hidden, d_x), rows of r, then z, then the candidate
        W_h:   (3 d_hidden, d_hidden), rows as in W_x
        b_x:   (3 d_hidden,)
        b_h:   (3 d_hidden,)

    Returns:
        new state (..., d_hidden).
    """
    ### BEGIN SOLUTION
    x_r, x_z, x_n = np.split(x @ W_x.T + b_x, 3, axis=-1)
    h_r, h_z, h_n = np.split(state @ W_h.T + b_h, 3, axis=-1)
    r = 1 / (1 + np.exp(-(x_r + h_r)))
    z = 1 / (1 + np.exp(-(x_z + h_z)))
    candidate = np.tanh(x_n + r * h_n)
    return z * state + (1 - z) * candidate
    ### END SOLUTION


# %%
check("1.1", gru_step)

# %% [markdown]
# {{ question 1.2 }}


# %%
def encode(x, W_x, W_h, b_x, b_h, mask):
    """A whole sequence as one vector: the state after its last word.

    Args:
        x:    (..., n, d_x)
        W_x, W_h, b_x, b_h: as for `gru_step`
        mask: (..., n) bool, True = a word, False = padding

    Returns:
        vector (..., d_hidden).
    """
    ### BEGIN SOLUTION
    state = np.zeros((*x.shape[:-2], W_h.shape[-1]), x.dtype)
    for t in range(x.shape[-2]):
        new_state = gru_step(x[..., t, :], state, W_x, W_h, b_x, b_h)
        state = np.where(mask[..., t, None], new_state, state)
    return state
    ### END SOLUTION


# %%
check("1.2", encode)

# %% [markdown]
# {{ question 1.3 }}


# %%
def rnn_backward(d_last, x, w, u):
    """Gradients of h_t = tanh(w h_(t-1) + u x_t), from the last state back to h_0 = 0.

    Args:
        d_last: a number, the gradient with respect to h_n
        x:      (n,)
        w, u:   numbers

    Returns:
        d_w and d_u, numbers, and d_x (n,).
    """
    ### BEGIN SOLUTION
    h = np.zeros(len(x) + 1)  # h[t] is the state after t words
    for t in range(len(x)):
        h[t + 1] = np.tanh(w * h[t] + u * x[t])
    d_w, d_u, d_x, d_h = 0.0, 0.0, np.zeros(len(x)), d_last
    for t in reversed(range(len(x))):
        d_a = d_h * (1 - h[t + 1] ** 2)  # before the tanh
        d_w += d_a * h[t]
        d_u += d_a * x[t]
        d_x[t] = d_a * u
        d_h = d_a * w
    return d_w, d_u, d_x
    ### END SOLUTION


# %%
check("1.3", rnn_backward)

# %% [markdown]
# {{ question 1.4 }}


# %%
def accuracy_by_length(predicted, target, pad):
    """Which share of the sequences is right in every word, for each length.

    Args:
        predicted: (n, n_max) ids
        target:    (n, n_max) ids, `pad` behind each sequence
        pad:       the id that is no word

    Returns:
        lengths (k,), sorted and each once, and accuracies (k,), from 0 to 1.
    """
    ### BEGIN SOLUTION
    real = target != pad
    right = ((predicted == target) | ~real).all(axis=1)  # (n,)
    length = real.sum(axis=1)
    lengths = np.unique(length)
    return lengths, np.array([right[length == n].mean() for n in lengths])
    ### END SOLUTION


# %%
check("1.4", accuracy_by_length)

# %% [markdown]
# {{ question 1.5 }}


# %%
def bits_and_capacity(accuracy, n_digits, d_hidden):
    """Bits in a string, bits in a state, and bits that came back.

    Args:
        accuracy: share of strings that come back whole, a number or an array
        n_digits: how many digits a string has
        d_hidden: how many numbers of type float32 the state has

    Returns:
        needed and capacity in bits, and recovered in bits for each number of the state.
    """
    ### BEGIN SOLUTION
    needed = n_digits * np.log2(10)
    capacity = 32 * d_hidden
    return needed, capacity, accuracy * needed / d_hidden
    ### END SOLUTION


# %%
check("1.5", bits_and_capacity)

# %% [markdown]
# {{ question 1.6 }}


# %%
def reverse_source(ids, pad):
    """Each sentence from its end to its beginning; its padding stays behind it.

    Args:
        ids: (n_batch, n), `pad` behind each sentence
        pad: the id that is no word

    Returns:
        (n_batch, n).
    """
    ### BEGIN SOLUTION
    reversed_ids = np.full_like(ids, pad)
    for row, sentence in zip(reversed_ids, ids, strict=True):
        words = sentence[sentence != pad]
        row[: len(words)] = words[::-1]
    return reversed_ids
    ### END SOLUTION


# %%
check("1.6", reverse_source)

# %% [markdown]
# ## Done?
#
# Save the notebook. `attention-course grade 01_bottleneck.ipynb` runs it once more in a
# process of its own, on inputs that you have not seen, and prints your points.
