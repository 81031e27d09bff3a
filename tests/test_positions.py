"""Positions: the formulas of the papers, by hand, and what follows from them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    assert_refused,
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.positions import (
    alibi_bias,
    alibi_slopes,
    learned_positions,
    learned_positions_backward,
    rotary_angles,
    rotate,
    rotate_backward,
    sinusoidal_positions,
)

N, D = 5, 14  # 14 = 7 pairs
GENERATORS = {  # each makes float64 here, and has dtype and device in PyTorch
    sinusoidal_positions: (N, D, 3, 500.0),
    rotary_angles: (N, D, 3, 500.0),
    alibi_slopes: (7,),
    alibi_bias: (7, 3, N),
}


def rotary_inputs(seed=0, batch=(2, 3), scale=1.0):
    """Something to turn, and angles that stand in no order."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, (*batch, N, D)), rng.normal(0, 3, (N, D // 2))


# By hand ------------------------------------------------------------------------------


def test_sinusoidal_positions_by_hand():
    # d_model = 4: the angles of position 3 are 3 / 100^(0/4) = 3 and 3 / 100^(2/4) = .3
    positions = sinusoidal_positions(2, 4, start=2, base=100.0)
    by_hand = [math.sin(3), math.cos(3), math.sin(0.3), math.cos(0.3)]
    assert positions[1] == pytest.approx(by_hand, abs=1e-15)
    assert positions[1] == pytest.approx([0.1411, -0.9900, 0.2955, 0.9553], abs=1e-4)


def test_rotary_angles_by_hand():
    angles = rotary_angles(2, 4, start=2, base=100.0)
    assert angles == pytest.approx(np.array([[2, 0.2], [3, 0.3]]), abs=1e-15)


def test_the_paper_takes_10000_as_base():
    assert rotary_angles(2, 4)[1] == pytest.approx([1, 0.01], abs=1e-15)
    assert sinusoidal_positions(2, 4)[1, 2] == pytest.approx(math.sin(0.01), abs=1e-15)


def test_a_quarter_turn_by_hand():
    # (3, 4) turned by 90 degrees is (-4, 3); the second pair turns by 30 degrees.
    x = np.array([[3.0, 4.0, 2.0, 0.0]])
    angles = np.array([[math.pi / 2, math.pi / 6]])
    by_hand = [-4, 3, math.sqrt(3), 1]
    assert rotate(x, angles)[0] == pytest.approx(by_hand, abs=1e-15)
    assert rotate_backward(rotate(x, angles), angles)[0] == pytest.approx(x[0])


def test_learned_positions_by_hand():
    table = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_array_equal(learned_positions(table, 2, start=1), table[1:])
    d_table = learned_positions_backward(np.ones((2, 2)), table, 2, start=1)
    np.testing.assert_array_equal(d_table, [[0, 0], [1, 1], [1, 1]])


def test_alibi_slopes_of_8_heads_are_those_of_the_paper():
    halves = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    np.testing.assert_array_equal(alibi_slopes(8), halves)


@pytest.mark.parametrize("n_heads", [1, 3, 12, 16])
def test_alibi_slopes_are_a_geometric_sequence_for_any_number_of_heads(n_heads):
    slopes = alibi_slopes(n_heads)
    ratio = 2 ** (-8 / n_heads)
    assert slopes[0] == pytest.approx(ratio, rel=1e-15)
    assert slopes[-1] == 1 / 256
    np.testing.assert_allclose(slopes[1:] / slopes[:-1], ratio, rtol=1e-14)


def test_alibi_bias_by_hand():
    # 2 heads: slopes 1/16 and 1/256. The two queries stand at positions 1 and 2 of 3.
    distance = np.array([[1, 0, 1], [2, 1, 0]])
    np.testing.assert_array_equal(alibi_bias(2, 2, 3)[0], -distance / 16)
    np.testing.assert_array_equal(alibi_bias(2, 2, 3)[1], -distance / 256)


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(
    n=st.integers(0, 7),
    pairs=st.integers(1, 6),
    start=st.integers(0, 1000),
    base=st.floats(2, 1e6),
)
@pytest.mark.parametrize("function", [sinusoidal_positions, rotary_angles])
def test_twins_of_the_angles_agree(function, n, pairs, start, base):
    torch = need_torch()
    ours = function(n, 2 * pairs, start, base)
    arguments = n, 2 * pairs, start, base
    theirs = twin_of(function)(*arguments, dtype=torch.float64)
    assert_all_close([theirs.numpy()], [ours], **TOLERANCE["float64"])
    # float32 knows position 1000 to 6e-5, and its angle no better
    theirs = twin_of(function)(*arguments)
    assert theirs.dtype == torch.float32
    assert_all_close([theirs.numpy()], [ours], rtol=0, atol=1e-3)


@pytest.mark.parametrize("n_heads", [1, 7, 8])
@pytest.mark.parametrize("n_k", [None, N, 11])
def test_twins_of_alibi_agree(n_heads, n_k):
    torch = need_torch()
    for function, arguments in [
        (alibi_slopes, (n_heads,)),
        (alibi_bias, (n_heads, N, n_k)),
    ]:
        ours, twin = function(*arguments), twin_of(function)
        theirs = twin(*arguments, dtype=torch.float64).numpy()
        assert_all_close([theirs], [ours], **TOLERANCE["float64"])
        assert_all_close([twin(*arguments).numpy()], [ours], **TOLERANCE["float32"])


@drawn
@given(
    seed=SEEDS,
    batch=st.sampled_from([(), (2,), (2, 3)]),
    scale=st.floats(0.01, 10),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_of_rotate_agree_and_keep_the_type_of_x(seed, batch, scale, dtype):
    x, angles = rotary_inputs(seed, batch, scale)
    x = x.astype(dtype)
    ours = rotate(x, angles)
    theirs = twin_of(rotate)(*to_torch(x, angles)).numpy()
    assert ours.dtype.name == theirs.dtype.name == dtype
    assert_all_close([theirs], [ours], **TOLERANCE[dtype])


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_gradients_of_rotate_equal_autograd_and_central_differences(batch):
    x, angles = rotary_inputs(1, batch)
    d_turned = np.random.default_rng(2).standard_normal(x.shape)
    ours = [rotate_backward(d_turned, angles)]
    tensor = to_torch(x, requires_grad=True)
    theirs = autograd(twin_of(rotate)(*tensor, *to_torch(angles)), tensor, d_turned)
    assert_all_close(ours, theirs, **GRADIENT_TOLERANCE)
    differences = central_differences(lambda x: rotate(x, angles), [x], d_turned)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(("n", "start"), [(3, 0), (3, 2), (5, 0), (0, 5)])
def test_gradients_of_learned_positions_equal_autograd_and_differences(n, start):
    rng = np.random.default_rng(3)
    table, d_positions = rng.standard_normal((5, 7)), rng.standard_normal((n, 7))
    ours = [learned_positions_backward(d_positions, table, n, start)]
    tensor = to_torch(table, requires_grad=True)
    theirs = twin_of(learned_positions)(*tensor, n, start)
    expected = learned_positions(table, n, start)
    np.testing.assert_array_equal(theirs.detach().numpy(), expected)
    assert_all_close(ours, autograd(theirs, tensor, d_positions), **GRADIENT_TOLERANCE)
    differences = central_differences(
        lambda table: learned_positions(table, n, start), [table], d_positions
    )
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [sinusoidal_positions, rotary_angles])
def test_positions_that_start_later_are_the_later_rows(function):
    np.testing.assert_array_equal(function(3, D, start=4), function(7, D)[4:])


def test_the_bias_of_the_last_queries_is_the_last_rows():
    np.testing.assert_array_equal(alibi_bias(3, 2, 7), alibi_bias(3, 7)[:, -2:])


def test_two_sinusoidal_positions_have_a_dot_product_of_their_distance_alone():
    positions = sinusoidal_positions(11, D)
    products = positions @ positions.T
    for distance in range(11):
        np.testing.assert_allclose(np.diag(products, distance), products[0, distance])


def test_rotation_keeps_norms():
    x, angles = rotary_inputs(4)
    norms = np.linalg.norm(x, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(rotate(x, angles), axis=-1), norms)


def test_position_0_is_not_turned():
    x, _ = rotary_inputs(5)
    turned = rotate(x, rotary_angles(N, D))
    np.testing.assert_array_equal(turned[..., 0, :], x[..., 0, :])
    assert not np.isclose(turned[..., 1:, :], x[..., 1:, :]).any()


@drawn
@given(seed=SEEDS, shift=st.integers(0, 1000))
def test_scores_of_turned_queries_and_keys_depend_on_the_distance_only(seed, shift):
    query, key = np.random.default_rng(seed).standard_normal((2, N, D))

    def scores(start):
        angles = rotary_angles(N, D, start, base=100.0)
        return rotate(query, angles) @ rotate(key, angles).T

    np.testing.assert_allclose(scores(shift), scores(0), rtol=0, atol=1e-10)
    plain = query @ key.T
    assert np.diag(scores(shift)) == pytest.approx(np.diag(plain), abs=1e-12)
    assert not np.allclose(scores(shift), plain)


def test_rotary_is_that_of_llama_once_the_pairs_are_put_in_its_order():
    torch = need_torch()
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    rng = np.random.default_rng(6)
    query, key = rng.standard_normal((2, 2, 3, N, D))  # two, of (2, 3, N, D)
    angles = rotary_angles(N, D, start=7)
    halves = np.concatenate([np.arange(0, D, 2), np.arange(1, D, 2)])
    both = to_torch(np.concatenate([angles, angles], axis=-1)[None])[0]
    theirs = llama.apply_rotary_pos_emb(
        *to_torch(query[..., halves], key[..., halves]), both.cos(), both.sin()
    )
    ours = [rotate(x, angles)[..., halves] for x in (query, key)]
    assert_all_close([t.numpy() for t in theirs], ours, rtol=0, atol=1e-14)
    config = llama.LlamaConfig(
        hidden_size=3 * D,
        num_attention_heads=3,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
    )
    rope = llama.LlamaRotaryEmbedding(config)
    cos, _ = rope(torch.zeros(1), torch.arange(7, 7 + N)[None])
    ours = np.cos(rotary_angles(N, D, start=7, base=500.0))
    assert_all_close([cos[0, :, : D // 2].numpy()], [ours], rtol=0, atol=1e-5)


def test_positions_in_bfloat16_are_exact_ones_rounded():
    torch = need_torch()  # counted in bfloat16, positions 256 and 257 would be the same
    start = 100_000
    for function in (sinusoidal_positions, rotary_angles):
        twin = twin_of(function)
        half = twin(3, D, start, dtype=torch.bfloat16)
        assert half.dtype == torch.bfloat16
        assert half.equal(twin(3, D, start).to(torch.bfloat16))
    half = twin_of(alibi_bias)(3, 2, 300, dtype=torch.bfloat16)
    assert half.equal(twin_of(alibi_bias)(3, 2, 300).to(torch.bfloat16))
    assert twin_of(alibi_slopes)(3, dtype=torch.bfloat16).dtype == torch.bfloat16
    x = torch.ones(N, D, dtype=torch.bfloat16)
    assert twin_of(rotate)(x, twin_of(rotary_angles)(N, D)).dtype == torch.bfloat16


def test_inputs_are_never_changed():
    x, angles = rotary_inputs(7)
    table = x[0, 0]
    kept = [array.copy() for array in (x, angles)]
    learned_positions_backward(learned_positions(table, 2), table, 2)
    rotate_backward(rotate(x, angles), angles)
    tensors = to_torch(x, angles)
    twin_of(rotate)(*tensors)
    assert_all_close([x, angles, *tensors], [*kept, *kept], rtol=0)


@pytest.mark.parametrize("batch", [(0,), (2, 0)])
def test_an_empty_batch_and_no_position_are_fine(batch):
    x, angles = rotary_inputs(8, batch)
    for half in (rotate(x, angles), twin_of(rotate)(*to_torch(x, angles))):
        assert tuple(half.shape) == (*batch, N, D)
    assert rotate(x[..., :0, :], angles[:0]).shape == (*batch, 0, D)
    assert sinusoidal_positions(0, D).shape == (0, D)
    assert alibi_bias(3, 0).shape == (3, 0, 0)
    assert tuple(twin_of(alibi_bias)(3, 0, 2).shape) == (3, 0, 2)


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_every_twin_runs_on_any_device(device):
    device_or_skip(device)
    torch = need_torch()
    for function, arguments in GENERATORS.items():
        theirs = twin_of(function)(*arguments, dtype=torch.float64, device=device)
        assert theirs.device.type == device
        assert tuple(theirs.shape) == function(*arguments).shape
        if device == "cuda":
            ours = function(*arguments)
            assert_all_close([theirs.cpu()], [ours], **TOLERANCE["float64"])
    arrays = rotary_inputs(9)
    x, angles = to_torch(*arrays, device=device)
    turned, rows = twin_of(rotate)(x, angles), twin_of(learned_positions)(x[0, 0], 3)
    assert {turned.device.type, rows.device.type} == {device}
    if device == "cuda":
        assert_all_close([turned.cpu()], [rotate(*arrays)], **TOLERANCE["float64"])


# Errors -------------------------------------------------------------------------------

X, ANGLES = np.zeros((2, N, D)), np.zeros((N, D // 2))
WHOLE = "must be a whole number from"
REFUSED = {
    "an odd width": (
        sinusoidal_positions,
        (N, 7),
        "d_model must be even, because features pair up, got 7",
    ),
    "a width that is no number": (
        rotary_angles,
        (N, "wide"),
        f"d_head {WHOLE} 1 up, got 'wide'",
    ),
    "an odd head": (
        rotary_angles,
        (N, 7),
        "d_head must be even, because features pair up, got 7",
    ),
    "fewer than no positions": (rotary_angles, (-1, D), f"n {WHOLE} 0 up, got -1"),
    "half a position": (sinusoidal_positions, (2.5, D), f"n {WHOLE} 0 up, got 2.5"),
    "a start before the start": (
        sinusoidal_positions,
        (N, D, -2),
        f"start {WHOLE} 0 up, got -2",
    ),
    "a base of zero": (
        rotary_angles,
        (N, D, 0, 0),
        "base must be a positive number, got 0",
    ),
    "a base that is no number": (
        sinusoidal_positions,
        (N, D, 0, "10"),
        "base must be a positive number, got '10'",
    ),
    "a table too short": (
        learned_positions,
        (np.zeros((5, 7)), 3, 4),
        "table has 5 positions but 7 were asked for",
    ),
    "a table that is one row": (
        learned_positions,
        (np.zeros(5), 3),
        "table must have at least 2 axes, but its shape is (5,)",
    ),
    "learned positions before the start": (
        learned_positions,
        (np.zeros((5, 7)), 3, -1),
        f"start {WHOLE} 0 up, got -1",
    ),
    "angles for other positions": (
        rotate,
        (X, ANGLES[:3]),
        "angles has shape (3, 7) but x has 5 positions and 14 features: expected "
        "(5, 7)",
    ),
    "angles in a list": (
        rotate,
        (X, [[0.0]]),
        "angles must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "an odd x": (
        rotate,
        (X[..., :7], ANGLES),
        "d_head must be even, because features pair up, got 7",
    ),
    "an x that is one vector": (
        rotate,
        (X[0, 0], ANGLES),
        "x must have at least 2 axes, but its shape is (14,)",
    ),
    "an x of whole numbers": (
        rotate,
        (X.astype("int64"), ANGLES),
        "x must hold floats, but its dtype is {int64}",
    ),
    "no head": (alibi_slopes, (0,), f"n_heads {WHOLE} 1 up, got 0"),
    "no number of heads": (alibi_bias, (None, 2), f"n_heads {WHOLE} 1 up, got None"),
    "fewer than no queries": (alibi_bias, (2, -1), f"n_q {WHOLE} 0 up, got -1"),
    "more queries than keys": (alibi_bias, (2, 5, 3), f"n_k {WHOLE} 5 up, got 3"),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, *REFUSED[case])


@pytest.mark.parametrize("numpys_own", [np.int64, np.int32])
def test_numpys_whole_numbers_count_too(numpys_own):
    n, d, start = map(numpys_own, (N, D, 3))
    expected = sinusoidal_positions(N, D, 3)
    np.testing.assert_array_equal(sinusoidal_positions(n, d, start), expected)
    theirs = twin_of(sinusoidal_positions)(n, d, start)
    assert_all_close([theirs.numpy()], [expected], **TOLERANCE["float32"])
