"""Linear maps and embeddings: both halves agree, with each other and with torch's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.linear import (
    embed,
    embed_backward,
    linear,
    linear_backward,
    sum_to,
    sum_to_backward,
)

D_IN, D_OUT, N_ROWS = 7, 11, 13
BATCHES = [(), (5,), (2, 3, 5), (1,), (0,), (2, 0, 3)]
# A long shape, and one that broadcasts to it.
SUMS = [
    ((2, 3, 5), (2, 3, 5)),
    ((2, 3, 5), (3, 5)),
    ((2, 3, 5), (2, 1, 5)),
    ((2, 3, 5), (1, 5)),
    ((2, 3, 5), ()),
    ((2, 3, 5), (1, 1, 1, 5)[1:]),
    ((0, 3), (1, 3)),
    ((0, 3), (3,)),
]


def inputs(seed, batch=(2, 3, 5), bias=True, dtype="float64"):
    """x, W and b, every axis of its own length."""
    rng = np.random.default_rng(seed)
    shapes = [(*batch, D_IN), (D_OUT, D_IN), (D_OUT,)]
    x, W, b = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return x, W, b if bias else None


def look_ups(seed, batch=(2, 3, 5), dtype="int64"):
    """Ids, some of them twice, and a table."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, N_ROWS, batch).astype(dtype), rng.random((N_ROWS, D_IN))


def test_linear_by_hand():
    x, W = np.array([[1.0, 2], [0, 1]]), np.array([[3.0, 5], [7, 11], [0, -1]])
    assert linear(x, W).tolist() == [[13, 29, -2], [5, 11, -1]]
    assert linear(x[0], W, np.array([1.0, 0, 2])).tolist() == [14, 29, 0]
    d_x, d_W, d_b = linear_backward(np.ones((2, 3)), x, W, np.zeros(3))
    assert d_x.tolist() == [[10, 15], [10, 15]]  # the columns of W, added up
    assert d_W.tolist() == [[1, 3]] * 3  # the rows of x, added up
    assert d_b.tolist() == [2, 2, 2]


def test_an_embedding_by_hand():
    table = np.array([[1.0, 2], [3, 4], [5, 6]])
    ids = np.array([2, 0, 2])
    assert embed(ids, table).tolist() == [[5, 6], [1, 2], [5, 6]]
    d_rows = np.array([[1.0, 10], [2, 20], [4, 40]])
    assert embed_backward(d_rows, ids, table).tolist() == [[2, 20], [0, 0], [5, 50]]


def test_sum_to_by_hand():
    x = np.array([[1.0, 2, 3], [10, 20, 30]])
    assert sum_to(x, (3,)).tolist() == [11, 22, 33]
    assert sum_to(x, (2, 1)).tolist() == [[6], [60]]
    assert sum_to(x, ()) == 66
    assert sum_to_backward(np.array([[1.0], [2]]), x, (2, 1)).tolist() == [
        [1, 1, 1],
        [2, 2, 2],
    ]


@drawn
@given(seed=SEEDS, batch=st.sampled_from(BATCHES), bias=st.booleans())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_linear_agrees_with_its_twin(seed, batch, bias, dtype):
    arrays = inputs(seed, batch, bias, dtype)
    ours, theirs = linear(*arrays), twin_of(linear)(*to_torch(*arrays))
    assert ours.dtype == dtype
    assert_all_close([ours], [theirs.numpy()], **TOLERANCE[dtype])


@drawn
@given(seed=SEEDS, batch=st.sampled_from(BATCHES), bias=st.booleans())
def test_gradients_of_linear_equal_autograd(seed, batch, bias):
    arrays = inputs(seed, batch, bias)
    d_output = np.random.default_rng(seed + 1).standard_normal((*batch, D_OUT))
    *ours, d_b = linear_backward(d_output, *arrays)
    tensors = to_torch(*arrays, requires_grad=True)
    output = twin_of(linear)(*tensors)
    theirs = autograd(output, [t for t in tensors if t is not None], d_output)
    assert (d_b is None) == (not bias)
    assert_all_close([*ours, d_b][: len(theirs)], theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("batch", [(), (2, 3)])
def test_gradients_of_linear_equal_central_differences(batch):
    arrays = inputs(3, batch)
    d_output = np.random.default_rng(4).standard_normal((*batch, D_OUT))
    differences = central_differences(linear, arrays, d_output)
    ours = linear_backward(d_output, *arrays)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


@drawn
@given(seed=SEEDS, batch=st.sampled_from(BATCHES))
def test_an_embedding_is_linear_in_one_hot_vectors(seed, batch):
    ids, table = look_ups(seed, batch)
    d_rows = np.random.default_rng(seed + 1).standard_normal((*batch, D_IN))
    one_hot = np.eye(N_ROWS)[ids]
    np.testing.assert_array_equal(embed(ids, table), linear(one_hot, table.T))
    _, d_table, _ = linear_backward(d_rows, one_hot, table.T)
    d_same = embed_backward(d_rows, ids, table)
    np.testing.assert_allclose(d_same, d_table.T, rtol=0, atol=1e-12)


@drawn
@given(seed=SEEDS, batch=st.sampled_from(BATCHES))
def test_an_embedding_agrees_with_its_twin_and_with_autograd(seed, batch):
    ids, table = look_ups(seed, batch)
    d_rows = np.random.default_rng(seed + 1).standard_normal((*batch, D_IN))
    tensors = to_torch(ids, table, requires_grad=True)
    rows = twin_of(embed)(*tensors)
    np.testing.assert_array_equal(embed(ids, table), rows.detach().numpy())
    theirs = autograd(rows, tensors[1:], d_rows)
    ours = embed_backward(d_rows, ids, table)
    assert_all_close([ours], theirs, **GRADIENT_TOLERANCE)


def test_gradients_of_an_embedding_equal_central_differences():
    ids, table = look_ups(5)
    d_rows = np.random.default_rng(6).standard_normal((2, 3, 5, D_IN))
    (difference,) = central_differences(lambda t: embed(ids, t), [table], d_rows)
    ours = embed_backward(d_rows, ids, table)
    assert_all_close([ours], [difference], **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_ids_may_be_integers_of_any_size(dtype):
    ids, table = look_ups(7, dtype=dtype)
    np.testing.assert_array_equal(
        twin_of(embed)(*to_torch(ids, table)).numpy(), embed(ids, table)
    )
    assert embed(ids, table).shape == (2, 3, 5, D_IN)


@pytest.mark.parametrize(("long", "short"), SUMS)
def test_sums_agree_with_torch_and_their_gradient_is_a_copy(long, short):
    x = np.random.default_rng(8).standard_normal(long)
    (tensor,) = to_torch(x, requires_grad=True)
    sums = twin_of(sum_to)(tensor, short)
    assert_all_close([sum_to(x, short)], [sums.detach().numpy()], rtol=0, atol=1e-14)
    d_sums = np.random.default_rng(9).standard_normal(short)
    (theirs,) = autograd(sums, [tensor], d_sums)
    np.testing.assert_array_equal(sum_to_backward(d_sums, x, short), theirs)


def test_the_gradient_of_broadcasting_is_a_sum():
    long, short = (2, 3, 5), (3, 1)
    d_output = np.random.default_rng(10).standard_normal(long)
    (difference,) = central_differences(
        lambda x: np.broadcast_to(x, long), [np.zeros(short)], d_output
    )
    assert_all_close([sum_to(d_output, short)], [difference], **GRADIENT_TOLERANCE)


def test_inputs_are_never_changed():
    arrays, (ids, table) = inputs(11), look_ups(11)
    kept = [array.copy() for array in (*arrays, ids, table)]
    linear_backward(linear(*arrays), *arrays)
    embed_backward(embed(ids, table), ids, table)
    sum_to(arrays[0], (D_IN,))
    assert_all_close((*arrays, ids, table), kept, rtol=0)
    tensors = to_torch(*arrays, ids, table)
    twin_of(linear)(*tensors[:3])
    twin_of(embed)(*tensors[3:])
    twin_of(sum_to)(tensors[0], (D_IN,))
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_every_twin_runs_on_any_device(device):
    device_or_skip(device)
    need_torch()
    tensors = to_torch(*inputs(12), *look_ups(12), device=device)
    output, rows = twin_of(linear)(*tensors[:3]), twin_of(embed)(*tensors[3:])
    sums = twin_of(sum_to)(output, (D_OUT,))
    assert {t.device.type for t in (output, rows, sums)} == {device}
    assert tuple(output.shape) == (2, 3, 5, D_OUT)
    assert tuple(rows.shape) == (2, 3, 5, D_IN)
    assert tuple(sums.shape) == (D_OUT,)
