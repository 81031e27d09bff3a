"""The cache of keys and values: word after word equals all words at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twins import SEEDS, device_or_skip, drawn, need_torch, to_torch, twin_of

from course_lib.in_numpy.cache import KeyValueCache
from course_lib.in_numpy.masks import causal_mask
from course_lib.in_numpy.multi_head import multi_head_attention
from course_lib.in_numpy.positions import alibi_bias, rotary_angles

N, N_HEADS, D_HEAD, D_MODEL = 11, 6, 2, 13
HALVES = ["numpy", "torch"]


def in_half(half, thing):
    """An array, a dict of arrays, a function or a class of one half."""
    if half == "numpy":
        return thing
    if isinstance(thing, np.ndarray):
        return to_torch(thing)[0]
    if isinstance(thing, dict):
        return {name: in_half(half, array) for name, array in thing.items()}
    return thing if thing is None else twin_of(thing)


def attention_inputs(seed=0, batch=(2,), n_kv_heads=3):
    """A sequence, and parameters of multi-head attention."""
    rng = np.random.default_rng(seed)
    d_all, d_kv = N_HEADS * D_HEAD, n_kv_heads * D_HEAD
    shapes = {
        "W_q": (d_all, D_MODEL),
        "W_k": (d_kv, D_MODEL),
        "W_v": (d_kv, D_MODEL),
        "W_o": (D_MODEL, d_all),
        "b_k": (d_kv,),
    }
    parameters = {name: rng.normal(0, 0.3, shape) for name, shape in shapes.items()}
    return rng.standard_normal((*batch, N, D_MODEL)), parameters


def options_for(positions, start, stop):
    """Mask, and angles or bias, for the queries from `start` to `stop`."""
    options = {"mask": causal_mask(stop)[start:]}
    if positions == "rotary":
        options["angles"] = rotary_angles(stop - start, D_HEAD, start, base=100.0)
    if positions == "alibi":
        options["bias"] = alibi_bias(N_HEADS, stop - start, stop)
    return options


def attend_in_parts(half, x, parameters, positions, ends, cache):
    """Outputs of self-attention, some positions at a time; `ends` says how many."""
    attention, outputs = in_half(half, multi_head_attention), []
    x, parameters = in_half(half, x), in_half(half, parameters)
    for start, stop in zip([0, *ends], ends, strict=False):
        new, options = x[..., start:stop, :], options_for(positions, start, stop)
        output, _ = attention(
            new, new, new, parameters, N_HEADS, **in_half(half, options), cache=cache
        )
        outputs.append(np.asarray(output))
    return np.concatenate(outputs, axis=-2)


def entries(shape=(2, 3, 5, 7), seed=0):
    """A key and a value."""
    return np.random.default_rng(seed).standard_normal((2, *shape))


# By hand ------------------------------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_by_hand(half):
    cache = in_half(half, KeyValueCache)()
    assert cache.length == 0
    first, second = (in_half(half, np.full((2, 1, 1, 1), n)) for n in (1.0, 2.0))
    cache.extend(first, -first)
    key, value = cache.extend(second, -second)
    assert cache.length == 2
    assert np.asarray(key)[:, 0, :, 0].tolist() == [[1, 2], [1, 2]]
    assert np.asarray(value)[:, 0, :, 0].tolist() == [[-1, -2], [-1, -2]]


# Cached equals uncached ---------------------------------------------------------------


@drawn
@given(
    seed=SEEDS,
    ends=st.lists(st.integers(1, N - 1), max_size=5).map(sorted),
    batch=st.sampled_from([(), (2,), (2, 3)]),
    n_kv_heads=st.sampled_from([1, 3, 6]),
    positions=st.sampled_from(["none", "rotary", "alibi"]),
)
@pytest.mark.parametrize("half", HALVES)
def test_in_parts_equals_all_at_once(half, seed, ends, batch, n_kv_heads, positions):
    x, parameters = attention_inputs(seed, batch, n_kv_heads)
    cache = in_half(half, KeyValueCache)()
    in_parts = attend_in_parts(half, x, parameters, positions, [*ends, N], cache)
    expected, _ = multi_head_attention(
        x, x, x, parameters, N_HEADS, **options_for(positions, 0, N)
    )
    assert cache.length == N
    np.testing.assert_allclose(in_parts, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("half", HALVES)
def test_word_after_word_needs_no_mask(half):
    x, parameters = attention_inputs(1)
    attention, cache = (
        in_half(half, multi_head_attention),
        in_half(half, KeyValueCache)(),
    )
    expected, weights = multi_head_attention(
        x, x, x, parameters, N_HEADS, causal_mask(N)
    )
    x, parameters = in_half(half, x), in_half(half, parameters)
    for t in range(N):
        new = x[:, t : t + 1]
        output, row = attention(new, new, new, parameters, N_HEADS, cache=cache)
        np.testing.assert_allclose(output, expected[:, t : t + 1], rtol=0, atol=1e-12)
        seen = weights[:, :, t : t + 1, : t + 1]
        np.testing.assert_allclose(row, seen, rtol=0, atol=1e-12)


def test_in_float32_too():
    x, parameters = attention_inputs(2)
    x = x.astype("float32")
    parameters = {name: array.astype("float32") for name, array in parameters.items()}
    expected, _ = multi_head_attention(
        x, x, x, parameters, N_HEADS, **options_for("rotary", 0, N)
    )
    for half in HALVES:
        cache = in_half(half, KeyValueCache)()
        ours = attend_in_parts(half, x, parameters, "rotary", range(1, N + 1), cache)
        assert ours.dtype == "float32"
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_gradients_pass_through_the_twin():
    key, value = to_torch(*entries(), requires_grad=True)
    cache = twin_of(KeyValueCache)()
    cache.extend(key[..., :2, :], value[..., :2, :])
    whole_key, whole_value = cache.extend(key[..., 2:, :], value[..., 2:, :])
    (whole_key.sum() + 2 * whole_value.sum()).backward()
    assert np.all(key.grad.numpy() == 1)
    assert np.all(value.grad.numpy() == 2)


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_select_reorders_and_repeats_rows(half):
    key, value = entries()
    cache = in_half(half, KeyValueCache)()
    cache.extend(in_half(half, key), in_half(half, value))
    rows = np.array([1, 0, 1])
    cache.select(in_half(half, rows))
    assert cache.length == 5
    new_key, new_value = entries((3, 3, 1, 7), seed=1)
    both = cache.extend(in_half(half, new_key), in_half(half, new_value))
    for ours, old, new in zip(both, (key, value), (new_key, new_value), strict=True):
        expected = np.concatenate([old[rows], new], axis=-2)
        np.testing.assert_array_equal(ours, expected)
    cache.select(in_half(half, rows[:0]))
    assert tuple(cache.key.shape) == (0, 3, 6, 7)


@pytest.mark.parametrize("half", HALVES)
def test_after_select_each_row_goes_on_where_the_chosen_one_was(half):
    x, parameters = attention_inputs(3, batch=(3,))
    cache, rows = in_half(half, KeyValueCache)(), np.array([2, 2, 0])
    attend_in_parts(half, x, parameters, "rotary", [4], cache)
    cache.select(in_half(half, rows))
    chosen = np.concatenate([x[rows, :4], x[:, 4:]], axis=1)
    expected, _ = multi_head_attention(
        chosen, chosen, chosen, parameters, N_HEADS, **options_for("rotary", 0, N)
    )
    attention, new = in_half(half, multi_head_attention), in_half(half, x[:, 4:])
    options = in_half(half, options_for("rotary", 4, N))
    parameters = in_half(half, parameters)
    output, _ = attention(new, new, new, parameters, N_HEADS, **options, cache=cache)
    np.testing.assert_allclose(output, expected[:, 4:], rtol=0, atol=1e-12)


@pytest.mark.parametrize("half", HALVES)
def test_an_empty_cache_selects_nothing_and_nothing_new_changes_nothing(half):
    cache = in_half(half, KeyValueCache)()
    cache.select(in_half(half, np.array([1, 0])))
    assert cache.length == 0
    key, value = (in_half(half, array) for array in entries())
    none = key[..., :0, :]
    cache.extend(none, none)
    assert cache.length == 0
    cache.extend(key, value)
    for ours, expected in zip(cache.extend(none, none), (key, value), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert cache.length == 5


@pytest.mark.parametrize("half", HALVES)
def test_inputs_are_never_changed_nor_what_was_given_back_before(half):
    arrays = [in_half(half, array) for array in (*entries(), *entries(seed=1))]
    kept = [np.asarray(array).copy() for array in arrays]
    cache = in_half(half, KeyValueCache)()
    cache.extend(*arrays[:2])
    before = cache.extend(*arrays[2:])
    kept += [np.asarray(array).copy() for array in before]
    cache.extend(*arrays[:2])
    cache.select(in_half(half, np.array([1])))
    for array, copy in zip([*arrays, *before], kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("half", HALVES)
def test_two_caches_know_nothing_of_each_other(half):
    one, other = (in_half(half, KeyValueCache)() for _ in range(2))
    one.extend(*(in_half(half, array) for array in entries()))
    assert (one.length, other.length) == (5, 0)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3, 6])
def test_fewer_key_value_heads_need_a_smaller_cache(n_kv_heads):
    x, parameters = attention_inputs(4, n_kv_heads=n_kv_heads)
    cache = KeyValueCache()
    multi_head_attention(x, x, x, parameters, N_HEADS, cache=cache)
    assert cache.key.size + cache.value.size == 2 * 2 * n_kv_heads * N * D_HEAD


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twin_runs_on_any_device(device):
    device_or_skip(device)
    torch = need_torch()
    cache = twin_of(KeyValueCache)()
    for _ in range(2):
        key, value = cache.extend(*to_torch(*entries(), device=device))
    cache.select(torch.tensor([1, 1, 0], device=device))
    assert {key.device.type, value.device.type, cache.key.device.type} == {device}
    assert tuple(key.shape) == (2, 3, 10, 7)
    assert tuple(cache.value.shape) == (3, 3, 10, 7)


# Errors -------------------------------------------------------------------------------

KEY, VALUE = entries()
HOLDS = "the cache holds keys of shape (2, 3, 5, 7)"
REFUSED = {
    "a key in a list": (
        "extend",
        ([1.0], VALUE),
        "key must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "a key without heads": (
        "extend",
        (KEY[0, 0], VALUE[0, 0]),
        "key must have at least 3 axes, but its shape is (5, 7)",
    ),
    "fewer values than keys": (
        "extend",
        (KEY, VALUE[..., :2, :]),
        "value has shape (2, 3, 2, 7) but key has (2, 3, 5, 7): expected (2, 3, 5, 7)",
    ),
    "another batch": (
        "extend",
        (KEY[:1], VALUE[:1]),
        f"key has shape (1, 3, 5, 7) but {HOLDS}: expected (2, 3, 5, 7)",
    ),
    "other heads": (
        "extend",
        (KEY[:, :2, :1], VALUE[:, :2, :1]),
        f"key has shape (2, 2, 1, 7) but {HOLDS}: expected (2, 3, 1, 7)",
    ),
    "another width": (
        "extend",
        (KEY[..., :6], VALUE[..., :6]),
        f"key has shape (2, 3, 5, 6) but {HOLDS}: expected (2, 3, 5, 7)",
    ),
    "no batch any more": (
        "extend",
        (KEY[0], VALUE[0]),
        f"key has shape (3, 5, 7) but {HOLDS}: expected (2, 3, 5, 7)",
    ),
    "rows of floats": (
        "select",
        (np.array([0.0]),),
        "rows must hold integers, but its dtype is {float64}",
    ),
    "rows of truth values": (
        "select",
        (np.array([True, False]),),
        "rows must hold integers, but its dtype is {bool}",
    ),
    "rows in a list": (
        "select",
        ([1, 0],),
        "rows must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence_and_changes_nothing(case, half):
    method, arguments, sentence = REFUSED[case]
    cache = in_half(half, KeyValueCache)()
    cache.extend(in_half(half, KEY), in_half(half, VALUE))
    arguments = [
        in_half(half, argument) if isinstance(argument, np.ndarray) else argument
        for argument in arguments
    ]
    for dtype in ("float64", "bool"):
        name = dtype if half == "numpy" else f"torch.{dtype}"
        sentence = sentence.replace(f"{{{dtype}}}", name)
    with pytest.raises((TypeError, ValueError)) as error:
        getattr(cache, method)(*arguments)
    assert str(error.value) == sentence
    np.testing.assert_array_equal(cache.key, KEY)
    np.testing.assert_array_equal(cache.value, VALUE)


@pytest.mark.parametrize("half", HALVES)
def test_without_a_batch_there_are_no_rows_to_select(half):
    cache = in_half(half, KeyValueCache)()
    cache.extend(in_half(half, KEY[0]), in_half(half, VALUE[0]))
    with pytest.raises(ValueError) as error:
        cache.select(in_half(half, np.array([0])))
    expected = "the cache's keys must have at least 4 axes, but its shape is (3, 5, 7)"
    assert str(error.value) == expected


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            {"mask": np.ones((4, 4), bool)},
            "mask has shape (4, 4), which does not broadcast to the scores' shape "
            "(2, 4, 8)",
        ),
        (
            {"bias": np.ones((6, 4, 4))},
            "bias has shape (6, 4, 4), which does not broadcast to (2, 6, 4, 8)",
        ),
        (
            {"angles": np.ones((8, 1))},
            "angles has shape (8, 1) but x has 4 positions and 2 features: expected "
            "(4, 1)",
        ),
    ],
)
def test_a_refused_call_leaves_the_cache_as_it_was(wrong, sentence, half):
    x, parameters = attention_inputs(5)
    attention, cache = (
        in_half(half, multi_head_attention),
        in_half(half, KeyValueCache)(),
    )
    x, parameters = in_half(half, x[:, :4]), in_half(half, parameters)
    attention(x, x, x, parameters, N_HEADS, cache=cache)
    with pytest.raises(ValueError) as error:
        attention(x, x, x, parameters, N_HEADS, **in_half(half, wrong), cache=cache)
    assert str(error.value) == sentence
    assert cache.length == 4
