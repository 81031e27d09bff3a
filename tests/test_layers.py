"""Layers: the twins agree, the gradients are right, and torch's own layers agree."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from models import (
    assert_same_trees,
    assert_tree_gradients,
    draw_layer,
    gradients_of,
    in_torchs_names,
    leaves,
    map_tree,
    tree_to_torch,
)
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    central_differences,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.layers import (
    decoder_layer,
    decoder_layer_backward,
    encoder_layer,
    encoder_layer_backward,
    feed_forward_sublayer,
    normalise,
)
from course_lib.in_numpy.masks import causal_mask
from course_lib.in_numpy.positions import alibi_bias, rotary_angles
from course_lib.shapes.transformer import Settings

few = hypothesis_settings(drawn, max_examples=30)  # layers are slow to draw
N, N_MEMORY, D_MODEL, D_FF, N_HEADS, D_HEAD = 5, 3, 7, 11, 4, 2
TORCH_MODEL = 12  # torch wants n_heads * d_head here
KINDS = st.fixed_dictionaries(
    {
        "norm_first": st.booleans(),
        "activation": st.sampled_from(["relu", "gelu", "swiglu"]),
        "norm": st.sampled_from(["layer", "rms"]),
        "n_kv_heads": st.sampled_from([1, 2, 4]),
        "biased": st.booleans(),
    }
)
BATCHES = st.sampled_from([(), (1,), (2,), (2, 3)])
MASKS = st.sampled_from([None, (N, N), (1, N), (2, 1, N)])
MEMORY_MASKS = st.sampled_from([None, (N_MEMORY,), (N, N_MEMORY), (2, 1, N_MEMORY)])


def draw(
    seed=0,
    norm_first=False,
    activation="relu",
    norm="layer",
    n_kv_heads=2,
    biased=True,
    batch=(2,),
    cross=False,
):
    """Settings, parameters, x and, with cross, a memory."""
    rng = np.random.default_rng(seed)
    sizes = D_MODEL, N_HEADS, D_HEAD, D_FF, n_kv_heads
    parameters = draw_layer(rng, *sizes, activation, norm, biased, cross)
    settings = Settings(N_HEADS, norm_first, activation, eps=1e-3)
    x = rng.standard_normal((*batch, N, D_MODEL))
    memory = rng.standard_normal((*batch, N_MEMORY, D_MODEL))
    return settings, parameters, x, memory


def draw_mask(seed, shape, batch=(2,)):
    """A mask that leaves some rows nothing; one example's own only if there are two."""
    if shape is None:
        return None
    if len(shape) == 3 and batch != (2,):
        shape = shape[1:]
    return np.random.default_rng(seed).random(shape) < 0.6


def draw_extras(seed, which):
    """A head mask, rotary angles and ALiBi's bias, or None for each."""
    heads = np.random.default_rng(seed).random(N_HEADS) < 0.6
    extras = heads, rotary_angles(N, D_HEAD), alibi_bias(N_HEADS, N)
    return [extra if use else None for extra, use in zip(extras, which, strict=True)]


EXTRAS = st.tuples(*[st.booleans()] * 3)

# One number by hand -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("norm_first", "expected"),
    [
        # Read [-1, 1], nothing to attend to but itself: [0, 4]. Read [-1, 1] again,
        # hidden 1, so 1 is added to the first feature.
        (True, [1, 4]),
        # [1, 3] + [1, 3] = [2, 6], normalised [-1, 1]; hidden 1: [0, 1]; normalised.
        (False, [-1, 1]),
    ],
)
def test_a_layer_by_hand(norm_first, expected):
    one, norm = np.eye(2), {"gain": np.ones(2), "bias": np.zeros(2)}
    parameters = {
        "attention": {"W_q": one, "W_k": one, "W_v": one, "W_o": one},
        "attention_norm": norm,
        "feed_forward": {"W_1": np.array([[0.0, 1]]), "W_2": np.array([[1.0], [0]])},
        "feed_forward_norm": norm,
    }
    settings = Settings(n_heads=1, norm_first=norm_first, eps=1e-20)
    x, weights = encoder_layer(np.array([[1.0, 3]]), parameters, settings)
    np.testing.assert_allclose(x, [expected], rtol=0, atol=1e-14)
    assert weights.tolist() == [[[1.0]]]


def test_a_norm_without_bias_is_rms_norm_by_hand():
    x = np.array([3.0, 4])  # root mean square: sqrt(12.5)
    output = normalise(x, {"gain": np.array([1.0, 2])}, 1e-20)
    np.testing.assert_allclose(output, np.array([3, 8]) / 12.5**0.5, atol=1e-14)


# The twins agree, and so do the gradients ---------------------------------------------


@few
@given(seed=SEEDS, kind=KINDS, batch=BATCHES, mask=MASKS, which=EXTRAS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_encoder_twins_agree(seed, kind, batch, mask, which, dtype):
    settings, parameters, x, _ = draw(seed, batch=batch, **kind)
    parameters, x = map_tree(lambda a: a.astype(dtype), parameters), x.astype(dtype)
    mask, extras = draw_mask(seed, mask, batch), draw_extras(seed, which)
    ours = encoder_layer(x, parameters, settings, mask, *extras)
    theirs = twin_of(encoder_layer)(
        *to_torch(x),
        tree_to_torch(parameters),
        settings,
        *to_torch(mask, *extras),
    )
    assert {array.dtype.name for array in ours} == {dtype}
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


@few
@given(seed=SEEDS, kind=KINDS, batch=BATCHES, mask=MASKS, memory_mask=MEMORY_MASKS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_decoder_twins_agree(seed, kind, batch, mask, memory_mask, dtype):
    settings, parameters, *states = draw(seed, batch=batch, cross=True, **kind)
    parameters = map_tree(lambda a: a.astype(dtype), parameters)
    states = [array.astype(dtype) for array in states]
    masks = draw_mask(seed, mask, batch), draw_mask(seed, memory_mask, batch)
    ours = decoder_layer(*states, parameters, settings, *masks)
    theirs = twin_of(decoder_layer)(
        *to_torch(*states), tree_to_torch(parameters), settings, *to_torch(*masks)
    )
    assert {array.dtype.name for array in ours} == {dtype}
    assert_all_close([t.numpy() for t in theirs], ours, **TOLERANCE[dtype])


@few
@given(seed=SEEDS, kind=KINDS, batch=BATCHES, mask=MASKS, which=EXTRAS)
def test_encoder_gradients_equal_autograd(seed, kind, batch, mask, which):
    settings, parameters, x, _ = draw(seed, batch=batch, **kind)
    options = draw_mask(seed, mask, batch), *draw_extras(seed, which)
    d_output = np.random.default_rng(seed + 1).standard_normal(x.shape)
    ours = encoder_layer_backward(d_output, x, parameters, settings, *options)
    tensors = tree_to_torch([x, parameters], requires_grad=True)
    output, _ = twin_of(encoder_layer)(*tensors, settings, *to_torch(*options))
    output.backward(*to_torch(d_output))
    assert_same_trees(list(ours), gradients_of(tensors), **GRADIENT_TOLERANCE)


@few
@given(
    seed=SEEDS,
    kind=KINDS,
    batch=BATCHES,
    mask=MASKS,
    memory_mask=MEMORY_MASKS,
    which=EXTRAS,
)
def test_decoder_gradients_equal_autograd(seed, kind, batch, mask, memory_mask, which):
    settings, parameters, x, memory = draw(seed, batch=batch, cross=True, **kind)
    masks = draw_mask(seed, mask, batch), draw_mask(seed, memory_mask, batch)
    _, *extras = draw_extras(seed, which)
    d_output = np.random.default_rng(seed + 1).standard_normal(x.shape)
    ours = decoder_layer_backward(
        d_output, x, memory, parameters, settings, *masks, *extras
    )
    tensors = tree_to_torch([x, memory, parameters], requires_grad=True)
    output, _, _ = twin_of(decoder_layer)(
        *tensors, settings, *to_torch(*masks), None, *to_torch(*extras)
    )
    output.backward(*to_torch(d_output))
    assert_same_trees(list(ours), gradients_of(tensors), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_gradients_equal_central_differences(norm_first):
    settings, parameters, x, _ = draw(3, norm_first, "swiglu", "layer", batch=())
    mask, extras = causal_mask(N), draw_extras(3, (True, True, True))
    d_output = np.random.default_rng(4).standard_normal(x.shape)
    d_x, gradients = encoder_layer_backward(
        d_output, x, parameters, settings, mask, *extras
    )

    assert_tree_gradients(
        [d_x, gradients],
        lambda: encoder_layer(x, parameters, settings, mask, *extras)[0],
        [x, parameters],
        d_output,
    )


@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_gradients_equal_central_differences(norm_first):
    settings, parameters, x, memory = draw(5, norm_first, "gelu", "rms", cross=True)
    masks = causal_mask(N), np.array([[True, False, True], [False] * 3])[:, None]
    d_output = np.random.default_rng(6).standard_normal(x.shape)
    d_x, d_memory, gradients = decoder_layer_backward(
        d_output, x, memory, parameters, settings, *masks
    )

    def forward(x, memory, *_):
        return decoder_layer(x, memory, parameters, settings, *masks)[0]

    arrays = [x, memory, *(array for _, array in leaves(parameters))]
    differences = central_differences(forward, arrays, d_output)
    found = dict(leaves(gradients))
    ours = [d_x, d_memory, *(found[path] for path, _ in leaves(parameters))]
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


# torch's own layers -------------------------------------------------------------------


def torch_layer(kind, settings, parameters):
    """nn.TransformerEncoderLayer or DecoderLayer with our weights."""
    torch = need_torch()
    layer = getattr(torch.nn, kind)(
        TORCH_MODEL,
        settings.n_heads,
        D_FF,
        dropout=0.0,
        activation=settings.activation,
        layer_norm_eps=settings.eps,
        batch_first=True,
        norm_first=settings.norm_first,
        dtype=torch.float64,
    )
    layer.load_state_dict(tree_to_torch(in_torchs_names(parameters)))
    return layer


def draw_for_torch(norm_first, activation, cross):
    """Settings, parameters, x and memory with n_heads * d_head = d_model."""
    rng = np.random.default_rng(7)
    parameters = draw_layer(rng, TORCH_MODEL, 3, 4, D_FF, None, activation, cross=cross)
    settings = Settings(3, norm_first, activation, eps=1e-3)
    x = rng.standard_normal((2, N, TORCH_MODEL))
    return settings, parameters, x, rng.standard_normal((2, N_MEMORY, TORCH_MODEL))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_encoder_layer_equals_torchs_own(norm_first, activation):
    settings, parameters, x, _ = draw_for_torch(norm_first, activation, cross=False)
    real = np.array([[True] * N, [True, True, True, False, False]])
    mask = causal_mask(N) & real[:, None]
    output, _ = encoder_layer(x, parameters, settings, mask)
    layer = torch_layer("TransformerEncoderLayer", settings, parameters)
    (x_torch,) = to_torch(x, requires_grad=True)
    theirs = layer(  # torch's masks are True where nothing may be seen
        x_torch,
        src_mask=~to_torch(causal_mask(N))[0],
        src_key_padding_mask=~to_torch(real)[0],
    )
    assert_all_close([output], [theirs.detach().numpy()], **TOLERANCE["float64"])
    d_output = np.random.default_rng(8).standard_normal(x.shape)
    theirs.backward(*to_torch(d_output))
    d_x, gradients = encoder_layer_backward(d_output, x, parameters, settings, mask)
    assert_all_close([d_x], [x_torch.grad], **GRADIENT_TOLERANCE)
    grads = {name: p.grad for name, p in layer.named_parameters()}
    assert_same_trees(in_torchs_names(gradients), grads, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_decoder_layer_equals_torchs_own(norm_first, activation):
    settings, parameters, x, memory = draw_for_torch(norm_first, activation, cross=True)
    real = np.array([[True, True, True], [True, False, False]])
    masks = causal_mask(N), real[:, None]
    output, _, _ = decoder_layer(x, memory, parameters, settings, *masks)
    layer = torch_layer("TransformerDecoderLayer", settings, parameters)
    states = to_torch(x, memory, requires_grad=True)
    theirs = layer(
        *states,
        tgt_mask=~to_torch(causal_mask(N))[0],
        memory_key_padding_mask=~to_torch(real)[0],
    )
    assert_all_close([output], [theirs.detach().numpy()], **TOLERANCE["float64"])
    d_output = np.random.default_rng(9).standard_normal(x.shape)
    theirs.backward(*to_torch(d_output))
    d_x, d_memory, gradients = decoder_layer_backward(
        d_output, x, memory, parameters, settings, *masks
    )
    found = [state.grad.numpy() for state in states]
    assert_all_close([d_x, d_memory], found, **GRADIENT_TOLERANCE)
    grads = {name: p.grad for name, p in layer.named_parameters()}
    assert_same_trees(in_torchs_names(gradients), grads, **GRADIENT_TOLERANCE)


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_order_of_words_does_not_matter_to_a_layer_without_positions(norm_first):
    settings, parameters, x, _ = draw(10, norm_first)
    order = np.random.default_rng(10).permutation(N)
    output, weights = encoder_layer(x, parameters, settings)
    moved, moved_weights = encoder_layer(x[:, order], parameters, settings)
    assert_all_close([moved], [output[:, order]], rtol=0, atol=1e-13)
    expected = weights[..., order, :][..., order]
    assert_all_close([moved_weights], [expected], rtol=0, atol=1e-13)


@pytest.mark.parametrize("norm_first", [False, True])
def test_nothing_before_a_word_changes_with_it_not_by_one_bit(norm_first):
    settings, parameters, x, memory = draw(11, norm_first, cross=True)
    changed, mask = x.copy(), causal_mask(N)
    changed[:, 3:] = 1e6
    one, _, _ = decoder_layer(x, memory, parameters, settings, mask)
    other, _, _ = decoder_layer(changed, memory, parameters, settings, mask)
    np.testing.assert_array_equal(one[:, :3], other[:, :3])
    assert np.all(one[:, 3:] != other[:, 3:])
    twin, tree = twin_of(decoder_layer), tree_to_torch(parameters)
    one, other = (
        twin(*to_torch(states, memory), tree, settings, *to_torch(mask))[0].numpy()
        for states in (x, changed)
    )
    np.testing.assert_array_equal(one[:, :3], other[:, :3])


@pytest.mark.parametrize("norm_first", [False, True])
def test_masked_memory_has_no_influence_not_by_one_bit(norm_first):
    settings, parameters, x, memory = draw(12, norm_first, cross=True)
    hidden, d_output = memory.copy(), np.ones_like(x)
    hidden[:, 1] = 1e100
    mask = np.array([True, False, True])
    results = [
        [
            *decoder_layer(x, one, parameters, settings, None, mask),
            *decoder_layer_backward(d_output, x, one, parameters, settings, None, mask),
        ]
        for one in (memory, hidden)
    ]
    assert np.all(results[0][4][:, 1] == 0)  # d_memory
    for one, other in zip(*results, strict=True):
        assert_same_trees(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("norm_first", [False, True])
def test_with_all_masked_and_all_heads_knocked_out_only_the_bias_is_added(norm_first):
    settings, parameters, x, _ = draw(13, norm_first)
    nothing, no_heads = np.zeros((N, N), bool), np.zeros(N_HEADS, bool)
    silent, weights = encoder_layer(x, parameters, settings, nothing)
    assert np.all(weights == 0)
    deaf, _ = encoder_layer(x, parameters, settings, None, no_heads)
    np.testing.assert_array_equal(silent, deaf)
    expected = x + parameters["attention"]["b_o"]
    if not norm_first:
        expected = normalise(expected, parameters["attention_norm"], settings.eps)
    expected = feed_forward_sublayer(expected, parameters, settings)
    np.testing.assert_allclose(silent, expected, rtol=0, atol=1e-14)
    d_x, gradients = encoder_layer_backward(
        np.ones_like(x), x, parameters, settings, nothing
    )
    for name in ("W_q", "W_k", "W_v", "b_q", "b_k", "b_v", "W_o"):
        assert np.all(gradients["attention"][name] == 0), name


@pytest.mark.parametrize("cross", [False, True])
def test_every_example_of_a_batch_stands_alone(cross):
    settings, parameters, x, memory = draw(14, batch=(2, 3), cross=cross)
    states = (x, memory) if cross else (x,)
    layer = decoder_layer if cross else encoder_layer
    output = layer(*states, parameters, settings)[0]
    for i in np.ndindex(2, 3):
        alone = layer(*(state[i] for state in states), parameters, settings)[0]
        np.testing.assert_allclose(alone, output[i], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch", "n"), [((0,), N), ((2, 0), N), ((), 1), ((3,), 1)])
def test_an_empty_batch_and_a_single_word_keep_their_shapes(batch, n):
    settings, parameters, x, memory = draw(15, batch=batch, cross=True)
    x = x[..., :n, :]
    output, weights, cross = decoder_layer(x, memory, parameters, settings)
    assert output.shape == x.shape
    assert weights.shape == (*batch, N_HEADS, n, n)
    assert cross.shape == (*batch, N_HEADS, n, N_MEMORY)
    d_x, d_memory, gradients = decoder_layer_backward(
        output, x, memory, parameters, settings
    )
    assert (d_x.shape, d_memory.shape) == (x.shape, memory.shape)
    shapes = map_tree(np.shape, parameters)
    assert dict(leaves(map_tree(np.shape, gradients))) == dict(leaves(shapes))
    theirs, _, _ = twin_of(decoder_layer)(
        *to_torch(x, memory), tree_to_torch(parameters), settings
    )
    assert_all_close([theirs.numpy()], [output], **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    settings, parameters, x, memory = draw(16, cross=True)
    mask, memory_mask = causal_mask(N), np.ones((N, N_MEMORY), bool)
    arrays = [x, memory, parameters, mask, memory_mask]
    kept = map_tree(np.copy, arrays)
    output, *_ = decoder_layer(x, memory, parameters, settings, mask, memory_mask)
    decoder_layer_backward(output, x, memory, parameters, settings, mask, memory_mask)
    assert_same_trees(arrays, kept, rtol=0, atol=0)
    tensors = tree_to_torch(arrays)
    twin_of(decoder_layer)(*tensors[:3], settings, *tensors[3:])
    assert_same_trees(tensors, kept, rtol=0, atol=0)


# The modules --------------------------------------------------------------------------


def modules(settings, norm="layer", bias=True, d_model=8):
    """An EncoderLayer and a DecoderLayer."""
    need_torch()
    from course_lib.in_torch.layers import DecoderLayer, EncoderLayer

    shape = d_model, D_FF, settings, 2, norm, bias
    return EncoderLayer(*shape), DecoderLayer(*shape)


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["relu", "swiglu"])
def test_modules_hold_the_weights_and_call_the_functions(norm, bias, activation):
    need_torch()
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    settings = Settings(N_HEADS, True, activation)
    encoder, decoder = (m.double() for m in modules(settings, norm, bias))
    rng = np.random.default_rng(17)
    x, memory = rng.standard_normal((2, N, 8)), rng.standard_normal((2, N_MEMORY, 8))
    mask, head_mask = causal_mask(N), np.array([True, False, True, True])
    extras = rotary_angles(N, 2), alibi_bias(N_HEADS, N)
    options = mask, head_mask, *extras
    theirs = encoder(*to_torch(x, *options))
    ours = encoder_layer(x, numpy_tree(parameter_tree(encoder)), settings, *options)
    assert_same_trees(list(theirs), list(ours), **TOLERANCE["float64"])
    memory_mask = np.array([True, True, False])
    theirs = decoder(*to_torch(x, memory, mask, memory_mask, None, *extras))
    tree = numpy_tree(parameter_tree(decoder))
    ours = decoder_layer(x, memory, tree, settings, mask, memory_mask, None, *extras)
    assert_same_trees(list(theirs), list(ours), **TOLERANCE["float64"])


def test_a_norm_module_normalises():
    torch = need_torch()
    from course_lib.in_torch.layers import Norm

    x = torch.tensor([[1.0, 3.0]])
    assert Norm(2)(x, eps=1e-20).tolist() == [[-1.0, 1.0]]
    rms = Norm(2, "rms")
    assert [name for name, _ in rms.named_parameters()] == ["gain"]
    np.testing.assert_allclose(rms(x)[0].detach(), np.array([1, 3]) / 5**0.5, 1e-5)


def test_an_embedding_starts_so_that_its_logits_spread_by_one():
    torch = need_torch()
    from course_lib.in_torch.layers import Embedding

    torch.manual_seed(0)
    table = Embedding(1000, 64).weight.detach()
    assert float(table.std()) == pytest.approx(1 / 8, rel=0.02)
    logits = torch.randn(1000, 64) @ table.T
    assert float(logits.std()) == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_every_twin_runs_on_any_device(device):
    device_or_skip(device)
    settings, parameters, x, memory = draw(18, cross=True)
    arrays = [x, memory, parameters, causal_mask(N), np.ones(N_MEMORY, bool)]
    x, memory, tree, mask, memory_mask = tree_to_torch(arrays, device=device)
    results = twin_of(decoder_layer)(x, memory, tree, settings, mask, memory_mask)
    assert {tensor.device.type for tensor in results} == {device}
    assert tuple(results[0].shape) == x.shape


# Bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"n_heads": 0}, "n_heads must be a whole number from 1 up, got 0"),
        ({"norm_first": "pre"}, "norm_first must be one of False, True, got 'pre'"),
        (
            {"activation": "tanh"},
            "activation must be one of 'relu', 'gelu', 'swiglu', got 'tanh'",
        ),
        (
            {"positions": "absolute"},
            "positions must be one of 'sinusoidal', 'learned', 'rotary', 'alibi', "
            "'none', got 'absolute'",
        ),
        ({"eps": 0}, "eps must be a positive number, got 0"),
        ({"rotary_base": None}, "rotary_base must be a positive number, got None"),
    ],
)
def test_settings_refuse_what_is_not_known(change, sentence):
    with pytest.raises(ValueError) as error:
        dataclasses.replace(Settings(4), **change)
    assert str(error.value) == sentence


def test_a_norm_of_an_unknown_kind_is_refused():
    need_torch()
    from course_lib.in_torch.layers import Norm

    with pytest.raises(ValueError, match="^kind must be one of 'layer', 'rms', got 'b"):
        Norm(7, "batch")


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("cross", [False, True])
def test_a_layer_that_lacks_a_part_is_refused(cross, half):
    settings, parameters, x, memory = draw(19, cross=cross)
    function = decoder_layer if cross else encoder_layer
    states = (x, memory) if cross else (x,)
    del parameters["feed_forward_norm"]
    if half == "torch":
        function, states = twin_of(function), to_torch(*states)
        parameters = tree_to_torch(parameters)
    expected = "^parameters has no feed_forward_norm: expected attention, "
    with pytest.raises(ValueError, match=expected):
        function(*states, parameters, settings)
