"""The decoder-only model: twins, gradients, Llama and GPT-2, the cache, the future."""

import dataclasses
import itertools

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
    leaves,
    map_tree,
    tree_to_torch,
)
from twins import (
    GRADIENT_TOLERANCE,
    SEEDS,
    TOLERANCE,
    assert_all_close,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.cache import KeyValueCache
from course_lib.in_numpy.language_model import language_model, language_model_backward
from course_lib.shapes.transformer import POSITIONS, Settings

few = hypothesis_settings(drawn, max_examples=20)  # models are slow to draw
N, VOCAB_SIZE, D_MODEL, D_FF, N_HEADS, N_LAYERS, MAX_LENGTH = 7, 13, 6, 5, 2, 3, 17
KINDS = st.fixed_dictionaries(
    {
        "norm_first": st.booleans(),
        "activation": st.sampled_from(["relu", "gelu", "swiglu"]),
        "positions": st.sampled_from(POSITIONS),
        "norm": st.sampled_from(["layer", "rms"]),
        "n_kv_heads": st.sampled_from([1, 2]),
        "bias": st.booleans(),
        "tied": st.booleans(),
    }
)
LLAMA = {
    "activation": "swiglu",
    "positions": "rotary",
    "norm": "rms",
    "bias": False,
    "rotary_base": 100_000.0,
}


def draw(
    seed=0,
    norm_first=True,
    activation="gelu",
    positions="learned",
    norm="layer",
    n_kv_heads=2,
    bias=True,
    tied=True,
    n_layers=N_LAYERS,
):
    """Settings and parameters of a small language model."""
    rng = np.random.default_rng(seed)
    settings = Settings(N_HEADS, norm_first, activation, 1e-3, positions, 500.0)
    kind = {"norm": norm, "bias": bias, "n_kv_heads": n_kv_heads}
    parameters = {
        "embedding": draw_table(rng, VOCAB_SIZE, D_MODEL),
        "layers": draw_stack(rng, settings, D_MODEL, D_FF, n_layers, **kind),
    }
    if positions == "learned":
        parameters["position_table"] = draw_table(rng, MAX_LENGTH, D_MODEL)
    if norm_first:
        parameters["norm"] = draw_norm(rng, D_MODEL, norm)
    if not tied:
        parameters["W_out"] = draw_table(rng, VOCAB_SIZE, D_MODEL)
    return settings, parameters


def draw_ids(seed=0, batch=(2,)):
    """Random words."""
    return np.random.default_rng(seed).integers(VOCAB_SIZE, size=(*batch, N))


def draw_heads(seed):
    """A head mask for every layer, in which some are knocked out."""
    return np.random.default_rng(seed).random((N_LAYERS, N_HEADS)) < 0.6


# One number by hand -------------------------------------------------------------------


def test_a_language_model_without_layers_by_hand():
    # Word 1 is [3, 4], of root mean square sqrt(12.5); W_out asks for its features.
    parameters = {"embedding": np.array([[9.0, 9], [3, 4]]), "layers": []}
    parameters |= {"norm": {"gain": np.array([1.0, 2])}, "W_out": np.eye(2)}
    settings = Settings(1, norm_first=True, eps=1e-20, positions="none")
    logits, weights = language_model(np.array([1]), parameters, settings)
    np.testing.assert_allclose(logits, [np.array([3, 8]) / 12.5**0.5], atol=1e-14)
    assert weights == []
    tied = {name: part for name, part in parameters.items() if name != "W_out"}
    logits, _ = language_model(np.array([1]), tied, settings)
    expected = [np.array([99, 41]) / 12.5**0.5]  # 9 * 3 + 9 * 8 and 3 * 3 + 4 * 8
    np.testing.assert_allclose(logits, expected, atol=1e-13)


# The twins agree, and so do the gradients ---------------------------------------------


@few
@given(
    seed=SEEDS,
    kind=KINDS,
    batch=st.sampled_from([(), (1,), (3,), (2, 3)]),
    knocked_out=st.booleans(),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, kind, batch, knocked_out, dtype):
    settings, parameters = draw(seed, **kind)
    parameters = map_tree(lambda a: a.astype(dtype), parameters)
    ids, heads = draw_ids(seed, batch), draw_heads(seed) if knocked_out else None
    ours = language_model(ids, parameters, settings, heads)
    theirs = twin_of(language_model)(
        *to_torch(ids), tree_to_torch(parameters), settings, *to_torch(heads)
    )
    assert ours[0].dtype == dtype
    assert_same_trees(list(theirs), list(ours), **TOLERANCE[dtype])


@few
@given(seed=SEEDS, kind=KINDS, knocked_out=st.booleans())
def test_gradients_equal_autograd(seed, kind, knocked_out):
    settings, parameters = draw(seed, **kind)
    ids, heads = draw_ids(seed, (2, 3)), draw_heads(seed) if knocked_out else None
    d_logits = np.random.default_rng(seed + 1).standard_normal((2, 3, N, VOCAB_SIZE))
    ours = language_model_backward(d_logits, ids, parameters, settings, heads)
    tree = tree_to_torch(parameters, requires_grad=True)
    logits, _ = twin_of(language_model)(
        *to_torch(ids), tree, settings, *to_torch(heads)
    )
    logits.backward(*to_torch(d_logits))
    assert_same_trees(ours, gradients_of(tree), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(
    ("norm_first", "positions", "tied"),
    [(True, "learned", True), (False, "rotary", False)],
)
def test_gradients_equal_central_differences(norm_first, positions, tied):
    kind = {"positions": positions, "tied": tied, "activation": "swiglu"}
    settings, parameters = draw(1, norm_first, n_layers=1, **kind)
    settings = dataclasses.replace(settings, eps=0.1)  # no norm bends too much
    ids, heads = draw_ids(1, ()), np.array([[True, False]])
    d_logits = np.random.default_rng(2).normal(0, 0.05, (N, VOCAB_SIZE))
    gradients = language_model_backward(d_logits, ids, parameters, settings, heads)
    assert_tree_gradients(
        gradients,
        lambda: language_model(ids, parameters, settings, heads)[0],
        parameters,
        d_logits,
    )


# Independent implementations ----------------------------------------------------------


def model_of(**kind):
    """A `LanguageModel` in float64 with heads of 4 features, the same each time."""
    torch = need_torch()
    from course_lib.in_torch.language_model import LanguageModel

    torch.manual_seed(0)
    kind = {"max_length": MAX_LENGTH} | kind
    model = LanguageModel(31, 24, 6, 2, 20, **kind).double()
    with torch.no_grad():  # no gain 1, no bias 0
        for name, parameter in model.named_parameters():
            if "norm" in name or ".bias" in name:
                parameter += torch.randn_like(parameter) / 3
    return model


def halves_apart(W, n_heads):
    """Rows for a rotation that pairs i with i + d_head / 2, where ours pairs 2i, 2i+1.

    transformers keeps Llama's weights so.
    """
    return W.unflatten(0, (n_heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def llama_of(model):
    """transformers' Llama with the weights of a model of ours."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=31,
        hidden_size=24,
        intermediate_size=20,
        num_hidden_layers=2,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=64,
        rope_theta=100_000.0,
        rms_norm_eps=1e-5,
        attention_bias=False,
        tie_word_embeddings="W_out.weight" not in model.state_dict(),
        attn_implementation="eager",
    )
    ours, theirs = model.state_dict(), {}
    for i in range(2):
        for name, other in {
            "attention.W_q": "self_attn.q_proj",
            "attention.W_k": "self_attn.k_proj",
            "attention.W_v": "self_attn.v_proj",
            "attention.W_o": "self_attn.o_proj",
            "feed_forward.W_gate": "mlp.gate_proj",
            "feed_forward.W_1": "mlp.up_proj",
            "feed_forward.W_2": "mlp.down_proj",
        }.items():
            W = ours[f"layers.{i}.{name}.weight"]
            if name[-1] in "qk":
                W = halves_apart(W, 6 if name[-1] == "q" else 2)
            theirs[f"model.layers.{i}.{other}.weight"] = W
        for name, other in {
            "attention_norm": "input_layernorm",
            "feed_forward_norm": "post_attention_layernorm",
        }.items():
            theirs[f"model.layers.{i}.{other}.weight"] = ours[f"layers.{i}.{name}.gain"]
    theirs["model.norm.weight"] = ours["norm.gain"]
    theirs["model.embed_tokens.weight"] = ours["embedding.weight"]
    theirs["lm_head.weight"] = ours.get("W_out.weight", ours["embedding.weight"])
    llama = transformers.LlamaForCausalLM(config).double().eval()
    llama.load_state_dict(theirs)
    return llama


@pytest.mark.parametrize("tied", [True, False])
def test_in_llamas_shape_it_equals_transformers_llama(tied):
    torch = need_torch()
    model = model_of(n_kv_heads=2, tied=tied, **LLAMA)
    llama = llama_of(model)
    ids = torch.randint(31, (2, 13))
    with torch.no_grad():
        expected = llama(ids, output_attentions=True)
        logits, weights = model(ids)
    # transformers counts its angles in float32, whatever the weights are.
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=2e-6)
    for one, other in zip(weights, expected.attentions, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    with torch.no_grad():
        expected, logits = llama.float()(ids).logits, model.float()(ids)[0]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*token_id must be")
def test_in_gpt_2s_shape_it_equals_transformers_gpt_2():
    torch = need_torch()
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=31,
        n_embd=24,
        n_head=6,
        n_layer=2,
        n_inner=20,
        n_positions=MAX_LENGTH,
        activation_function="gelu",
        layer_norm_epsilon=1e-5,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    gpt_2 = transformers.GPT2LMHeadModel(config).double().eval()
    model = model_of()
    ours = model.state_dict()
    theirs = {
        "transformer.wte.weight": ours["embedding.weight"],
        "transformer.wpe.weight": ours["position_table.weight"],
        "transformer.ln_f.weight": ours["norm.gain"],
        "transformer.ln_f.bias": ours["norm.bias"],
        "lm_head.weight": ours["embedding.weight"],
    }
    for i in range(2):
        own, other = f"layers.{i}", f"transformer.h.{i}"
        for kind in ("weight", "bias"):
            qkv = [ours[f"{own}.attention.W_{part}.{kind}"] for part in "qkv"]
            theirs[f"{other}.attn.c_attn.{kind}"] = torch.cat(qkv)
            for name, place in {
                "attention.W_o": "attn.c_proj",
                "feed_forward.W_1": "mlp.c_fc",
                "feed_forward.W_2": "mlp.c_proj",
            }.items():
                theirs[f"{other}.{place}.{kind}"] = ours[f"{own}.{name}.{kind}"]
        for name, place in {"attention": "ln_1", "feed_forward": "ln_2"}.items():
            theirs[f"{other}.{place}.weight"] = ours[f"{own}.{name}_norm.gain"]
            theirs[f"{other}.{place}.bias"] = ours[f"{own}.{name}_norm.bias"]
    transposed = {
        n: W.T if ".h." in n and W.ndim == 2 else W for n, W in theirs.items()
    }
    gpt_2.load_state_dict(transposed)  # GPT-2's maps are x W, not W x
    ids = torch.randint(31, (2, 13))
    with torch.no_grad():
        expected = gpt_2(ids).logits
        logits, _ = model(ids)
    torch.testing.assert_close(logits, expected, **TOLERANCE["float64"])


@pytest.mark.parametrize(
    ("sizes", "n_parameters"),
    [((768, 12, 12, 3072), 124_439_808), ((1024, 16, 24, 4096), 354_823_168)],
)
def test_gpt_2_has_as_many_parameters_as_it_should(sizes, n_parameters):
    torch = need_torch()
    from course_lib.in_torch.language_model import LanguageModel

    with torch.device("meta"):
        model = LanguageModel(50257, *sizes, max_length=1024)
    assert sum(parameter.numel() for parameter in model.parameters()) == n_parameters
    d_model, _, n_layers, _ = sizes
    formula = 50257 + 1024 + n_layers * (12 * d_model + 13) + 2
    assert n_parameters == formula * d_model


def test_smollm2s_shape_has_135_million_parameters():
    torch = need_torch()
    from course_lib.in_torch.language_model import LanguageModel

    with torch.device("meta"):
        model = LanguageModel(49152, 576, 9, 30, 1536, n_kv_heads=3, **LLAMA)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    attention, feed_forward = 576**2 * (2 + 2 / 3), 3 * 576 * 1536
    assert n_parameters == 49152 * 576 + 30 * (attention + feed_forward + 1152) + 576
    assert round(n_parameters / 1e6) == 135


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm_first", [False, True])
def test_no_word_sees_those_after_it_not_by_one_bit(norm_first, positions, half):
    settings, parameters = draw(3, norm_first, positions=positions)
    ids, function = draw_ids(3), language_model
    changed = ids.copy()
    changed[:, 4:] = (changed[:, 4:] + 1) % VOCAB_SIZE
    if half == "torch":
        function, parameters = twin_of(function), tree_to_torch(parameters)
        ids, changed = to_torch(ids, changed)
    one, _ = function(ids, parameters, settings)
    other, _ = function(changed, parameters, settings)
    np.testing.assert_array_equal(one[:, :4], other[:, :4])
    assert np.all(np.asarray(one != other)[:, 4:].any(axis=-1))


def test_a_loss_on_early_words_teaches_later_words_nothing():
    settings, parameters = draw(4, positions="none", tied=False)
    ids = np.arange(N)
    d_logits = np.zeros((N, VOCAB_SIZE))
    d_logits[:4] = np.random.default_rng(4).standard_normal((4, VOCAB_SIZE))
    gradients = language_model_backward(d_logits, ids, parameters, settings)
    rows = gradients["embedding"].any(axis=-1)
    assert rows.tolist() == [True] * 4 + [False] * (VOCAB_SIZE - 4)


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("n_kv_heads", [1, 2])
def test_piece_by_piece_with_a_cache_equals_all_at_once(n_kv_heads, positions, half):
    settings, parameters = draw(5, positions=positions, n_kv_heads=n_kv_heads)
    ids, function, cache = draw_ids(5), language_model, KeyValueCache
    heads = draw_heads(5)
    if half == "torch":
        from course_lib.in_torch.cache import KeyValueCache as cache

        function, parameters = twin_of(function), tree_to_torch(parameters)
        ids, heads = to_torch(ids, heads)
    expected, weights = function(ids, parameters, settings, heads)
    caches = [cache() for _ in parameters["layers"]]
    for start, stop in itertools.pairwise([0, 3, 4, 5, N]):
        logits, new_weights = function(
            ids[:, start:stop], parameters, settings, heads, caches
        )
        new = slice(start, stop)
        assert_all_close([logits], [expected[:, new]], rtol=0, atol=1e-12)
        for all_weights, own in zip(weights, new_weights, strict=True):
            own_expected = all_weights[..., new, :stop]
            assert_all_close([own], [own_expected], rtol=0, atol=1e-12)
    assert {cache.length for cache in caches} == {N}


@pytest.mark.parametrize("half", ["numpy", "torch"])
def test_a_knocked_out_head_adds_nothing_in_its_layer_alone(half):
    settings, parameters = draw(6)
    ids, heads = draw_ids(6), np.ones((N_LAYERS, N_HEADS), bool)
    heads[1, 1] = False
    blind = map_tree(np.copy, parameters)
    blind["layers"][1]["attention"]["W_o"][:, 2:] = 0  # the columns of head 1
    function = language_model
    arguments = [[ids, parameters], [ids, blind]]
    if half == "torch":
        function = twin_of(function)
        arguments, (heads,) = tree_to_torch(arguments), to_torch(heads)
    knocked_out, _ = function(*arguments[0], settings, heads)
    expected, _ = function(*arguments[1], settings)
    assert_all_close([knocked_out], [expected], rtol=0, atol=1e-12)
    whole, _ = function(*arguments[0], settings)
    assert np.asarray(abs(whole - knocked_out)).max() > 1e-3
    one_each = np.ones((N_LAYERS, 2, N_HEADS), bool)  # a head mask for each example
    one_each[1, 0, 1] = False
    if half == "torch":
        (one_each,) = to_torch(one_each)
    mixed, _ = function(*arguments[0], settings, one_each)
    assert_all_close([mixed[0]], [expected[0]], rtol=0, atol=1e-12)
    assert_all_close([mixed[1]], [whole[1]], rtol=0, atol=1e-12)


def test_words_of_a_vocabulary_move_with_their_rows():
    settings, parameters = draw(7)
    order = np.random.default_rng(7).permutation(VOCAB_SIZE)
    ids = draw_ids(7)
    logits, _ = language_model(ids, parameters, settings)
    renamed = parameters | {"embedding": parameters["embedding"][order]}
    moved, _ = language_model(np.argsort(order)[ids], renamed, settings)
    np.testing.assert_allclose(moved, logits[..., order], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("batch", "n"), [((0,), N), ((2, 0), 1), ((), 1)])
def test_an_empty_batch_and_a_single_word_keep_their_shapes(batch, n):
    settings, parameters = draw(8)
    ids = draw_ids(8, batch)[..., :n]
    logits, weights = language_model(ids, parameters, settings)
    assert logits.shape == (*batch, n, VOCAB_SIZE)
    assert {w.shape for w in weights} == {(*batch, N_HEADS, n, n)}
    gradients = language_model_backward(logits, ids, parameters, settings)
    assert any(gradient.any() for _, gradient in leaves(gradients)) == (batch == ())
    theirs, _ = twin_of(language_model)(
        *to_torch(ids), tree_to_torch(parameters), settings
    )
    assert_all_close([theirs.numpy()], [logits], **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    settings, parameters = draw(9, tied=False)
    arrays = [draw_ids(9), parameters, draw_heads(9)]
    kept = map_tree(np.copy, arrays)
    ids, _, heads = arrays
    logits, _ = language_model(ids, parameters, settings, heads)
    language_model_backward(logits, ids, parameters, settings, heads)
    assert_same_trees(arrays, kept, rtol=0, atol=0)
    ids, parameters, heads = tensors = tree_to_torch(arrays)
    twin_of(language_model)(ids, parameters, settings, heads)
    assert_same_trees(tensors, kept, rtol=0, atol=0)


# The module ---------------------------------------------------------------------------


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize(
    "kind",
    [
        {"norm_first": False},
        {"norm": "rms", "bias": False, "activation": "swiglu", "n_kv_heads": 2},
        {"rotary_base": 300.0},
        {"tied": False},
    ],
)
def test_the_module_holds_the_weights_and_calls_the_function(kind, positions):
    model = model_of(positions=positions, **kind)
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    tree = numpy_tree(parameter_tree(model))
    assert ("W_out" in tree) == (kind == {"tied": False})
    ids = np.random.default_rng(10).integers(31, size=(2, N))
    heads = np.random.default_rng(10).random((2, 6)) < 0.6
    ours = language_model(ids, tree, model.settings, heads)
    theirs = model(*to_torch(ids, heads))
    assert_same_trees(list(theirs), list(ours), **TOLERANCE["float64"])
    caches = model.new_caches()
    for i in range(N):
        logits, _ = model(*to_torch(ids[:, i : i + 1], heads), caches)
        expected = ours[0][:, i : i + 1]
        assert_all_close([logits.detach()], [expected], rtol=0, atol=1e-11)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_module_runs_on_any_device(positions, device):
    device_or_skip(device)
    model = model_of(positions=positions).to(device)
    (ids,) = to_torch(draw_ids(11), device=device)
    caches = model.new_caches()
    for _ in range(2):
        logits, weights = model(ids, caches=caches)
        assert {t.device.type for t in (logits, *weights)} == {device}
    assert tuple(logits.shape) == (2, N, 31)
    assert tuple(weights[0].shape) == (2, 6, N, 2 * N)


def test_bfloat16_stays_bfloat16_and_near():
    torch = need_torch()
    model = model_of(n_kv_heads=2, **LLAMA)
    (ids,) = to_torch(draw_ids(12))
    expected, _ = model(ids)
    logits, _ = model.bfloat16()(ids)
    assert logits.dtype == torch.bfloat16
    assert (logits.double() - expected).abs().max().item() < 0.1  # eight bits


def test_the_module_traces_whole_under_torch_compile():
    torch = need_torch()
    model = model_of(n_kv_heads=2, **LLAMA)
    (ids,) = to_torch(draw_ids(13))
    traced = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(ids)[0], model(ids)[0], rtol=0, atol=1e-12)


# Bad input ----------------------------------------------------------------------------

SETTINGS, PARAMETERS = draw()
IDS = draw_ids()
REFUSED = {
    "words that are floats": (
        (IDS + 0.5, PARAMETERS, SETTINGS),
        "ids must hold integers, but its dtype is {float64}",
    ),
    "one word without an axis": (
        (IDS[0, 0], PARAMETERS, SETTINGS),
        "ids must have at least one position, but its shape is ()",
    ),
    "a sequence that is too long": (
        (np.zeros((2, 19), int), PARAMETERS, SETTINGS),
        "table has 17 positions but 19 were asked for",
    ),
    "no layers": (
        (IDS, {"embedding": PARAMETERS["embedding"]}, SETTINGS),
        "parameters has no layers: expected embedding, layers, position_table, norm, "
        "and if wanted W_out",
    ),
    "head masks for other layers": (
        (IDS, PARAMETERS, SETTINGS, draw_heads(0)[:2]),
        "head_mask has 2 entries but there are 3 layers: expected one each",
    ),
    "caches for other layers": (
        (IDS, PARAMETERS, SETTINGS, None, []),
        "caches has 0 entries but there are 3 layers: expected one each",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    (ids, *arguments), sentence = REFUSED[case]
    function, float64 = language_model, "float64"
    if half == "torch":
        function, float64 = twin_of(language_model), "torch.float64"
        ids, arguments[0] = tree_to_torch(ids), tree_to_torch(arguments[0])
    with pytest.raises((TypeError, ValueError)) as error:
        function(ids, *arguments)
    assert str(error.value) == sentence.replace("{float64}", float64)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ({"n_layers": 0}, "n_layers must be a whole number from 1 up, got 0"),
        ({}, "max_length must be a whole number from 1 up, got None"),
    ],
)
def test_a_module_that_cannot_be_built_is_refused(kind, sentence):
    need_torch()
    from course_lib.in_torch.language_model import LanguageModel

    sizes = {"d_model": 8, "n_heads": 4, "n_layers": 2, "d_ff": 5} | kind
    with pytest.raises(ValueError) as error:
        LanguageModel(13, **sizes)
    assert str(error.value) == sentence
