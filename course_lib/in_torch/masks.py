"""Boolean masks in PyTorch, True = may attend. Twin of `in_numpy.masks`."""

import torch

from course_lib.shapes.basic import check_array


def padding_mask(lengths, n_k):
    """Twin of `in_numpy.masks.padding_mask`; on the device of `lengths`."""
    check_array("lengths", lengths)
    return torch.arange(n_k, device=lengths.device) < lengths[..., None, None]


def causal_mask(n, device=None):
    """Twin of `in_numpy.masks.causal_mask`; on `device`."""
    position = torch.arange(n, device=device)
    return position[None, :] <= position[:, None]
