"""Several heads: the twins agree, with torch's own layers, and with what heads mean."""

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
    autograd,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.attention import scaled_dot_product_attention
from course_lib.in_numpy.masks import causal_mask
from course_lib.in_numpy.multi_head import (
    merge_heads,
    merge_heads_backward,
    multi_head_attention,
    multi_head_attention_backward,
    repeat_heads,
    repeat_heads_backward,
    split_heads,
    split_heads_backward,
)
from course_lib.in_numpy.positions import alibi_bias, rotary_angles

N_Q, N_K, N_HEADS, N_KV_HEADS, D_HEAD = 5, 7, 6, 3, 2
D_QUERY, D_KEY, D_VALUE, D_MODEL = 11, 13, 17, 19
NAMES = ["W_q", "W_k", "W_v", "W_o", "b_q", "b_k", "b_v", "b_o"]
# (query, key, value) batch axes. The last three broadcast.
BATCHES = [
    ((), (), ()),
    ((2,), (2,), (2,)),
    ((2, 3), (2, 3), (2, 3)),
    ((2, 1), (3,), (3,)),
    ((), (2, 3), (2, 3)),
    ((3,), (1,), (2, 1)),
]
MASKS = [None, (N_K,), (N_Q, N_K)]
OPTIONS = ["mask", "head_mask", "angles", "bias"]


def make_parameters(rng, n_kv_heads=N_KV_HEADS, names=NAMES, widths=None):
    """Weights for inputs of these widths, the output's last."""
    d_query, d_key, d_value, d_model = widths or (D_QUERY, D_KEY, D_VALUE, D_MODEL)
    d_all, d_kv = N_HEADS * D_HEAD, n_kv_heads * D_HEAD
    shapes = {
        "W_q": (d_all, d_query),
        "W_k": (d_kv, d_key),
        "W_v": (d_kv, d_value),
        "W_o": (d_model, d_all),
    }
    shapes |= {f"b_{name[2]}": rows[:1] for name, rows in shapes.items()}
    return {name: rng.normal(0, 0.3, shapes[name]) for name in names}


def inputs(seed=0, batches=((2, 3),) * 3, n_kv_heads=N_KV_HEADS, n_k=N_K, names=NAMES):
    """Query, key and value with axes of their own lengths, and parameters."""
    rng = np.random.default_rng(seed)
    rows = [(N_Q, D_QUERY), (n_k, D_KEY), (n_k, D_VALUE)]
    arrays = [rng.standard_normal((*b, *r)) for b, r in zip(batches, rows, strict=True)]
    return arrays, make_parameters(rng, n_kv_heads, names)


def self_inputs(seed=0, batch=(2,), n=N_Q, n_kv_heads=N_KV_HEADS):
    """One sequence that attends to itself, and parameters."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((*batch, n, D_MODEL))
    return x, make_parameters(rng, n_kv_heads, widths=(D_MODEL,) * 4)


def make_options(seed, mask_shape, batch=()):
    """A mask, a head mask and a bias; rotary angles where there are as many keys."""
    rng = np.random.default_rng(seed)
    return {
        "mask": None if mask_shape is None else rng.random(mask_shape) < 0.6,
        "head_mask": rng.random((*batch, N_HEADS)) < 0.7,
        "bias": rng.standard_normal((N_HEADS, 1, N_K)),
    }


def torch_tree(parameters, **options):
    """Parameters as tensors."""
    return dict(zip(parameters, to_torch(*parameters.values(), **options), strict=True))


def torch_options(options, **kwargs):
    """Options as tensors."""
    return {name: to_torch(array, **kwargs)[0] for name, array in options.items()}


def all_gradients(arrays, parameters, options, d_output):
    """Our gradients and autograd's, inputs first, then parameters by name."""
    *ours, d_parameters = multi_head_attention_backward(
        d_output, *arrays, parameters, N_HEADS, **options
    )
    assert list(d_parameters) == list(parameters)
    tensors = to_torch(*arrays, requires_grad=True)
    tree = torch_tree(parameters, requires_grad=True)
    output, _ = twin_of(multi_head_attention)(
        *tensors, tree, N_HEADS, **torch_options(options)
    )
    theirs = autograd(output, [*tensors, *tree.values()], d_output)
    return [*ours, *d_parameters.values()], theirs


# By hand ------------------------------------------------------------------------------


def test_heads_by_hand():
    x = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    heads = [[[1, 2], [5, 6]], [[3, 4], [7, 8]]]
    np.testing.assert_array_equal(split_heads(x, 2), heads)
    np.testing.assert_array_equal(merge_heads(np.array(heads)), x)
    repeated = [heads[0], heads[0], heads[1], heads[1]]
    np.testing.assert_array_equal(repeat_heads(np.array(heads), 4), repeated)
    d_repeated = np.array([1, 10, 100, 1000])[:, None, None] * np.ones((4, 2, 2))
    added_up = np.array([11, 1100])[:, None, None] * np.ones((2, 2, 2))
    ours = repeat_heads_backward(d_repeated, np.array(heads), 4)
    np.testing.assert_array_equal(ours, added_up)


def test_two_heads_by_hand():
    # d_head = 1. Head 1 scores the keys ln 3 and 0: weights 3/4 and 1/4 of 8 and 4.
    # Head 2 scores them 0 and 0: half of 2 and half of 6. The bias adds 1, W_o sums up.
    query = np.array([[1.0, 0.0]])
    key = np.array([[math.log(3), 5.0], [0.0, 9.0]])
    value = np.array([[8.0, 2.0], [4.0, 6.0]])
    eye = np.eye(2)
    parameters = {"W_q": eye, "W_k": eye, "W_v": eye, "W_o": np.array([[1.0, 10.0]])}
    parameters["b_o"] = np.array([1.0])
    output, weights = multi_head_attention(query, key, value, parameters, 2)
    assert weights[:, 0] == pytest.approx(np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert output[0, 0] == pytest.approx(7 + 10 * 4 + 1, abs=1e-13)
    head_mask = np.array([False, True])
    output, _ = multi_head_attention(query, key, value, parameters, 2, None, head_mask)
    assert output[0, 0] == pytest.approx(10 * 4 + 1, abs=1e-13)


# The twins agree, and so do the gradients ---------------------------------------------


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASKS),
    n_kv_heads=st.sampled_from([1, 2, 3, 6]),
    names=st.sampled_from([NAMES, NAMES[:4], NAMES[:4] + ["b_k"]]),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, batches, mask_shape, n_kv_heads, names, dtype):
    arrays, parameters = inputs(seed, batches, n_kv_heads, names=names)
    arrays = [array.astype(dtype) for array in arrays]
    parameters = {name: array.astype(dtype) for name, array in parameters.items()}
    options = make_options(seed, mask_shape)
    ours = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    theirs = twin_of(multi_head_attention)(
        *to_torch(*arrays), torch_tree(parameters), N_HEADS, **torch_options(options)
    )
    assert {array.dtype.name for array in ours} == {dtype}
    assert_all_close([tensor.numpy() for tensor in theirs], ours, **TOLERANCE[dtype])


@drawn
@given(
    seed=SEEDS,
    batches=st.sampled_from(BATCHES),
    mask_shape=st.sampled_from(MASKS),
    n_kv_heads=st.sampled_from([1, 2, 3, 6]),
    names=st.sampled_from([NAMES, NAMES[:4], NAMES[:4] + ["b_k"]]),
)
def test_gradients_equal_autograd(seed, batches, mask_shape, n_kv_heads, names):
    arrays, parameters = inputs(seed, batches, n_kv_heads, names=names)
    options = make_options(seed, mask_shape)
    output, _ = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    d_output = np.random.default_rng(seed + 1).standard_normal(output.shape)
    ours, theirs = all_gradients(arrays, parameters, options, d_output)
    assert_all_close(ours, theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("mask_shape", [(2, 1, 1, N_K), (2, 3, N_Q, N_K), (3, N_Q, 1)])
@pytest.mark.parametrize(
    "batches", [((2, 3),) * 3, ((2, 1), (3,), (3,)), ((), (2, 3), (2, 3))]
)
def test_masks_with_a_batch_are_the_same_for_all_heads_and_the_gradients_agree(
    batches, mask_shape
):
    arrays, parameters = inputs(1, batches)
    options = make_options(1, mask_shape, batch=(2, 1))
    _, weights = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    allowed = np.broadcast_to(options["mask"], (2, 3, N_Q, N_K))
    for head in range(N_HEADS):
        np.testing.assert_array_equal(weights[:, :, head] > 0, allowed)
    d_output = np.random.default_rng(2).standard_normal((2, 3, N_Q, D_MODEL))
    ours, theirs = all_gradients(arrays, parameters, options, d_output)
    assert_all_close(ours, theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("n_kv_heads", [1, 3, 6])
def test_gradients_with_rotary_angles_equal_autograd(n_kv_heads):
    arrays, parameters = inputs(3, n_kv_heads=n_kv_heads, n_k=N_Q)
    options = {"angles": rotary_angles(N_Q, D_HEAD, 3), "mask": causal_mask(N_Q)}
    d_output = np.random.default_rng(4).standard_normal((2, 3, N_Q, D_MODEL))
    ours, theirs = all_gradients(arrays, parameters, options, d_output)
    assert_all_close(ours, theirs, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("n_kv_heads", [1, 3, 6])
@pytest.mark.parametrize("batches", [((), (), ()), ((2, 1), (3,), (3,))])
def test_gradients_equal_central_differences(batches, n_kv_heads):
    arrays, parameters = inputs(5, batches, n_kv_heads, n_k=N_Q)
    options = make_options(5, (N_Q, N_Q)) | {"bias": alibi_bias(N_HEADS, N_Q)}
    options["angles"] = rotary_angles(N_Q, D_HEAD)

    def forward(query, key, value, *weights):
        tree = dict(zip(parameters, weights, strict=True))
        return multi_head_attention(query, key, value, tree, N_HEADS, **options)[0]

    every = [*arrays, *parameters.values()]
    d_output = np.random.default_rng(6).standard_normal(forward(*every).shape)
    *ours, d_parameters = multi_head_attention_backward(
        d_output, *arrays, parameters, N_HEADS, **options
    )
    differences = central_differences(forward, every, d_output)
    assert_all_close([*ours, *d_parameters.values()], differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("batch", [(), (2,), (2, 11)])
def test_splitting_merging_and_repeating_agree_forward_and_backward(batch):
    rng = np.random.default_rng(7)
    x, heads = rng.random((*batch, 5, 6)), rng.random((*batch, 3, 5, 7))
    for forward, backward, arguments in [
        (split_heads, split_heads_backward, (x, 3)),
        (merge_heads, merge_heads_backward, (heads,)),
        (repeat_heads, repeat_heads_backward, (heads, 6)),
    ]:
        array, *others = arguments
        ours = forward(array, *others)
        d_output = rng.random(ours.shape)
        tensor = to_torch(array, requires_grad=True)
        theirs = twin_of(forward)(*tensor, *others)
        np.testing.assert_array_equal(theirs.detach().numpy(), ours)
        gradient = backward(d_output, array, *others)
        theirs = autograd(theirs, tensor, d_output)
        assert_all_close([gradient], theirs, **GRADIENT_TOLERANCE)


# The same as torch's own layers -------------------------------------------------------


@pytest.mark.parametrize("n_kv_heads", [1, 3, 6])
@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K), (2, N_Q, N_K)])
def test_agrees_with_torchs_attention_between_the_projections(n_kv_heads, mask_shape):
    torch = need_torch()
    arrays, parameters = inputs(8, ((2,),) * 3, n_kv_heads)
    rng = np.random.default_rng(9)
    mask, d_output = None, rng.standard_normal((2, N_Q, D_MODEL))
    if mask_shape is not None:
        mask = rng.random(mask_shape) < 0.5
        mask[..., 0] = True  # torch gives no promise for a row with nothing allowed
    ours = multi_head_attention(*arrays, parameters, N_HEADS, mask)[0]
    *gradients, d_parameters = multi_head_attention_backward(
        d_output, *arrays, parameters, N_HEADS, mask
    )
    tensors = to_torch(*arrays, requires_grad=True)
    tree = torch_tree(parameters, requires_grad=True)
    query, key, value = (
        torch.nn.functional.linear(x, tree[f"W_{name}"], tree[f"b_{name}"])
        .unflatten(-1, (-1, D_HEAD))
        .transpose(1, 2)
        for name, x in zip("qkv", tensors, strict=True)
    )
    if mask_shape is not None and len(mask_shape) == 3:
        mask = mask[:, None]
    theirs = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=to_torch(mask)[0], enable_gqa=True
    )
    theirs = theirs.transpose(1, 2).flatten(-2) @ tree["W_o"].T + tree["b_o"]
    np.testing.assert_allclose(ours, theirs.detach().numpy(), **TOLERANCE["float64"])
    expected = autograd(theirs, [*tensors, *tree.values()], d_output)
    gradients += d_parameters.values()
    assert_all_close(gradients, expected, **GRADIENT_TOLERANCE)


def torchs_module(parameters, kdim=None, vdim=None):
    """`nn.MultiheadAttention` with our weights, and its parameters in our order."""
    torch = need_torch()
    d_model = parameters["W_o"].shape[0]
    module = torch.nn.MultiheadAttention(
        d_model, N_HEADS, batch_first=True, kdim=kdim, vdim=vdim, dtype=torch.float64
    )
    tree = torch_tree(parameters)
    packed = torch.cat([tree[f"b_{name}"] for name in "qkv"])
    state = {
        "in_proj_bias": packed,
        "out_proj.weight": tree["W_o"],
        "out_proj.bias": tree["b_o"],
    }
    if kdim is None:
        rows = [tree[f"W_{name}"] for name in "qkv"]
        state["in_proj_weight"] = torch.cat(rows)
    else:
        state |= {f"{name}_proj_weight": tree[f"W_{name}"] for name in "qkv"}
    module.load_state_dict(state)
    return module


def module_gradients(module):
    """The gradients of torch's module by our names."""
    names = dict(module.named_parameters())
    gradients = {name: tensor.grad.numpy() for name, tensor in names.items()}
    if "in_proj_weight" in gradients:
        in_proj = np.split(gradients["in_proj_weight"], 3)
    else:
        in_proj = [gradients[f"{name}_proj_weight"] for name in "qkv"]
    biases = np.split(gradients["in_proj_bias"], 3)
    out_proj = gradients["out_proj.weight"], gradients["out_proj.bias"]
    return dict(zip(NAMES, [*in_proj, out_proj[0], *biases, out_proj[1]], strict=True))


@pytest.mark.parametrize("mask_shape", [None, (N_Q, N_K), (2, N_Q, N_K)])
@pytest.mark.parametrize("widths", ["one", "three"])
def test_agrees_with_torchs_multi_head_attention(widths, mask_shape):
    # Its attn_mask means the opposite, True = may not attend; its masks with a batch
    # have the heads in the batch axis; and d_model is n_heads * d_head.
    rng = np.random.default_rng(10)
    d_model = N_HEADS * D_HEAD
    d_key, d_value = (d_model, d_model) if widths == "one" else (D_KEY, D_VALUE)
    parameters = make_parameters(
        rng, N_HEADS, widths=(d_model, d_key, d_value, d_model)
    )
    shapes = [(2, N_Q, d_model), (2, N_K, d_key), (2, N_K, d_value)]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    d_output = rng.standard_normal((2, N_Q, d_model))
    mask = theirs = None
    if mask_shape is not None:
        mask = rng.random(mask_shape) < 0.5
        mask[..., 0] = True
        theirs = ~mask if mask.ndim == 2 else np.repeat(~mask, N_HEADS, axis=0)
    options = {} if widths == "one" else {"kdim": d_key, "vdim": d_value}
    module = torchs_module(parameters, **options)
    tensors = to_torch(*arrays, requires_grad=True)
    expected = module(
        *tensors, attn_mask=to_torch(theirs)[0], average_attn_weights=False
    )
    ours = multi_head_attention(*arrays, parameters, N_HEADS, mask)
    assert_all_close(ours, [t.detach() for t in expected], **TOLERANCE["float64"])
    *gradients, d_parameters = multi_head_attention_backward(
        d_output, *arrays, parameters, N_HEADS, mask
    )
    by_torch = autograd(expected[0], tensors, d_output)
    assert_all_close(gradients, by_torch, **GRADIENT_TOLERANCE)
    for name, gradient in module_gradients(module).items():
        assert_all_close([d_parameters[name]], [gradient], **GRADIENT_TOLERANCE)


def test_the_module_is_the_function_with_its_own_parameters():
    torch = need_torch()
    from course_lib.in_torch.cache import KeyValueCache
    from course_lib.in_torch.multi_head import MultiHeadAttention
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    d_model = N_HEADS * D_HEAD
    for n_kv_heads, bias in [(None, True), (2, False), (1, True)]:
        module = MultiHeadAttention(d_model, N_HEADS, n_kv_heads, bias).double()
        tree = parameter_tree(module)
        d_kv = (n_kv_heads or N_HEADS) * D_HEAD
        shapes = {"W_q": d_model, "W_k": d_kv, "W_v": d_kv, "W_o": d_model}
        names = [*shapes, *(NAMES[4:] if bias else [])]
        assert sorted(tree) == sorted(names)
        assert {name: tree[name].shape[0] for name in shapes} == shapes
        x = torch.randn(2, N_Q, d_model, dtype=torch.float64)
        options = make_options(11, (N_Q, N_Q)) | {"bias": alibi_bias(N_HEADS, N_Q)}
        options["angles"] = rotary_angles(N_Q, D_HEAD)
        tensors = torch_options(options)
        cache = KeyValueCache()
        theirs = module(x, x, x, *(tensors[n] for n in OPTIONS), cache)
        assert cache.length == N_Q
        ours = multi_head_attention(
            *[x.numpy()] * 3, numpy_tree(tree), N_HEADS, **options
        )
        assert_all_close([t.detach() for t in theirs], ours, **TOLERANCE["float64"])


# Rules --------------------------------------------------------------------------------


def test_self_attention_without_positions_does_not_know_the_order():
    x, parameters = self_inputs(12)
    order = np.random.default_rng(12).permutation(N_Q)
    output, weights = multi_head_attention(x, x, x, parameters, N_HEADS)
    moved = x[:, order]
    ours = multi_head_attention(moved, moved, moved, parameters, N_HEADS)
    expected = output[:, order], weights[..., order, :][..., order]
    assert_all_close(ours, expected, rtol=0, atol=1e-12)
    for position in [
        {"angles": rotary_angles(N_Q, D_HEAD)},
        {"bias": alibi_bias(N_HEADS, N_Q)},
    ]:
        straight, _ = multi_head_attention(x, x, x, parameters, N_HEADS, **position)
        ours, _ = multi_head_attention(
            moved, moved, moved, parameters, N_HEADS, **position
        )
        assert abs(ours - straight[:, order]).max() > 1e-3


@pytest.mark.parametrize("huge", [1e30, -1e30])
def test_a_masked_key_has_no_influence_not_by_one_bit(huge):
    (query, key, value), parameters = inputs(13)
    hidden, mask = [1, 4], np.ones(N_K, bool)
    mask[hidden] = False
    other_key, other_value = key.copy(), value.copy()
    other_key[..., hidden, :] = huge
    other_value[..., hidden, :] = -huge
    d_output = np.random.default_rng(14).standard_normal((2, 3, N_Q, D_MODEL))
    results = []
    for arrays in [(query, key, value), (query, other_key, other_value)]:
        ours = multi_head_attention(*arrays, parameters, N_HEADS, mask)
        gradients = all_gradients(arrays, parameters, {"mask": mask}, d_output)
        theirs = twin_of(multi_head_attention)(
            *to_torch(*arrays), torch_tree(parameters), N_HEADS, *to_torch(mask)
        )
        for _, d_key, d_value, *_ in gradients:
            assert np.all(d_key[..., hidden, :] == 0)
            assert np.all(d_value[..., hidden, :] == 0)
        results.append([*ours, *theirs, *gradients[0], *gradients[1]])
    for plain, changed in zip(*results, strict=True):
        np.testing.assert_array_equal(changed, plain)


def test_no_past_output_depends_on_the_future_under_a_causal_mask():
    x, parameters = self_inputs(15)
    options = {"angles": rotary_angles(N_Q, D_HEAD), "mask": causal_mask(N_Q)}
    expected, _ = multi_head_attention(x, x, x, parameters, N_HEADS, **options)
    later = x.copy()
    later[:, -1] += 100
    changed, _ = multi_head_attention(
        later, later, later, parameters, N_HEADS, **options
    )
    np.testing.assert_array_equal(changed[:, :-1], expected[:, :-1])
    assert not np.allclose(changed[:, -1], expected[:, -1])


def test_knocking_out_a_head_is_zeroing_its_columns_of_the_output_map():
    arrays, parameters = inputs(16)
    for head in range(N_HEADS):
        head_mask = np.arange(N_HEADS) != head
        knocked_out, weights = multi_head_attention(
            *arrays, parameters, N_HEADS, head_mask=head_mask
        )
        W_o = parameters["W_o"].copy()
        W_o[:, head * D_HEAD : (head + 1) * D_HEAD] = 0
        zeroed = multi_head_attention(*arrays, parameters | {"W_o": W_o}, N_HEADS)
        assert_all_close([knocked_out, weights], zeroed, rtol=0, atol=1e-13)


def test_with_every_head_knocked_out_only_the_last_bias_is_left():
    arrays, parameters = inputs(17)
    options = {"head_mask": np.zeros(N_HEADS, bool)}
    output, _ = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    np.testing.assert_array_equal(output - parameters["b_o"], 0)
    ours, theirs = all_gradients(arrays, parameters, options, np.ones(output.shape))
    for half in (ours, theirs):
        assert not any(gradient.any() for gradient in half[:-1])
        assert np.all(half[-1] == np.prod(output.shape[:-1]))


def test_a_head_mask_may_differ_from_one_sequence_to_the_next():
    arrays, parameters = inputs(18)
    head_mask = np.random.default_rng(18).random((2, 3, N_HEADS)) < 0.5
    output, _ = multi_head_attention(*arrays, parameters, N_HEADS, None, head_mask)
    for index in np.ndindex(2, 3):
        one = [array[index] for array in arrays]
        alone, _ = multi_head_attention(
            *one, parameters, N_HEADS, None, head_mask[index]
        )
        assert_all_close([output[index]], [alone], rtol=0, atol=1e-13)


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3])
def test_fewer_key_value_heads_are_all_of_them_with_weights_repeated(n_kv_heads):
    arrays, parameters = inputs(19, n_kv_heads=n_kv_heads)
    repeated = dict(parameters)
    for name in ("W_k", "W_v", "b_k", "b_v"):
        by_head = np.split(parameters[name], n_kv_heads)
        serves = N_HEADS // n_kv_heads
        repeated[name] = np.concatenate([h for h in by_head for _ in range(serves)])
    ours = multi_head_attention(*arrays, parameters, N_HEADS)
    expected = multi_head_attention(*arrays, repeated, N_HEADS)
    assert_all_close(ours, expected, rtol=0, atol=1e-13)


def test_one_head_is_attention_between_projections():
    (query, key, value), parameters = inputs(20, n_kv_heads=N_HEADS)
    projected = [
        x @ parameters[f"W_{name}"].T + parameters[f"b_{name}"]
        for name, x in zip("qkv", (query, key, value), strict=True)
    ]
    expected, weights = scaled_dot_product_attention(*projected)
    expected = expected @ parameters["W_o"].T + parameters["b_o"]
    ours = multi_head_attention(query, key, value, parameters, 1)
    assert_all_close(ours, [expected, weights[:, :, None]], rtol=0, atol=1e-12)


def test_the_number_of_parameters_does_not_depend_on_the_number_of_heads():
    need_torch()
    from course_lib.in_torch.multi_head import MultiHeadAttention

    def count(*arguments):
        return sum(p.numel() for p in MultiHeadAttention(*arguments).parameters())

    counts = {count(24, n_heads) for n_heads in (1, 2, 3, 4, 6, 8, 12, 24)}
    assert counts == {4 * 24 * 24 + 4 * 24}
    assert count(24, 6, 2, False) == 2 * 24 * 24 + 2 * 24 * 8


def test_rows_of_weights_sum_to_one_or_to_nothing():
    arrays, parameters = inputs(21)
    mask = np.ones((N_Q, N_K), bool)
    mask[2] = False
    output, weights = multi_head_attention(*arrays, parameters, N_HEADS, mask)
    sums = weights.sum(axis=-1)
    np.testing.assert_allclose(sums, np.broadcast_to(mask[:, 0], sums.shape))
    np.testing.assert_array_equal(
        output[..., 2, :], np.broadcast_to(parameters["b_o"], (2, 3, D_MODEL))
    )
    d_output = np.zeros(output.shape)
    d_output[..., 2, :] = 1  # a query that may attend to nothing learns b_o alone
    ours, theirs = all_gradients(arrays, parameters, {"mask": mask}, d_output)
    for half in (ours, theirs):
        assert not any(gradient.any() for gradient in half[:-1])
        assert np.all(half[-1] == 6)


def test_adding_1000_to_every_score_of_a_head_changes_nothing():
    arrays, parameters = inputs(22)
    bias = 1000 * np.arange(N_HEADS)[:, None, None]
    ours = multi_head_attention(*arrays, parameters, N_HEADS, bias=bias)
    expected = multi_head_attention(*arrays, parameters, N_HEADS)
    assert_all_close(ours, expected, rtol=0, atol=1e-10)


def test_one_query_and_one_key_are_enough():
    (query, key, value), parameters = inputs(23)
    arrays = query[..., :1, :], key[..., :1, :], value[..., :1, :]
    output, weights = multi_head_attention(*arrays, parameters, N_HEADS)
    assert output.shape == (2, 3, 1, D_MODEL)
    assert np.all(weights == 1)


@pytest.mark.parametrize("batches", [((0,),) * 3, ((2, 0), (0,), ())])
def test_an_empty_batch_gives_an_empty_answer_and_no_gradient(batches):
    arrays, parameters = inputs(24, batches)
    output, weights = multi_head_attention(*arrays, parameters, N_HEADS)
    assert output.shape == (*batches[0], N_Q, D_MODEL)
    assert weights.shape == (*batches[0], N_HEADS, N_Q, N_K)
    ours, theirs = all_gradients(arrays, parameters, {}, output)
    assert_all_close(ours, theirs, rtol=0)


def test_inputs_are_never_changed():
    arrays, parameters = inputs(25, n_k=N_Q)
    options = make_options(25, (N_Q, N_Q)) | {"bias": alibi_bias(N_HEADS, N_Q)}
    options["angles"] = rotary_angles(N_Q, D_HEAD)
    every = [*arrays, *parameters.values(), *options.values()]
    kept = [array.copy() for array in every]
    all_gradients(arrays, parameters, options, np.ones((2, 3, N_Q, D_MODEL)))
    assert list(parameters) == NAMES
    assert_all_close(every, kept, rtol=0)
    tensors, tree = to_torch(*arrays), torch_tree(parameters)
    others = torch_options(options)
    twin_of(multi_head_attention)(*tensors, tree, N_HEADS, **others)
    assert_all_close([*tensors, *tree.values(), *others.values()], kept, rtol=0)


def test_the_module_traces_and_so_do_its_angles_and_its_bias():
    torch = need_torch()
    from course_lib.in_torch import multi_head, positions

    module = multi_head.MultiHeadAttention(N_HEADS * D_HEAD, N_HEADS, 2)

    def rotary(x, mask):
        angles = positions.rotary_angles(x.shape[1], D_HEAD)
        bias = positions.alibi_bias(N_HEADS, x.shape[1])
        return module(x, x, x, mask, angles=angles, bias=bias)

    torch.compiler.reset()
    traced = torch.compile(rotary, backend="eager", fullgraph=True)
    for n in (3, 5):
        x = torch.randn(2, n, N_HEADS * D_HEAD)
        mask = torch.ones(n, n, dtype=torch.bool).tril()
        for ours, expected in zip(traced(x, mask), rotary(x, mask), strict=True):
            assert torch.equal(ours, expected)


def test_bfloat16_goes_in_and_comes_out():
    torch = need_torch()
    arrays, parameters = inputs(26, n_k=N_Q)
    options = {
        "angles": rotary_angles(N_Q, D_HEAD),
        "bias": alibi_bias(N_HEADS, N_Q),
        "head_mask": np.arange(N_HEADS) > 0,
    }
    expected = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    half = [tensor.to(torch.bfloat16) for tensor in to_torch(*arrays)]
    tree = {n: t.to(torch.bfloat16) for n, t in torch_tree(parameters).items()}
    ours = twin_of(multi_head_attention)(*half, tree, N_HEADS, **torch_options(options))
    assert {tensor.dtype for tensor in ours} == {torch.bfloat16}
    # 8 bits of a number, scores up to 30: half a unit of the scores' last place
    assert abs(ours[0].double().numpy() - expected[0]).mean() < 0.05


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_twins_run_on_any_device(device):
    device_or_skip(device)
    arrays, parameters = inputs(27, n_k=N_Q)
    options = make_options(27, (2, 1, N_Q, N_Q)) | {"bias": alibi_bias(N_HEADS, N_Q)}
    options["angles"] = rotary_angles(N_Q, D_HEAD)
    theirs = twin_of(multi_head_attention)(
        *to_torch(*arrays, device=device),
        torch_tree(parameters, device=device),
        N_HEADS,
        **torch_options(options, device=device),
    )
    ours = multi_head_attention(*arrays, parameters, N_HEADS, **options)
    assert {tensor.device.type for tensor in theirs} == {device}
    assert [tuple(t.shape) for t in theirs] == [array.shape for array in ours]
    if device == "cuda":
        assert_all_close([t.cpu() for t in theirs], ours, **TOLERANCE["float64"])


# Errors -------------------------------------------------------------------------------

QUERY, KEY, VALUE = np.zeros((2, 5, 11)), np.zeros((2, 7, 13)), np.zeros((2, 7, 17))
PARAMETERS = make_parameters(np.random.default_rng(0))
ALL_NAMES = "W_q, W_k, W_v, W_o, and if wanted b_q, b_k, b_v, b_o"
SIZES = "query has 11 features, key 13, value 17, and W_q has 12 rows, W_k 6"


def refused(
    query=QUERY, key=KEY, value=VALUE, n_heads=N_HEADS, without="", options=(), **other
):
    """A call with something wrong in it: the function and its arguments."""
    tree = {name: array for name, array in PARAMETERS.items() if name != without}
    arguments = query, key, value, tree | other, n_heads
    return multi_head_attention, arguments, dict(options)


REFUSED = {
    "features that cannot be shared out": (
        (split_heads, (QUERY, 3)),
        "the features of x must be a multiple of n_heads = 3, got 11",
    ),
    "no head": (
        (split_heads, (QUERY, 0)),
        "n_heads must be a whole number from 1 up, got 0",
    ),
    "half a head": (
        refused(n_heads=1.5),
        "n_heads must be a whole number from 1 up, got 1.5",
    ),
    "one vector to split": (
        (split_heads, (QUERY[0, 0], 11)),
        "x must have at least 2 axes, but its shape is (11,)",
    ),
    "heads without an axis": (
        (merge_heads, (QUERY[0],)),
        "x must have at least 3 axes, but its shape is (5, 11)",
    ),
    "one head to repeat, without an axis": (
        (repeat_heads, (QUERY[0], 2)),
        "x must have at least 3 axes, but its shape is (5, 11)",
    ),
    "heads repeated one and a half times": (
        (repeat_heads, (QUERY, 3)),
        "n_heads must be a multiple of n_kv_heads = 2, got 3",
    ),
    "no number of heads to repeat to": (
        (repeat_heads, (QUERY, None)),
        "n_heads must be a whole number from 1 up, got None",
    ),
    "a query in a list": (
        refused(query=[[1.0]]),
        "query must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "fewer values than keys": (
        refused(value=VALUE[:, :3]),
        "key has 7 positions but value has 3",
    ),
    "a query of another batch": (
        refused(query=np.zeros((3, 5, 11))),
        "query has batch axes (3,) and key has (2,): they must be equal, or 1",
    ),
    "a value of another batch than the query": (
        refused(query=np.zeros((3, 5, 11)), key=KEY[:1]),
        "query has batch axes (3,) and value has (2,): they must be equal, or 1",
    ),
    "a value of another batch than the key": (
        refused(query=QUERY[:1], key=np.zeros((3, 7, 13))),
        "key has batch axes (3,) and value has (2,): they must be equal, or 1",
    ),
    "no output map": (
        refused(without="W_o"),
        f"parameters has no W_o: expected {ALL_NAMES}",
    ),
    "a name mistyped": (
        refused(bq=np.zeros(12)),
        f"parameters has an unknown bq: expected {ALL_NAMES}",
    ),
    "a weight that is one row": (
        refused(W_v=np.zeros(6)),
        "W_v must have at least 2 axes, but its shape is (6,)",
    ),
    "W_q not for these heads": (
        refused(n_heads=5),
        "the rows of W_q must be a multiple of n_heads = 5, got 12",
    ),
    "W_k not for heads of this size": (
        refused(W_k=np.zeros((5, 13))),
        "the rows of W_k must be a multiple of d_head = 2, got 5",
    ),
    "key/value heads that do not divide": (
        refused(W_k=np.zeros((8, 13))),
        "n_heads must be a multiple of n_kv_heads = 4, got 6",
    ),
    "more key/value heads than heads": (
        refused(W_k=np.zeros((24, 13))),
        "n_heads must be a multiple of n_kv_heads = 12, got 6",
    ),
    "no row in W_k": (
        refused(W_k=np.zeros((0, 13))),
        "the rows of W_k must be a multiple of d_head = 2, got 0",
    ),
    "W_q transposed": (
        refused(W_q=np.zeros((11 + 1, 12))),
        f"W_q has shape (12, 12) but {SIZES}: expected (12, 11)",
    ),
    "W_k for another key": (
        refused(W_k=np.zeros((6, 11))),
        f"W_k has shape (6, 11) but {SIZES}: expected (6, 13)",
    ),
    "W_v with other heads than W_k": (
        refused(W_v=np.zeros((12, 17))),
        f"W_v has shape (12, 17) but {SIZES}: expected (6, 17)",
    ),
    "W_o for other heads": (
        refused(W_o=np.zeros((19, 6))),
        f"W_o has shape (19, 6) but {SIZES}: expected (19, 12)",
    ),
    "a bias for other heads": (
        refused(b_v=np.zeros(12)),
        f"b_v has shape (12,) but {SIZES}: expected (6,)",
    ),
    "a mask transposed": (
        refused(options={"mask": np.ones((7, 5), bool)}),
        "mask has shape (7, 5), which does not broadcast to the scores' shape "
        "(2, 5, 7)",
    ),
    "a mask with the heads in it": (
        refused(options={"mask": np.ones((2, 6, 5, 7), bool)}),
        "mask has shape (2, 6, 5, 7), which does not broadcast to the scores' shape "
        "(2, 5, 7)",
    ),
    "a mask of numbers": (
        refused(options={"mask": np.ones((5, 7))}),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "a head mask of numbers": (
        refused(options={"head_mask": np.ones(6)}),
        "head_mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "a head mask for other heads": (
        refused(options={"head_mask": np.ones(3, bool)}),
        "head_mask has shape (3,), which does not broadcast to (2, 6)",
    ),
    "a bias without the heads": (
        refused(options={"bias": np.ones((2, 5, 7))}),
        "bias has shape (2, 5, 7), which does not broadcast to (2, 6, 5, 7)",
    ),
    "a bias that is a number": (
        refused(options={"bias": 1.0}),
        "bias must be an array, but it is a float: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "angles for cross-attention": (
        refused(options={"angles": np.ones((5, 1))}),
        "angles has shape (5, 1) but x has 7 positions and 2 features: expected (7, 1)",
    ),
}


def in_half(value, half):
    """An argument for one half of the library: arrays, dicts of them, or anything."""
    if isinstance(value, dict):
        return {name: in_half(array, half) for name, array in value.items()}
    is_array = isinstance(value, np.ndarray)
    return to_torch(value)[0] if half == "torch" and is_array else value


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    (function, arguments, *options), sentence = REFUSED[case]
    arguments = [in_half(argument, half) for argument in arguments]
    options = in_half(options[0] if options else {}, half)
    float64 = "float64" if half == "numpy" else "torch.float64"
    function = function if half == "numpy" else twin_of(function)
    with pytest.raises((TypeError, ValueError)) as error:
        function(*arguments, **options)
    assert str(error.value) == sentence.replace("{float64}", float64)


def test_the_backward_refuses_what_the_forward_refuses():
    function, arguments, options = refused(options={"mask": np.ones((7, 5), bool)})
    with pytest.raises(ValueError, match="^mask has shape"):
        multi_head_attention_backward(QUERY, *arguments, **options)
    function, arguments, options = refused(without="W_q")
    with pytest.raises(ValueError, match="^parameters has no W_q"):
        multi_head_attention_backward(QUERY, *arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0, 1), "d_model must be a whole number from 1 up, got 0"),
        ((12, 5), "d_model must be a multiple of n_heads = 5, got 12"),
        ((12, 0), "n_heads must be a whole number from 1 up, got 0"),
        ((12, 6, 4), "n_heads must be a multiple of n_kv_heads = 4, got 6"),
        ((12, 6, 0), "n_kv_heads must be a whole number from 1 up, got 0"),
    ],
)
def test_the_module_refuses_sizes_that_cannot_be_shared_out(arguments, sentence):
    need_torch()
    from course_lib.in_torch.multi_head import MultiHeadAttention

    with pytest.raises(ValueError) as error:
        MultiHeadAttention(*arguments)
    assert str(error.value) == sentence
