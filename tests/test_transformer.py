"""The encoder-decoder: twins, gradients, torch's own, a training step, the cache."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from models import (
    assert_same_trees,
    assert_tree_gradients,
    draw_norm,
    draw_stack,
    draw_table,
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
    assert_refused,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.adam import adam_moments, adam_step
from course_lib.in_numpy.cache import KeyValueCache
from course_lib.in_numpy.ops import cross_entropy, cross_entropy_backward
from course_lib.in_numpy.stack import add_positions, decoder_stack, encoder_stack
from course_lib.in_numpy.transformer import (
    decode,
    encode,
    transformer,
    transformer_backward,
)
from course_lib.shapes.transformer import POSITIONS, Settings

few = hypothesis_settings(drawn, max_examples=20)  # models are slow to draw
N_SOURCE, N_TARGET, N_SOURCE_WORDS, N_TARGET_WORDS = 7, 5, 13, 11
D_MODEL, D_FF, N_HEADS, MAX_LENGTH = 6, 3, 2, 17
KINDS = st.fixed_dictionaries(
    {
        "norm_first": st.booleans(),
        "activation": st.sampled_from(["relu", "gelu", "swiglu"]),
        "positions": st.sampled_from(POSITIONS),
        "norm": st.sampled_from(["layer", "rms"]),
        "n_kv_heads": st.sampled_from([1, 2]),
        "shared": st.booleans(),
    }
)


def draw(
    seed=0,
    norm_first=False,
    activation="relu",
    positions="sinusoidal",
    norm="layer",
    n_kv_heads=2,
    shared=False,
    d_model=D_MODEL,
    n_heads=N_HEADS,
):
    """Settings and parameters of a small Transformer of two and two layers."""
    rng = np.random.default_rng(seed)
    settings = Settings(n_heads, norm_first, activation, 1e-3, positions)
    kind = {"norm": norm, "n_kv_heads": n_kv_heads}
    parameters = {
        "target_embedding": draw_table(rng, N_TARGET_WORDS, d_model),
        "encoder": draw_stack(rng, settings, d_model, D_FF, **kind),
        "decoder": draw_stack(rng, settings, d_model, D_FF, cross=True, **kind),
    }
    if not shared:
        parameters["source_embedding"] = draw_table(rng, N_SOURCE_WORDS, d_model)
    if positions == "learned":
        parameters["position_table"] = draw_table(rng, MAX_LENGTH, d_model)
    if norm_first:
        parameters["encoder_norm"] = draw_norm(rng, d_model, norm)
        parameters["decoder_norm"] = draw_norm(rng, d_model, norm)
    return settings, parameters


def draw_words(seed=0, batch=(2,), masked=True):
    """Source, target input and source mask; the first example has no padding."""
    rng = np.random.default_rng(seed)
    source = rng.integers(N_TARGET_WORDS, size=(*batch, N_SOURCE))
    target_input = rng.integers(N_TARGET_WORDS, size=(*batch, N_TARGET))
    lengths = rng.integers(1, N_SOURCE + 1, size=(*batch, 1))
    lengths.reshape(-1)[:1] = N_SOURCE
    return source, target_input, (np.arange(N_SOURCE) < lengths) if masked else None


# One number by hand -------------------------------------------------------------------


def test_a_transformer_without_layers_by_hand():
    # Word 0 is [1, 0, 0, 0], times sqrt(4), plus the sinusoids of position 0,
    # [0, 1, 0, 1]: [2, 1, 0, 1]. Its mean is 1 and its variance 1/2.
    norm = {"gain": np.ones(4), "bias": np.zeros(4)}
    parameters = {"target_embedding": np.eye(4), "encoder": [], "decoder": []}
    parameters |= {"encoder_norm": norm, "decoder_norm": norm}
    settings = Settings(n_heads=1, norm_first=True, eps=1e-20, positions="sinusoidal")
    source, target = np.array([3, 1]), np.array([0])
    expected = [[math.sqrt(2), 0, -math.sqrt(2), 0]]
    for half in ("numpy", "torch"):
        if half == "numpy":
            logits, weights = transformer(source, target, parameters, settings)
        else:
            logits, weights = twin_of(transformer)(
                *to_torch(source, target), tree_to_torch(parameters), settings
            )
        np.testing.assert_allclose(np.asarray(logits), expected, rtol=0, atol=1e-14)
        assert weights == []


# The twins agree, and so do the gradients ---------------------------------------------


@few
@given(
    seed=SEEDS,
    kind=KINDS,
    batch=st.sampled_from([(), (1,), (3,), (2, 3)]),
    masked=st.booleans(),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, kind, batch, masked, dtype):
    settings, parameters = draw(seed, **kind)
    parameters = map_tree(lambda a: a.astype(dtype), parameters)
    source, target_input, mask = draw_words(seed, batch, masked)
    ours = transformer(source, target_input, parameters, settings, mask)
    theirs = twin_of(transformer)(
        *to_torch(source, target_input),
        tree_to_torch(parameters),
        settings,
        *to_torch(mask),
    )
    assert ours[0].dtype == dtype
    assert_same_trees(list(theirs), list(ours), **TOLERANCE[dtype])


@few
@given(seed=SEEDS, kind=KINDS, masked=st.booleans())
def test_gradients_equal_autograd(seed, kind, masked):
    settings, parameters = draw(seed, **kind)
    source, target_input, mask = draw_words(seed, (2, 3), masked)
    rng = np.random.default_rng(seed + 1)
    d_logits = rng.standard_normal((2, 3, N_TARGET, N_TARGET_WORDS))
    ours = transformer_backward(
        d_logits, source, target_input, parameters, settings, mask
    )
    tree = tree_to_torch(parameters, requires_grad=True)
    logits, _ = twin_of(transformer)(
        *to_torch(source, target_input), tree, settings, *to_torch(mask)
    )
    logits.backward(*to_torch(d_logits))
    assert_same_trees(ours, gradients_of(tree), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(
    ("norm_first", "positions", "shared"),
    [(False, "sinusoidal", True), (True, "learned", False)],
)
def test_gradients_equal_central_differences(norm_first, positions, shared):
    kind = {"activation": "gelu", "positions": positions, "shared": shared}
    settings, parameters = draw(2, norm_first, **kind)
    settings = dataclasses.replace(settings, eps=0.1)  # no norm bends too much
    parameters |= {name: parameters[name][:1] for name in ("encoder", "decoder")}
    source, target_input, mask = draw_words(2)
    rng = np.random.default_rng(3)
    d_logits = rng.normal(0, 0.05, (2, N_TARGET, N_TARGET_WORDS))
    assert_tree_gradients(
        transformer_backward(
            d_logits, source, target_input, parameters, settings, mask
        ),
        lambda: transformer(source, target_input, parameters, settings, mask)[0],
        parameters,
        d_logits,
    )


# torch's own --------------------------------------------------------------------------


def torchs_transformer(settings, parameters, d_model):
    """nn.Transformer of our sizes. Post-norm, its own stacks would end in one more."""
    torch = need_torch()
    options = {
        "dropout": 0.0,
        "activation": settings.activation,
        "layer_norm_eps": settings.eps,
        "batch_first": True,
        "norm_first": settings.norm_first,
        "dtype": torch.float64,
    }
    n_layers, size, nn = len(parameters["encoder"]), (settings.n_heads, D_FF), torch.nn
    kinds = {"eps": settings.eps, "dtype": torch.float64}
    norms = [
        nn.LayerNorm(d_model, **kinds) if settings.norm_first else None for _ in "ed"
    ]
    layer = nn.TransformerEncoderLayer(d_model, *size, **options)
    encoder = nn.TransformerEncoder(layer, n_layers, norms[0], False)
    layer = nn.TransformerDecoderLayer(d_model, *size, **options)
    decoder = nn.TransformerDecoder(layer, n_layers, norms[1])
    stacks = {"custom_encoder": encoder, "custom_decoder": decoder}
    return nn.Transformer(d_model, settings.n_heads, batch_first=True, **stacks)


def stacks_in_torchs_names(tree):
    """Both stacks of a tree under the names of nn.Transformer."""
    names = {}
    for stack in ("encoder", "decoder"):
        for i, layer in enumerate(tree[stack]):
            for name, array in in_torchs_names(layer).items():
                names[f"{stack}.layers.{i}.{name}"] = array
        if f"{stack}_norm" in tree:
            names[f"{stack}.norm.weight"] = tree[f"{stack}_norm"]["gain"]
            names[f"{stack}.norm.bias"] = tree[f"{stack}_norm"]["bias"]
    return names


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_both_stacks_equal_torchs_transformer(norm_first, activation):
    torch = need_torch()
    d_model, n_heads = 6, 3  # torch wants n_heads * d_head = d_model
    settings, parameters = draw(
        4, norm_first, activation, "none", n_kv_heads=3, d_model=d_model, n_heads=3
    )
    assert n_heads == settings.n_heads
    source, target_input, mask = draw_words(4)
    theirs = torchs_transformer(settings, parameters, d_model)
    theirs.load_state_dict(tree_to_torch(stacks_in_torchs_names(parameters)))
    tables = to_torch(
        parameters["source_embedding"],
        parameters["target_embedding"],
        requires_grad=True,
    )
    ids, real = to_torch(source, target_input), to_torch(mask)[0]
    x, y = (
        table[words] * d_model**0.5 for table, words in zip(tables, ids, strict=True)
    )
    states = theirs(
        x,
        y,
        tgt_mask=torch.nn.Transformer.generate_square_subsequent_mask(
            N_TARGET, dtype=torch.float64
        ).isinf(),
        src_key_padding_mask=~real,
        memory_key_padding_mask=~real,
    )
    logits = states @ tables[1].T
    ours, _ = transformer(source, target_input, parameters, settings, mask)
    assert_all_close([ours], [logits.detach().numpy()], **TOLERANCE["float64"])
    d_logits = np.random.default_rng(5).standard_normal(ours.shape)
    logits.backward(*to_torch(d_logits))
    gradients = transformer_backward(
        d_logits, source, target_input, parameters, settings, mask
    )
    found = {name: p.grad for name, p in theirs.named_parameters()}
    expected = stacks_in_torchs_names(gradients)
    assert_same_trees(expected, found, **GRADIENT_TOLERANCE)
    ours = [gradients["source_embedding"], gradients["target_embedding"]]
    assert_all_close(ours, [table.grad for table in tables], **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("norm_first", [False, True])
def test_training_steps_in_numpy_equal_those_of_torch(norm_first):
    torch = need_torch()
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    model = module(norm_first=norm_first, positions="learned").double()
    parameters = numpy_tree(parameter_tree(model))
    first = second = adam_moments(parameters)
    numbers = {"betas": (0.9, 0.98), "eps": 1e-9}  # Vaswani et al. 2017, section 5.3
    adam = torch.optim.Adam(model.parameters(), lr=0.01, **numbers)
    padding = 0
    for step in (1, 2, 3):
        source, target_input, mask = draw_words(step)
        target = np.roll(target_input, -1, axis=-1)
        counts = target != padding

        logits, _ = transformer(source, target_input, parameters, model.settings, mask)
        loss = cross_entropy(logits, target, counts, label_smoothing=0.1)
        d_logits = cross_entropy_backward(logits, target, counts, label_smoothing=0.1)
        gradients = transformer_backward(
            d_logits, source, target_input, parameters, model.settings, mask
        )
        parameters, first, second = adam_step(
            parameters, gradients, first, second, step, 0.01, **numbers
        )

        ids = to_torch(source, mask, target_input, target)
        theirs = torch.nn.functional.cross_entropy(
            model(*ids[:3])[0].flatten(0, 1),
            ids[3].flatten(),
            ignore_index=padding,
            label_smoothing=0.1,
        )
        adam.zero_grad()
        theirs.backward()
        adam.step()
        assert loss == pytest.approx(theirs.item(), abs=1e-10)
        assert_same_trees(parameters, parameter_tree(model), rtol=0, atol=1e-8)
    assert loss > 0


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_no_word_sees_those_after_it_not_by_one_bit(norm_first, positions, half):
    settings, parameters = draw(6, norm_first, positions=positions)
    source, target_input, mask = draw_words(6)
    changed = target_input.copy()
    changed[:, 3:] = (changed[:, 3:] + 1) % N_TARGET_WORDS
    function = transformer
    words = [source, target_input, changed, mask]
    if half == "torch":
        function, parameters = twin_of(function), tree_to_torch(parameters)
        words = to_torch(*words)
    source, target_input, changed, mask = words
    one, _ = function(source, target_input, parameters, settings, mask)
    other, _ = function(source, changed, parameters, settings, mask)
    np.testing.assert_array_equal(one[:, :3], other[:, :3])
    assert np.all(np.asarray(one != other)[:, 3:].any(axis=-1))


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_has_no_influence_not_by_one_bit(positions, half):
    settings, parameters = draw(7, positions=positions)
    source, target_input, mask = draw_words(7)
    assert not mask.all()
    changed = np.where(mask, source, (source + 1) % N_TARGET_WORDS)
    function, reader = transformer, encode
    if half == "torch":
        function, reader = twin_of(transformer), twin_of(encode)
        parameters = tree_to_torch(parameters)
        source, target_input, changed, mask = to_torch(
            source, target_input, changed, mask
        )
    one, other = (
        function(words, target_input, parameters, settings, mask)
        for words in (source, changed)
    )
    assert_same_trees(list(one), list(other), rtol=0, atol=0)
    one, other = (
        reader(words, parameters, settings, mask)[0] for words in (source, changed)
    )
    np.testing.assert_array_equal(one[mask], other[mask])
    assert not np.array_equal(one, other)


def test_padding_changes_no_gradient_but_its_own_not_by_one_bit():
    settings, parameters = draw(8)
    source, target_input, mask = draw_words(8)
    unused = N_SOURCE_WORDS - 1  # draw_words draws words of the target
    changed = np.where(mask, source, unused)
    assert np.any(changed == unused)
    d_logits = np.ones((2, N_TARGET, N_TARGET_WORDS))
    one, other = (
        transformer_backward(d_logits, words, target_input, parameters, settings, mask)
        for words in (source, changed)
    )
    assert np.all(other["source_embedding"][unused] == 0)
    assert_same_trees(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_word_by_word_with_a_cache_equals_all_at_once(norm_first, positions, half):
    settings, parameters = draw(9, norm_first, positions=positions, n_kv_heads=1)
    source, target_input, mask = draw_words(9)
    writer, reader, cache = decode, encode, KeyValueCache
    if half == "torch":
        from course_lib.in_torch.cache import KeyValueCache as cache

        writer, reader = twin_of(decode), twin_of(encode)
        parameters = tree_to_torch(parameters)
        source, target_input, mask = to_torch(source, target_input, mask)
    memory, _ = reader(source, parameters, settings, mask)
    expected, weights, cross = writer(target_input, memory, parameters, settings, mask)
    caches = [cache() for _ in parameters["decoder"]]
    for start, stop in itertools.pairwise([0, 2, 3, N_TARGET]):
        logits, new_weights, new_cross = writer(
            target_input[:, start:stop], memory, parameters, settings, mask, caches
        )
        new = slice(start, stop)
        assert_all_close([logits], [expected[:, new]], rtol=0, atol=1e-12)
        for all_weights, own in zip(weights, new_weights, strict=True):
            own_expected = all_weights[..., new, :stop]
            assert_all_close([own], [own_expected], rtol=0, atol=1e-12)
        for all_weights, own in zip(cross, new_cross, strict=True):
            assert_all_close([own], [all_weights[..., new, :]], rtol=0, atol=1e-12)


def test_a_cache_can_go_on_from_other_beams():
    settings, parameters = draw(10)
    source, target_input, mask = draw_words(10)
    memory, _ = encode(source, parameters, settings, mask)
    caches = [KeyValueCache() for _ in parameters["decoder"]]
    decode(target_input[:, :3], memory, parameters, settings, mask, caches)
    rows = np.array([1, 0, 1])
    for cache in caches:
        cache.select(rows)
    chosen = memory[rows], parameters, settings, mask[rows]
    logits, _, _ = decode(target_input[rows, 3:], *chosen, caches)
    expected, _, _ = decode(target_input[rows], *chosen)
    np.testing.assert_allclose(logits, expected[:, 3:], rtol=0, atol=1e-12)


def test_positions_of_every_kind_tell_the_order_and_none_does_not():
    source, target_input, _ = draw_words(11, ())
    for positions in POSITIONS:
        settings, parameters = draw(11, positions=positions)
        one, other = (
            transformer(words, target_input, parameters, settings)[0]
            for words in (source, np.roll(source, 1))
        )
        assert np.allclose(one, other, rtol=0, atol=1e-12) == (positions == "none")


def test_positions_are_added_where_they_start():
    settings, parameters = draw(12, positions="learned")
    table, x = parameters["position_table"], np.zeros((2, 3, D_MODEL))
    for function in (add_positions, twin_of(add_positions)):
        if function is not add_positions:
            x, table = to_torch(x, table)
        placed = function(x, settings, table, start=4)
        np.testing.assert_array_equal(placed[1], table[4:7])


@pytest.mark.parametrize("batch", [(0,), (2, 0), (1,)])
def test_an_empty_batch_gives_an_empty_answer_and_no_gradient(batch):
    settings, parameters = draw(13, positions="learned")
    source, target_input, mask = draw_words(13, batch)
    source, mask = source[..., :1], mask[..., :1]
    target_input = target_input[..., :1]
    logits, cross = transformer(source, target_input, parameters, settings, mask)
    assert logits.shape == (*batch, 1, N_TARGET_WORDS)
    assert {weights.shape for weights in cross} == {(*batch, N_HEADS, 1, 1)}
    gradients = transformer_backward(
        logits, source, target_input, parameters, settings, mask
    )
    for path, gradient in leaves(gradients):
        assert np.all(np.isfinite(gradient)), path
        assert batch == (1,) or not gradient.any(), path
    theirs, _ = twin_of(transformer)(
        *to_torch(source, target_input),
        tree_to_torch(parameters),
        settings,
        *to_torch(mask),
    )
    assert_all_close([theirs.numpy()], [logits], **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    settings, parameters = draw(14, norm_first=True, positions="learned", shared=True)
    arrays = [*draw_words(14), parameters]
    kept = map_tree(np.copy, arrays)
    source, target_input, mask, _ = arrays
    logits, _ = transformer(source, target_input, parameters, settings, mask)
    transformer_backward(logits, source, target_input, parameters, settings, mask)
    assert_same_trees(arrays, kept, rtol=0, atol=0)
    tensors = tree_to_torch(arrays)
    source, target_input, mask, parameters = tensors
    twin_of(transformer)(source, target_input, parameters, settings, mask)
    assert_same_trees(tensors, kept, rtol=0, atol=0)


# The module ---------------------------------------------------------------------------


def module(n_target_words=N_TARGET_WORDS, **kind):
    """A small `Transformer`, the same each time."""
    torch = need_torch()
    from course_lib.in_torch.transformer import Transformer

    torch.manual_seed(0)
    sizes = 8, 4, 2, D_FF
    kind = {"n_kv_heads": 2, "max_length": MAX_LENGTH} | kind
    return Transformer(N_SOURCE_WORDS, n_target_words, *sizes, **kind)


@pytest.mark.parametrize("n_target_words", [None, N_TARGET_WORDS])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_module_holds_the_weights_and_calls_the_functions(
    norm_first, norm, positions, n_target_words
):
    model = module(
        n_target_words,
        norm_first=norm_first,
        activation="swiglu",
        positions=positions,
        norm=norm,
    ).double()
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    tree = numpy_tree(parameter_tree(model))
    source, target_input, mask = draw_words(15)
    ids = to_torch(source, mask, target_input)
    ours = transformer(source, target_input, tree, model.settings, mask)
    assert_same_trees(list(model(*ids)), list(ours), **TOLERANCE["float64"])
    memory, weights = model.encode(*ids[:2])
    expected = encode(source, tree, model.settings, mask)
    assert_same_trees([memory, weights], list(expected), **TOLERANCE["float64"])
    caches = model.new_caches()
    for i in range(N_TARGET):
        theirs, *_ = model.decode(ids[2][:, i : i + 1], memory, ids[1], caches)
        expected = ours[0][:, i : i + 1]
        assert_all_close([theirs.detach()], [expected], rtol=0, atol=1e-12)


def test_one_vocabulary_is_one_embedding():
    shared, apart = module(None), module()
    names = {name for name, _ in apart.named_parameters()}
    assert names - {name for name, _ in shared.named_parameters()} == {
        "source_embedding.weight"
    }
    assert shared.target_embedding.weight.shape == (N_SOURCE_WORDS, 8)


def test_the_base_model_has_the_paper_s_65_million_parameters():
    torch = need_torch()
    from course_lib.in_torch.transformer import Transformer

    with torch.device("meta"):
        model = Transformer(37_000, None, 512, 8, 6, 2048)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    # Vaswani et al. 2017, table 3: 65 million, with a vocabulary of about 37,000.
    d, layers = 512, 6
    attention, feed_forward, norm = 4 * (d**2 + d), 2 * d * 2048 + 2048 + d, 2 * d
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    assert n_parameters == 37_000 * d + layers * (encoder + decoder)
    assert n_parameters / 65e6 == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_module_runs_on_any_device(positions, device):
    device_or_skip(device)
    model = module(positions=positions).to(device)
    source, target_input, mask = to_torch(*draw_words(16), device=device)
    logits, cross = model(source, mask, target_input)
    assert {t.device.type for t in (logits, *cross)} == {device}
    assert tuple(logits.shape) == (2, N_TARGET, N_TARGET_WORDS)


def test_bfloat16_stays_bfloat16_and_near():
    torch = need_torch()
    model = module(positions="rotary", norm_first=True)
    source, target_input, mask = to_torch(*draw_words(17))
    expected, _ = model(source, mask, target_input)
    logits, _ = model.bfloat16()(source, mask, target_input)
    assert logits.dtype == torch.bfloat16
    difference = (logits.float() - expected).abs().max().item()
    assert difference < 0.1  # it keeps eight bits, and the logits are about 1


def test_the_module_traces_whole_under_torch_compile():
    torch = need_torch()
    model = module()
    source, target_input, mask = to_torch(*draw_words(18))
    traced = torch.compile(model, backend="eager", fullgraph=True)
    expected, _ = model(source, mask, target_input)
    logits, _ = traced(source, mask, target_input)
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


# Bad input ----------------------------------------------------------------------------

SETTINGS, PARAMETERS = draw()
SOURCE, TARGET_INPUT, MASK = draw_words()
WITHOUT = {n: part for n, part in PARAMETERS.items() if n != "target_embedding"}
LEARNED = Settings(N_HEADS, positions="learned")
# arguments of `transformer`, and how the sentence begins
REFUSED = {
    "words that are floats": (
        (SOURCE + 0.5, TARGET_INPUT, PARAMETERS, SETTINGS),
        "source must hold integers, but its dtype is {float64}",
    ),
    "no words": (
        (SOURCE[:, :0], TARGET_INPUT, PARAMETERS, SETTINGS),
        "source must have at least one position, but its shape is (2, 0)",
    ),
    "no words to go on from": (
        (SOURCE, TARGET_INPUT[:, :0], PARAMETERS, SETTINGS),
        "target_input must have at least one position, but its shape is (2, 0)",
    ),
    "batches that differ": (
        (SOURCE, TARGET_INPUT[:1], PARAMETERS, SETTINGS),
        "source has batch axes (2,) and target_input has (1,): they must be equal",
    ),
    "a mask of another shape": (
        (SOURCE, TARGET_INPUT, PARAMETERS, SETTINGS, MASK[:, :2]),
        "source_mask has shape (2, 2) but source has (2, 7): expected (2, 7)",
    ),
    "a mask of numbers": (
        (SOURCE, TARGET_INPUT, PARAMETERS, SETTINGS, MASK * 1.0),
        "source_mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "no embedding": (
        (SOURCE, TARGET_INPUT, WITHOUT, SETTINGS),
        "parameters has no target_embedding: expected target_embedding, encoder, "
        "decoder, and if wanted source_embedding",
    ),
    "learned positions without a table": (
        (SOURCE, TARGET_INPUT, PARAMETERS, LEARNED),
        "parameters has no position_table: expected target_embedding, encoder, "
        "decoder, position_table, and if wanted source_embedding",
    ),
    "norms that nobody reads": (
        (SOURCE, TARGET_INPUT, PARAMETERS | {"encoder_norm": {}}, SETTINGS),
        "parameters has an unknown encoder_norm: expected target_embedding, encoder, "
        "decoder, and if wanted source_embedding",
    ),
    "a table that is too short": (
        (
            SOURCE,
            TARGET_INPUT,
            PARAMETERS | {"position_table": np.zeros((6, D_MODEL))},
            LEARNED,
        ),
        "table has 6 positions but 7 were asked for",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, transformer, *REFUSED[case])


def test_caches_that_are_not_one_a_layer_are_refused():
    settings, parameters = draw()
    source, target_input, _ = draw_words()
    memory, _ = encode(source, parameters, settings)
    with pytest.raises(ValueError) as error:
        decode(target_input, memory, parameters, settings, caches=[KeyValueCache()] * 3)
    expected = "caches has 3 entries but there are 2 layers: expected one each"
    assert str(error.value) == expected
    stack = encoder_stack, (memory,), parameters["encoder"]
    for function, states, layers in (
        stack,
        (twin_of(encoder_stack), to_torch(memory), tree_to_torch(stack[2])),
        (decoder_stack, (memory, memory), parameters["decoder"]),
        (
            twin_of(decoder_stack),
            to_torch(memory, memory),
            tree_to_torch(parameters["decoder"]),
        ),
    ):
        with pytest.raises(ValueError) as error:
            function(*states, layers, settings, caches=[])
        assert str(error.value) == expected.replace("3", "0")


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ({"n_layers": 0}, "n_layers must be a whole number from 1 up, got 0"),
        (
            {"positions": "learned"},
            "max_length must be a whole number from 1 up, got None",
        ),
        ({"norm": "batch"}, "kind must be one of 'layer', 'rms', got 'batch'"),
    ],
)
def test_a_module_that_cannot_be_built_is_refused(kind, sentence):
    need_torch()
    from course_lib.in_torch.transformer import Transformer

    sizes = {"d_model": 8, "n_heads": 4, "n_layers": 2, "d_ff": 5} | kind
    with pytest.raises(ValueError) as error:
        Transformer(13, 11, **sizes)
    assert str(error.value) == sentence
