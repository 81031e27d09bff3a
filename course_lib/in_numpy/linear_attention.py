"""Linear attention: a kernel in place of exp, and the pairs are never formed.

With weights proportional to phi(q) . phi(k) the sum over the keys can be done first:
sum_j (phi(q) . phi(k_j)) v_j = phi(q) . (sum_j phi(k_j) v_j). What has been read is
d_k x d_v numbers, however long it was.
"""

import numpy as np

from course_lib.in_numpy.linear import sum_to
from course_lib.shapes.linear_attention import check_features, check_linear


def elu_features(x):
    """phi(x) = elu(x) + 1: x + 1 above zero, exp(x) below; positive everywhere.

    Katharopoulos et al. 2020, arXiv:2006.16236, section 3.2.

    Args:
        x: (...)

    Returns:
        features (...).
    """
    check_features(x)
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def elu_features_backward(d_features, x):
    """Gradient of `elu_features`: 1 above zero, exp(x) below.

    Args:
        d_features: (...)
        x:          (...), as it went in

    Returns:
        d_x (...).
    """
    return d_features * np.exp(np.minimum(x, 0))


def linear_attention(query, key, value, mask=None, causal=False):
    """Attention with weights phi(q) . phi(k) / sum, in time linear in the positions.

    Katharopoulos et al. 2020, arXiv:2006.16236, section 3.2; causal: section 3.3. It
    cannot return the weights, which are never formed; any of them is
    phi(q) . phi(k) / normaliser.

    Args:
        query:  (..., n_q, d_k)
        key:    (..., n_k, d_k)
        value:  (..., n_k, d_v)
        mask:   broadcasts to (..., 1, n_k), bool, True = may be attended to, by every
            query alike. None = all may.
        causal: query i sees the keys up to i; then n_q = n_k

    Returns:
        output (..., n_q, d_v) and normaliser (..., n_q), the sum that the weights were
        divided by. A query that may attend to nothing gets zeros, and zero.
    """
    check_linear(query, key, value, mask, causal)
    one = np.ones((*value.shape[:-1], 1), value.dtype)  # its column sums the weights
    summed = _mix(
        elu_features(query),
        _key_features(key, mask),
        np.concatenate([value, one], axis=-1),
        causal,
    )
    output, normaliser = summed[..., :-1], summed[..., -1]
    return output / np.where(normaliser > 0, normaliser, 1)[..., None], normaliser


def linear_attention_backward(
    d_output, query, key, value, output, normaliser, mask=None, causal=False
):
    """Gradients of `linear_attention`: the same mixing, with the roles exchanged.

    In s_i = sum_j (q_i . k_j) v_j each factor's gradient is again such a sum. For key
    and value it runs over the queries that see them: backwards, if causal.

    Args:
        d_output: (..., n_q, d_v)
        query, key, value, mask, causal: as they went in
        output, normaliser: as they came out

    Returns:
        d_query, d_key, d_value, each of the shape of its input.
    """
    q, k = elu_features(query), _key_features(key, mask)
    one = np.ones((*value.shape[:-1], 1), value.dtype)
    v = np.concatenate([value, one], axis=-1)
    d_one = -(d_output * output).sum(axis=-1, keepdims=True)
    divisor = np.where(normaliser > 0, normaliser, 1)[..., None]
    d_summed = np.concatenate([d_output, d_one], axis=-1) / divisor
    d_q = _mix(d_summed, v, k, causal)
    d_k = _mix_back(v, d_summed, q, causal)
    d_v = _mix_back(k, q, d_summed, causal)[..., :-1]
    if mask is not None:
        d_k = np.where(_as_column(mask), d_k, 0)
    return (
        sum_to(elu_features_backward(d_q, query), query.shape),
        sum_to(elu_features_backward(d_k, key), key.shape),
        sum_to(d_v, value.shape),
    )


def _key_features(key, mask):
    """Features of the keys, zero where nobody may attend."""
    features = elu_features(key)
    return features if mask is None else np.where(_as_column(mask), features, 0)


def _as_column(mask):
    """(..., 1, n_k) or (n_k,) as (..., n_k, 1)."""
    return np.swapaxes(np.atleast_2d(mask), -1, -2)


def _mix(query, key, value, causal):
    """sum_j (query_i . key_j) value_j over all j or, if causal, over j <= i."""
    if not causal:
        return query @ (np.swapaxes(key, -1, -2) @ value)
    read, mixed = 0, []  # read: (..., d_k, d_v), all keys and values up to t
    for t in range(key.shape[-2]):
        read = read + key[..., t, :, None] * value[..., t, None, :]
        mixed.append(query[..., t, None, :] @ read)
    return np.concatenate(mixed, axis=-2)


def _mix_back(query, key, value, causal):
    """`_mix` with the positions counted from the end: if causal, over j >= i."""
    query, key, value = (np.flip(x, axis=-2) for x in (query, key, value))
    return np.flip(_mix(query, key, value, causal), axis=-2)
