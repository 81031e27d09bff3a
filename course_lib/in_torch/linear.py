"""Linear maps and embeddings in PyTorch, on any device. Twin of `in_numpy.linear`."""

from torch.nn import functional as F

from course_lib.shapes.linear import check_ids_and_table, check_linear, check_sums


def linear(x, W, b=None):
    """Twin of `in_numpy.linear.linear`; shapes as there."""
    check_linear(x, W, b)
    return F.linear(x, W, b)


def embed(ids, table):
    """Twin of `in_numpy.linear.embed`; shapes as there."""
    check_ids_and_table(ids, table)
    return F.embedding(ids.long(), table)


def sum_to(x, shape):
    """Twin of `in_numpy.linear.sum_to`; shapes as there."""
    check_sums(x, shape)
    return x.sum_to_size(shape)
