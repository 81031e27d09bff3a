# %% [markdown]
# # Exercises: query, key, value
#
# **You need** [chapter 2](../chapters/02_query_key_value.ipynb). **Time:** about 100
# minutes, with breaks. **Level:** first steps.
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
# Loops are fine. A loop that works comes first, a line of NumPy comes later.

# %%
import numpy as np

from course_lib.grading import check

# %% [markdown]
# {{ question 2.1 }}


# %%
def softmax(scores):
    """Positive weights that sum to 1 over the last axis.

    Args:
        scores: (..., n) array

    Returns:
        weights (..., n).
    """
    ### BEGIN SOLUTION
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %%
check("2.1", softmax)

# %% [markdown]
# {{ question 2.2 }}


# %%
def soft_lookup(query, key, value):
    """One soft lookup: compare, normalise, average.

    Args:
        query: (d_k,)
        key:   (n_k, d_k)
        value: (n_k, d_v)

    Returns:
        output (d_v,) and weights (n_k,).
    """
    ### BEGIN SOLUTION
    weights = softmax(key @ query)
    return weights @ value, weights
    ### END SOLUTION


# %%
check("2.2", soft_lookup)

# %% [markdown]
# {{ question 2.3 }}


# %%
def softmax_at(scores, temperature):
    """Softmax of scores / temperature, and its limits at 0 and at infinity.

    Args:
        scores: (..., n)
        temperature: a number >= 0; 0 and np.inf are the limits

    Returns:
        weights (..., n).
    """
    ### BEGIN SOLUTION
    if temperature == 0:
        best = scores == scores.max(axis=-1, keepdims=True)
        return best / best.sum(axis=-1, keepdims=True)
    return softmax((scores - scores.max(axis=-1, keepdims=True)) / temperature)
    ### END SOLUTION


# %%
check("2.3", softmax_at)

# %% [markdown]
# {{ question 2.4 }}


# %%
def masked_softmax(scores, mask):
    """Softmax over the allowed positions; zeros where nothing is allowed.

    Args:
        scores: (..., n)
        mask:   (..., n) bool, True = may attend

    Returns:
        weights (..., n).
    """
    ### BEGIN SOLUTION
    some = mask.any(axis=-1, keepdims=True)
    allowed = np.where(mask, scores, -np.inf)
    return np.where(mask, softmax(np.where(some, allowed, 0)), 0)
    ### END SOLUTION


# %%
check("2.4", masked_softmax)

# %% [markdown]
# {{ question 2.5 }}


# %%
def attention_backward(d_output, query, key, value):
    """Gradients of softmax(Q K^T / sqrt(d_k)) V.

    Args:
        d_output: (..., n_q, d_v)
        query:    (..., n_q, d_k)
        key:      (..., n_k, d_k)
        value:    (..., n_k, d_v)

    Returns:
        d_query, d_key, d_value, each of the shape of its input.
    """
    ### BEGIN SOLUTION
    scale = np.sqrt(query.shape[-1])
    weights = softmax(query @ np.swapaxes(key, -1, -2) / scale)
    d_value = np.swapaxes(weights, -1, -2) @ d_output
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average) / scale
    return d_scores @ key, np.swapaxes(d_scores, -1, -2) @ query, d_value
    ### END SOLUTION


# %%
check("2.5", attention_backward)

# %% [markdown]
# {{ question 2.6 }}


# %%
def weights_for(target, value):
    """Which weights give this output, and can attention produce them?

    Args:
        target: (d_v,)
        value:  (d_v + 1, d_v), points in general position

    Returns:
        weights (d_v + 1,), summing to 1, with weights @ value equal to target, and
        whether the target lies in the convex hull of the values.
    """
    ### BEGIN SOLUTION
    equations = np.vstack([value.T, np.ones(len(value))])  # (d_v + 1, d_v + 1)
    weights = np.linalg.solve(equations, np.append(target, 1))
    return weights, bool((weights >= 0).all())
    ### END SOLUTION


# %%
check("2.6", weights_for)

# %% [markdown]
# ## Done?
#
# Save the notebook. `attention-course grade 02_query_key_value.ipynb` runs it once more
# in a process of its own, on inputs that you have not seen, and prints your points.
