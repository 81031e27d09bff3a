"""Scores of queries against keys in PyTorch. Twin of `in_numpy.scores`."""

import math

import torch

from course_lib.in_torch.linear import linear
from course_lib.shapes.attention import check_query_and_key
from course_lib.shapes.basic import check_positive
from course_lib.shapes.scores import (
    check_additive,
    check_concat,
    check_general,
    check_location,
)


def dot_scores(query, key):
    """Twin of `in_numpy.scores.dot_scores`; shapes as there."""
    check_query_and_key(query, key)
    return query @ key.transpose(-1, -2)


def scaled_dot_scores(query, key, temperature=1.0):
    """Twin of `in_numpy.scores.scaled_dot_scores`; shapes as there."""
    check_positive("temperature", temperature)
    return dot_scores(query, key) / (float(temperature) * math.sqrt(query.shape[-1]))


def general_scores(query, key, W):
    """Twin of `in_numpy.scores.general_scores`; shapes as there."""
    check_general(query, key, W)
    return dot_scores(query @ W, key)


def concat_scores(query, key, W, v):
    """Twin of `in_numpy.scores.concat_scores`; shapes as there."""
    check_concat(query, key, W, v)
    d_q = query.shape[-1]
    return additive_scores(query, key, W[:, :d_q], W[:, d_q:], v)


def additive_scores(query, key, W_q, W_k, v):
    """Twin of `in_numpy.scores.additive_scores`; shapes as there."""
    check_additive(query, key, W_q, W_k, v)
    projected_query = linear(query, W_q)[..., :, None, :]  # (..., n_q, 1, d_hidden)
    projected_key = linear(key, W_k)[..., None, :, :]  # (..., 1, n_k, d_hidden)
    return torch.tanh(projected_query + projected_key) @ v


def location_scores(query, W, n_k):
    """Twin of `in_numpy.scores.location_scores`; shapes as there."""
    check_location(query, W, n_k)
    return linear(query, W[:n_k])
