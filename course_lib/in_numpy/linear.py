"""Linear maps and embeddings, forward and backward. NumPy, no state."""

import numpy as np

from course_lib.shapes.linear import check_ids_and_table, check_linear, check_sums


def linear(x, W, b=None):
    """W x + b for every vector x: the rows of W are what x is compared with.

    Args:
        x: (..., d_in)
        W: (d_out, d_in)
        b: (d_out,). None = nothing is added.

    Returns:
        output (..., d_out).
    """
    check_linear(x, W, b)
    output = x @ W.T
    return output if b is None else output + b


def linear_backward(d_output, x, W, b=None):
    """Gradients of `linear`; those of W and b add up over all vectors.

    Args:
        d_output: (..., d_out)
        x, W, b:  as they went in

    Returns:
        d_x, d_W, d_b, each of the shape of its input; d_b is None if b is.
    """
    batch = tuple(range(x.ndim - 1))
    d_W = np.tensordot(d_output, x, (batch, batch))  # (d_out, d_in)
    return d_output @ W, d_W, None if b is None else d_output.sum(axis=batch)


def embed(ids, table):
    """Look up one row of a table for every id: `linear` of one-hot vectors, no product.

    Args:
        ids:   (...) integers, from 0 to n_rows - 1
        table: (n_rows, d)

    Returns:
        rows (..., d).
    """
    check_ids_and_table(ids, table)
    return table[ids]


def embed_backward(d_rows, ids, table):
    """Gradient of `embed`: each row adds up what its occurrences received.

    Args:
        d_rows: (..., d)
        ids, table: as they went in

    Returns:
        d_table (n_rows, d).
    """
    d_table = np.zeros(table.shape, d_rows.dtype)
    np.add.at(d_table, ids, d_rows)
    return d_table


def sum_to(x, shape):
    """Add up what broadcasting had copied: the step back from `shape` to x's shape.

    Args:
        x:     (..., *shape) or longer where `shape` has a 1
        shape: tuple of ints that broadcasts to x's shape

    Returns:
        sums, of that shape.
    """
    check_sums(x, shape)
    added = x.ndim - len(shape)
    stretched = tuple(
        axis for axis in range(x.ndim) if axis < added or shape[axis - added] == 1
    )
    return x.sum(axis=stretched).reshape(shape)


def sum_to_backward(d_sums, x, shape):
    """Gradient of `sum_to` with respect to x: every entry gets that of its sum."""
    return np.broadcast_to(d_sums, x.shape)
