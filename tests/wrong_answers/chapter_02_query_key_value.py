"""Answers to chapter 2 as students write them: wrong ones, and other right ones.

Each cell stands alone, after `import numpy as np`. "says" is part of the message that a
wrong answer gets, and that no other wrong answer to the same question gets.
"""

import numpy as np


# %% 2.1 wrong: says "overflows to inf"
def softmax(scores):
    exp = np.exp(scores)
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.1 wrong: says "but column 0 sums to 1"
def softmax(scores):
    exp = np.exp(scores - scores.max())
    return exp / exp.sum(axis=0)


# %% 2.1 wrong: says "all the weights together sum to 1"
def softmax(scores):
    exp = np.exp(scores - np.max(scores))
    return exp / np.sum(exp)


# %% 2.1 wrong: says "underflows to 0"
def softmax(scores):
    exp = np.exp(scores - scores.max())
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.1 wrong: says "a weight is -"
def softmax(scores):
    return scores / np.abs(scores).sum(axis=-1, keepdims=True)


# %% 2.1 wrong: says "should have the ratio"
def softmax(scores):
    power = 2 ** (scores - scores.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


# %% 2.1 wrong: says "overwrites its input `scores`"
def softmax(scores):
    scores -= scores.max(axis=-1, keepdims=True)
    exp = np.exp(scores)
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.1 wrong: says "is the return line missing"
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    exp / exp.sum(axis=-1, keepdims=True)


# %% 2.1 right
def softmax(scores):
    top = scores.max(axis=-1, keepdims=True)
    log_total = top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True))
    return np.exp(scores - log_total)


# %% 2.1 right
def softmax(scores):
    if scores.ndim > 1:
        return [softmax(row) for row in scores]
    exp = [float(np.exp(s - max(scores))) for s in scores]
    return [e / sum(exp) for e in exp]


# %% 2.2 wrong: says "divided by sqrt(d_k)"
def soft_lookup(query, key, value):
    scores = key @ query / np.sqrt(len(query))
    exp = np.exp(scores - scores.max())
    weights = exp / exp.sum()
    return weights @ value, weights


# %% 2.2 wrong: says "one key takes all"
def soft_lookup(query, key, value):
    best = np.argmax(key @ query)
    weights = np.zeros(len(key))
    weights[best] = 1
    return value[best], weights


# %% 2.2 wrong: says "instead of 1: divide by the sum"
def soft_lookup(query, key, value):
    scores = key @ query
    weights = np.exp(scores - scores.max())
    return weights @ value, weights


# %% 2.2 wrong: says "the weights are right, but the output"
def soft_lookup(query, key, value):
    scores = key @ query
    exp = np.exp(scores - scores.max())
    weights = exp / exp.sum()
    return (weights[:, None] * value).mean(axis=0), weights


# %% 2.2 wrong: says "return `output`, `weights`"
def soft_lookup(query, key, value):
    scores = key @ query
    exp = np.exp(scores - scores.max())
    weights = exp / exp.sum()
    return weights, weights @ value


# %% 2.2 wrong: says "it returned one ndarray"
def soft_lookup(query, key, value):
    scores = key @ query
    exp = np.exp(scores - scores.max())
    return exp / exp.sum() @ value


# %% 2.2 wrong: says "overflows to inf"
def soft_lookup(query, key, value):
    exp = np.exp(key @ query)
    weights = exp / exp.sum()
    return weights @ value, weights


# %% 2.2 wrong: says "stopped with ValueError"
def soft_lookup(query, key, value):
    scores = query @ key
    exp = np.exp(scores - scores.max())
    weights = exp / exp.sum()
    return weights @ value, weights


# %% 2.2 right
def soft_lookup(query, key, value):
    scores = np.array([sum(query * row) for row in key])
    exp = np.exp(scores - scores.max())
    output = np.zeros(value.shape[1])
    for i in range(len(value)):
        output += exp[i] / exp.sum() * value[i]
    return [output, (exp / exp.sum()).tolist()]


# %% 2.3 wrong: says "multiplied with the temperature"
def softmax_at(scores, temperature):
    best = scores == scores.max(axis=-1, keepdims=True)
    if temperature == 0:
        return best / best.sum(axis=-1, keepdims=True)
    scores = scores * temperature
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.3 wrong: says "divide the scores instead"
def softmax_at(scores, temperature):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True) / temperature


# %% 2.3 wrong: says "largest scores of row 0 tie"
def softmax_at(scores, temperature):
    if temperature == 0:
        return np.eye(scores.shape[-1])[scores.argmax(axis=-1)]
    shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


# %% 2.3 wrong: says "temperature 0 gives nan"
def softmax_at(scores, temperature):
    shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


# %% 2.3 wrong: says "however narrowly it wins"
def softmax_at(scores, temperature):
    temperature = max(temperature, 1e-5)
    shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


# %% 2.3 wrong: says "exp overflows at temperature"
def softmax_at(scores, temperature):
    best = scores == scores.max(axis=-1, keepdims=True)
    if temperature == 0:
        return best / best.sum(axis=-1, keepdims=True)
    exp = np.exp(scores / temperature)
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.3 wrong: says "all weights equal"
def softmax_at(scores, temperature):
    best = scores == scores.max(axis=-1, keepdims=True)
    if temperature in (0, np.inf):
        return best / best.sum(axis=-1, keepdims=True)
    shifted = (scores - scores.max(axis=-1, keepdims=True)) / temperature
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


# %% 2.3 right
def softmax_at(scores, temperature):
    gap = scores - scores.max(axis=-1, keepdims=True)
    if temperature == 0:
        power = (gap == 0).astype(float)
    elif np.isinf(temperature):
        power = np.ones_like(scores)
    else:
        power = np.exp(gap / temperature)
    return power / power.sum(axis=-1)[..., None]


# %% 2.4 wrong: says "e^0 is 1"
def masked_softmax(scores, mask):
    scores = scores * mask
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.4 wrong: says "may attend to nothing, yet"
def masked_softmax(scores, mask):
    scores = np.where(mask, scores, -1e9)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.4 wrong: says "below any finite stand-in"
def masked_softmax(scores, mask):
    scores = np.where(mask, scores, -1e9)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return mask * exp / exp.sum(axis=-1, keepdims=True)


# %% 2.4 wrong: says "-inf - (-inf) is nan"
def masked_softmax(scores, mask):
    scores = np.where(mask, scores, -np.inf)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


# %% 2.4 wrong: says "took the rest before they were zeroed"
def masked_softmax(scores, mask):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.where(mask, exp / exp.sum(axis=-1, keepdims=True), 0)


# %% 2.4 wrong: says "the wrong way round"
def masked_softmax(scores, mask):
    scores = np.where(mask, -np.inf, scores)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.nan_to_num(exp / exp.sum(axis=-1, keepdims=True))


# %% 2.4 wrong: says "and it takes part"
def masked_softmax(scores, mask):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    return np.where(mask.any(axis=-1, keepdims=True), exp / exp.sum(-1)[..., None], 0)


# %% 2.4 wrong: says "do not multiply or add"
def masked_softmax(scores, mask):
    some = mask.any(axis=-1, keepdims=True)
    scores = scores + np.where(mask | ~some, 0, -np.inf)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return mask * exp / exp.sum(axis=-1, keepdims=True)


# %% 2.4 right
def masked_softmax(scores, mask):
    weights = np.zeros_like(scores)
    for row in np.ndindex(scores.shape[:-1]):
        allowed = scores[row][mask[row]]
        if len(allowed):
            exp = np.exp(allowed - allowed.max())
            weights[row][mask[row]] = exp / exp.sum()
    return weights


# %% 2.4 right
def masked_softmax(scores, mask):
    top = np.where(mask, scores, -np.inf).max(axis=-1, keepdims=True)
    exp = np.exp(np.where(mask, scores - top, -np.inf))
    total = exp.sum(axis=-1, keepdims=True)
    return np.divide(exp, total, out=np.zeros_like(exp), where=total > 0)


# %% 2.5 wrong: says "`d_query` is"
def attention_backward(d_output, query, key, value):
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average)
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "`d_key` is"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average)
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key / scale, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "misses its sum"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_scores = weights * (d_output @ np.swapaxes(value, -1, -2)) / scale
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "uses only the diagonal"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    d_scores = weights * (1 - weights) * d_weights / scale
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "check the forward pass"
def attention_backward(d_output, query, key, value):
    scores = query @ np.swapaxes(key, -1, -2)
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average)
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "the shapes fit in another order"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average) / scale
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return np.swapaxes(weights, -1, -2) @ d_output, d_key, d_scores @ key


# %% 2.5 wrong: says "stopped with ValueError"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ key.T / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ value.T
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average) / scale
    return d_scores @ key, d_scores.T @ query, weights.T @ d_output


# %% 2.5 wrong: says "overflows to inf"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    exp = np.exp(query @ np.swapaxes(key, -1, -2) / scale)
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average) / scale
    d_key = np.swapaxes(d_scores, -1, -2) @ query
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 wrong: says "`d_key` has shape"
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = query @ np.swapaxes(key, -1, -2) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_weights = d_output @ np.swapaxes(value, -1, -2)
    average = (weights * d_weights).sum(axis=-1, keepdims=True)
    d_scores = weights * (d_weights - average) / scale
    d_key = np.swapaxes(np.swapaxes(d_scores, -1, -2) @ query, -1, -2)
    return d_scores @ key, d_key, np.swapaxes(weights, -1, -2) @ d_output


# %% 2.5 right
def attention_backward(d_output, query, key, value):
    scale = np.sqrt(query.shape[-1])
    scores = np.einsum("...qd,...kd->...qk", query, key) / scale
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = exp / exp.sum(axis=-1, keepdims=True)
    d_value = np.einsum("...qk,...qv->...kv", weights, d_output)
    # rowsum(W * dW) is also rowsum(O * dO)
    average = (weights @ value * d_output).sum(axis=-1, keepdims=True)
    d_scores = weights * (np.einsum("...qv,...kv->...qk", d_output, value) - average)
    d_query = np.einsum("...qk,...kd->...qd", d_scores, key) / scale
    return [d_query, np.einsum("...qk,...qd->...kd", d_scores, query) / scale, d_value]


# %% 2.5 right
def attention_backward(d_output, query, key, value):
    if query.ndim > 2:
        arrays = (d_output, query, key, value)
        parts = [attention_backward(*(a[i] for a in arrays)) for i in range(len(query))]
        return tuple(np.stack([part[j] for part in parts]) for j in range(3))
    scale = np.sqrt(query.shape[1])
    d_query, d_key, d_value = (np.zeros(a.shape) for a in (query, key, value))
    for i in range(len(query)):
        scores = key @ query[i] / scale
        exp = np.exp(scores - scores.max())
        weights = exp / exp.sum()
        d_value += np.outer(weights, d_output[i])
        jacobian = np.diag(weights) - np.outer(weights, weights)
        d_scores = jacobian @ (value @ d_output[i]) / scale
        d_query[i] = d_scores @ key
        d_key += np.outer(d_scores, query[i])
    return d_query, d_key, d_value


# %% 2.6 wrong: says "one more equation"
def weights_for(target, value):
    weights = np.linalg.lstsq(value.T, target, rcond=None)[0]
    return weights, (weights >= 0).all()


# %% 2.6 wrong: says "neither clip nor normalise"
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    weights = np.linalg.solve(equations, np.append(target, 1))
    reachable = (weights >= 0).all()
    weights = np.maximum(weights, 0)
    return weights / weights.sum(), reachable


# %% 2.6 wrong: says "`reachable` should be False"
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    weights = np.linalg.solve(equations, np.append(target, 1))
    return weights, np.allclose(weights @ value, target)


# %% 2.6 wrong: says "`reachable` should be True"
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    weights = np.linalg.solve(equations, np.append(target, 1))
    return weights, weights.max() < 0


# %% 2.6 wrong: says "but the target is"
def weights_for(target, value):
    weights = 1 / np.linalg.norm(value - target, axis=1)
    inside = (value.min(axis=0) <= target) & (target <= value.max(axis=0))
    return weights / weights.sum(), inside.all()


# %% 2.6 wrong: says "it returned one ndarray"
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    return np.linalg.solve(equations, np.append(target, 1))


# %% 2.6 wrong: says "`weights` has shape"
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    weights = np.linalg.solve(equations, np.append(target, 1)[:, None])
    return weights, (weights >= 0).all()


# %% 2.6 right
def weights_for(target, value):
    edges = (value[1:] - value[0]).T
    rest = np.linalg.inv(edges) @ (target - value[0])
    weights = [1 - rest.sum(), *rest]
    return weights, float(min(weights) >= 0)
