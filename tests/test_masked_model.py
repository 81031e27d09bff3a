"""The encoder-only model: twins, gradients, BERT, and what padding may do: nothing."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from models import (
    assert_same_trees,
    assert_tree_gradients,
    draw_linear,
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
    assert_refused,
    device_or_skip,
    drawn,
    need_torch,
    to_torch,
    twin_of,
)

from course_lib.in_numpy.masked_model import (
    encode_words,
    encode_words_backward,
    masked_model,
    masked_model_backward,
)
from course_lib.shapes.transformer import POSITIONS, Settings

few = hypothesis_settings(drawn, max_examples=20)  # models are slow to draw
N, VOCAB_SIZE, D_MODEL, D_FF, N_HEADS, N_LAYERS, MAX_LENGTH = 7, 13, 6, 5, 2, 3, 17
KINDS = st.fixed_dictionaries(
    {
        "norm_first": st.booleans(),
        "activation": st.sampled_from(["relu", "gelu", "swiglu"]),
        "positions": st.sampled_from(POSITIONS),
        "segments": st.booleans(),
    }
)


def draw(
    seed=0,
    norm_first=False,
    activation="gelu",
    positions="learned",
    segments=True,
    n_layers=N_LAYERS,
):
    """Settings and parameters of a small masked model."""
    rng = np.random.default_rng(seed)
    settings = Settings(N_HEADS, norm_first, activation, 1e-3, positions)
    parameters = {
        "embedding": draw_table(rng, VOCAB_SIZE, D_MODEL),
        "embedding_norm": draw_norm(rng, D_MODEL),
        "layers": draw_stack(rng, settings, D_MODEL, D_FF, n_layers),
        "head": draw_linear(rng, "", shape=(D_MODEL, D_MODEL)),
        "b_out": rng.standard_normal(VOCAB_SIZE),
    }
    parameters["head"]["norm"] = draw_norm(rng, D_MODEL)
    if positions == "learned":
        parameters["position_table"] = draw_table(rng, MAX_LENGTH, D_MODEL)
    if norm_first:
        parameters["norm"] = draw_norm(rng, D_MODEL)
    if segments:
        parameters["segment_table"] = draw_table(rng, 2, D_MODEL)
    return settings, parameters


def draw_words(seed=0, batch=(2,), masked=True):
    """Words and a mask; the first example has no padding."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(VOCAB_SIZE, size=(*batch, N))
    lengths = rng.integers(1, N, size=(*batch, 1))
    lengths.reshape(-1)[:1] = N
    return ids, (np.arange(N) < lengths) if masked else None


def draw_heads(seed):
    """A head mask for every layer, in which some are knocked out."""
    return np.random.default_rng(seed).random((N_LAYERS, N_HEADS)) < 0.6


# One number by hand -------------------------------------------------------------------


def test_a_masked_model_without_layers_by_hand():
    # Word 1, segment 0 and position 0 add up to [2, 4]; normalised that is [-1, 1].
    norm = {"gain": np.ones(2), "bias": np.zeros(2)}
    parameters = {
        "embedding": np.array([[5.0, 0], [1, 1]]),
        "segment_table": np.array([[1.0, 0], [7, 7]]),
        "position_table": np.array([[0.0, 3]]),
        "embedding_norm": norm,
        "layers": [],
        # gelu(40) is 40 and gelu(-40) is 0: normalised, [1, -1].
        "head": {"W": -40 * np.eye(2), "b": np.zeros(2), "norm": norm},
        "b_out": np.array([10.0, 20]),
    }
    settings = Settings(1, eps=1e-20, positions="learned")
    states, _ = encode_words(np.array([1]), parameters, settings)
    np.testing.assert_allclose(states, [[-1, 1]], rtol=0, atol=1e-14)
    logits, weights = masked_model(np.array([1]), parameters, settings)
    np.testing.assert_allclose(logits, [[15, 20]], rtol=0, atol=1e-12)
    assert weights == []


# The twins agree, and so do the gradients ---------------------------------------------


@few
@given(
    seed=SEEDS,
    kind=KINDS,
    batch=st.sampled_from([(), (1,), (3,), (2, 3)]),
    masked=st.booleans(),
    knocked_out=st.booleans(),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, kind, batch, masked, knocked_out, dtype):
    settings, parameters = draw(seed, **kind)
    parameters = map_tree(lambda a: a.astype(dtype), parameters)
    ids, mask = draw_words(seed, batch, masked)
    heads = draw_heads(seed) if knocked_out else None
    ours = [
        *masked_model(ids, parameters, settings, mask),
        *encode_words(ids, parameters, settings, mask, heads),
    ]
    (ids, mask, heads), tree = to_torch(ids, mask, heads), tree_to_torch(parameters)
    theirs = [
        *twin_of(masked_model)(ids, tree, settings, mask),
        *twin_of(encode_words)(ids, tree, settings, mask, heads),
    ]
    assert {ours[0].dtype, ours[2].dtype} == {np.dtype(dtype)}
    assert_same_trees(theirs, ours, **TOLERANCE[dtype])


@few
@given(seed=SEEDS, kind=KINDS, masked=st.booleans())
def test_gradients_equal_autograd(seed, kind, masked):
    settings, parameters = draw(seed, **kind)
    ids, mask = draw_words(seed, (2, 3), masked)
    d_logits = np.random.default_rng(seed + 1).standard_normal((2, 3, N, VOCAB_SIZE))
    ours = masked_model_backward(d_logits, ids, parameters, settings, mask)
    tree = tree_to_torch(parameters, requires_grad=True)
    logits, _ = twin_of(masked_model)(*to_torch(ids), tree, settings, *to_torch(mask))
    logits.backward(*to_torch(d_logits))
    assert_same_trees(ours, gradients_of(tree), **GRADIENT_TOLERANCE)


@few
@given(seed=SEEDS, kind=KINDS, masked=st.booleans())
def test_gradients_of_states_equal_autograd(seed, kind, masked):
    settings, parameters = draw(seed, **kind)
    del parameters["head"], parameters["b_out"]
    ids, mask = draw_words(seed, (3,), masked)
    options, heads = (settings, mask), draw_heads(seed)
    d_states = np.random.default_rng(seed + 1).standard_normal((3, N, D_MODEL))
    ours = encode_words_backward(d_states, ids, parameters, *options, heads)
    tree = tree_to_torch(parameters, requires_grad=True)
    states, _ = twin_of(encode_words)(
        *to_torch(ids), tree, settings, *to_torch(mask, heads)
    )
    states.backward(*to_torch(d_states))
    assert_same_trees(ours, gradients_of(tree), **GRADIENT_TOLERANCE)


def test_gradients_equal_central_differences():
    settings, parameters = draw(2, n_layers=1)
    settings = dataclasses.replace(settings, eps=0.1)  # no norm bends too much
    ids, mask = draw_words(2)
    d_logits = np.random.default_rng(3).normal(0, 0.01, (2, N, VOCAB_SIZE))
    gradients = masked_model_backward(d_logits, ids, parameters, settings, mask)
    assert_tree_gradients(
        gradients,
        lambda: masked_model(ids, parameters, settings, mask)[0],
        parameters,
        d_logits,
    )


# An independent implementation --------------------------------------------------------


def model_of(**kind):
    """A `MaskedModel` in float64 with heads of 4 features, the same each time."""
    torch = need_torch()
    from course_lib.in_torch.masked_model import MaskedModel

    torch.manual_seed(0)
    model = MaskedModel(31, 24, 6, 2, 20, MAX_LENGTH, **kind).double()
    with torch.no_grad():  # no gain 1, no bias 0
        for name, parameter in model.named_parameters():
            if "norm" in name or "bias" in name or name == "b_out":
                parameter += torch.randn_like(parameter) / 3
    return model


IN_BERTS_NAMES = {
    "attention.W_q": "attention.self.query",
    "attention.W_k": "attention.self.key",
    "attention.W_v": "attention.self.value",
    "attention.W_o": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "feed_forward.W_1": "intermediate.dense",
    "feed_forward.W_2": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}


def in_berts_names(model):
    """The weights of our model under the names of transformers' BertForMaskedLM."""
    names = {
        "embedding": "bert.embeddings.word_embeddings",
        "position_table": "bert.embeddings.position_embeddings",
        "segment_table": "bert.embeddings.token_type_embeddings",
        "embedding_norm": "bert.embeddings.LayerNorm",
        "head.W": "cls.predictions.transform.dense",
        "head.norm": "cls.predictions.transform.LayerNorm",
    }
    for i in range(2):
        for name, other in IN_BERTS_NAMES.items():
            names[f"layers.{i}.{name}"] = f"bert.encoder.layer.{i}.{other}"
    theirs = {}
    for name, tensor in model.state_dict().items():
        if name == "b_out":
            theirs["cls.predictions.bias"] = theirs["cls.predictions.decoder.bias"] = (
                tensor
            )
            continue
        part, kind = name.rsplit(".", 1)
        theirs[f"{names[part]}.{kind.replace('gain', 'weight')}"] = tensor
    words = theirs["bert.embeddings.word_embeddings.weight"]
    return theirs | {"cls.predictions.decoder.weight": words}


def test_it_equals_transformers_bert():
    torch = need_torch()
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=31,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=6,
        intermediate_size=20,
        max_position_embeddings=MAX_LENGTH,
        attn_implementation="eager",
    )
    model = model_of()
    bert = transformers.BertForMaskedLM(config).double().eval()
    bert.load_state_dict(in_berts_names(model), strict=True)
    ids = torch.randint(31, (2, 13))
    mask = torch.arange(13) < torch.tensor([[13], [5]])
    options = {"attention_mask": mask.long()}
    with torch.no_grad():
        base = bert.bert(ids, output_attentions=True, **options)
        states, weights = model.encode_words(ids, mask)
        logits, _ = model(ids, mask)
        expected = bert(ids, **options).logits
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(states[mask], base.last_hidden_state[mask], **close)
    torch.testing.assert_close(logits[mask], expected[mask], **close)
    for one, other in zip(weights, base.attentions, strict=True):
        torch.testing.assert_close(one, other, **close)
    with torch.no_grad():
        logits, expected = model.float()(ids, mask)[0], bert.float()(ids, **options)
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-5)


def test_bert_base_has_110_million_parameters():
    torch = need_torch()
    from course_lib.in_torch.masked_model import MaskedModel

    with torch.device("meta"):
        model = MaskedModel(30_522, 768, 12, 12, 3072, 512, head=False)
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    # Devlin et al. 2018, section 3: 110 million. Their pooler, d^2 + d, is not here.
    assert n_parameters == (30_522 + 512 + 2 + 2 + 12 * (12 * 768 + 13)) * 768
    assert n_parameters + 768**2 + 768 == pytest.approx(110e6, rel=0.005)


# Rules --------------------------------------------------------------------------------


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_has_no_influence_not_by_one_bit(positions, half):
    settings, parameters = draw(4, positions=positions)
    ids, mask = draw_words(4)
    changed = np.where(mask, ids, (ids + 1) % VOCAB_SIZE)
    function = masked_model
    if half == "torch":
        function, parameters = twin_of(function), tree_to_torch(parameters)
        ids, changed, mask = to_torch(ids, changed, mask)
    one, other = (
        function(words, parameters, settings, mask)[0] for words in (ids, changed)
    )
    np.testing.assert_array_equal(one[mask], other[mask])
    assert np.all(np.asarray(one != other)[np.asarray(~mask)].any(axis=-1))


def test_padding_changes_no_gradient_of_a_real_word_not_by_one_bit():
    settings, parameters = draw(5)
    ids, mask = draw_words(5)
    ids = np.minimum(ids, VOCAB_SIZE - 3)
    d_states = np.random.default_rng(5).standard_normal((2, N, D_MODEL))
    d_states[~mask] = 0
    one, other = (
        encode_words_backward(
            d_states, np.where(mask, ids, padding), parameters, settings, mask
        )
        for padding in (VOCAB_SIZE - 2, VOCAB_SIZE - 1)
    )
    assert not one["embedding"][-2:].any()
    assert_same_trees(one, other, rtol=0, atol=0)


def test_padding_at_the_end_is_as_good_as_none():
    settings, parameters = draw(6)
    ids, mask = draw_words(6, ())
    mask = np.arange(N) < 4
    states, _ = encode_words(ids, parameters, settings, mask)
    alone, _ = encode_words(ids[:4], parameters, settings)
    np.testing.assert_allclose(states[:4], alone, rtol=0, atol=1e-13)


def test_every_word_sees_those_on_both_sides():
    settings, parameters = draw(7)
    ids = draw_words(7, ())[0]
    for changed in range(N):
        other = ids.copy()
        other[changed] = (other[changed] + 1) % VOCAB_SIZE
        one, two = (
            masked_model(words, parameters, settings)[0] for words in (ids, other)
        )
        assert np.all(np.any(one != two, axis=-1))


def test_a_knocked_out_head_adds_nothing_in_its_layer_alone():
    settings, parameters = draw(8)
    ids, mask = draw_words(8)
    heads = np.ones((N_LAYERS, N_HEADS), bool)
    heads[2, 0] = False
    blind = map_tree(np.copy, parameters)
    blind["layers"][2]["attention"]["W_o"][:, :2] = 0  # the columns of head 0
    knocked_out, _ = encode_words(ids, parameters, settings, mask, heads)
    expected, _ = encode_words(ids, blind, settings, mask)
    np.testing.assert_allclose(knocked_out, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("batch", "n"), [((0,), N), ((2, 0), 1), ((), 1)])
def test_an_empty_batch_and_a_single_word_keep_their_shapes(batch, n):
    settings, parameters = draw(9)
    ids, mask = (array[..., :n] for array in draw_words(9, batch))
    logits, weights = masked_model(ids, parameters, settings, mask)
    assert logits.shape == (*batch, n, VOCAB_SIZE)
    assert {w.shape for w in weights} == {(*batch, N_HEADS, n, n)}
    gradients = masked_model_backward(logits, ids, parameters, settings, mask)
    assert any(gradient.any() for _, gradient in leaves(gradients)) == (batch == ())
    theirs, _ = twin_of(masked_model)(
        *to_torch(ids), tree_to_torch(parameters), settings, *to_torch(mask)
    )
    assert_all_close([theirs.numpy()], [logits], **TOLERANCE["float64"])


def test_inputs_are_never_changed():
    settings, parameters = draw(10)
    arrays = [*draw_words(10), parameters]
    kept = map_tree(np.copy, arrays)
    ids, mask, _ = arrays
    logits, _ = masked_model(ids, parameters, settings, mask)
    masked_model_backward(logits, ids, parameters, settings, mask)
    assert_same_trees(arrays, kept, rtol=0, atol=0)
    ids, mask, parameters = tensors = tree_to_torch(arrays)
    twin_of(masked_model)(ids, parameters, settings, mask)
    assert_same_trees(tensors, kept, rtol=0, atol=0)


# The module ---------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
def test_the_module_holds_the_weights_and_calls_the_functions(norm_first, activation):
    model = model_of(norm_first=norm_first, activation=activation)
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    tree = numpy_tree(parameter_tree(model))
    ids, mask = draw_words(11)
    heads = np.random.default_rng(11).random((2, 6)) < 0.6
    ours = masked_model(ids, tree, model.settings, mask)
    theirs = model(*to_torch(ids, mask))
    assert_same_trees(list(theirs), list(ours), **TOLERANCE["float64"])
    ours = encode_words(ids, tree, model.settings, mask, heads)
    theirs = model.encode_words(*to_torch(ids, mask, heads))
    assert_same_trees(list(theirs), list(ours), **TOLERANCE["float64"])


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_module_runs_on_any_device(device):
    device_or_skip(device)
    model = model_of().to(device)
    ids, mask = to_torch(*draw_words(12), device=device)
    logits, weights = model(ids, mask)
    assert {t.device.type for t in (logits, *weights)} == {device}
    assert tuple(logits.shape) == (2, N, 31)


# Bad input ----------------------------------------------------------------------------

SETTINGS, PARAMETERS = draw()
IDS, MASK = draw_words()
EXPECTED = "expected embedding, embedding_norm, layers, "
REFUSED = {
    "words that are floats": (
        (IDS + 0.5, PARAMETERS, SETTINGS),
        "ids must hold integers, but its dtype is {float64}",
    ),
    "a mask of attention": (
        (IDS, PARAMETERS, SETTINGS, MASK[:, None]),
        "mask has shape (2, 1, 7) but ids has (2, 7): expected (2, 7)",
    ),
    "a mask of numbers": (
        (IDS, PARAMETERS, SETTINGS, MASK * 1.0),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "no head": (
        (IDS, {n: p for n, p in PARAMETERS.items() if n != "head"}, SETTINGS),
        f"parameters has no head: {EXPECTED}head, b_out, position_table, and if wanted "
        "segment_table",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, masked_model, *REFUSED[case])


@pytest.mark.parametrize("half", ["numpy", "torch"])
def test_states_need_an_embedding_and_heads_for_every_layer(half):
    function, ids, parameters, heads = encode_words, IDS, PARAMETERS, draw_heads(0)
    if half == "torch":
        function, parameters = twin_of(function), tree_to_torch(parameters)
        ids, heads = to_torch(ids, heads)
    lacking = {n: p for n, p in parameters.items() if n != "embedding"}
    with pytest.raises(ValueError) as error:
        function(ids, lacking, SETTINGS)
    assert str(error.value) == (
        f"parameters has no embedding: {EXPECTED}position_table, and if wanted "
        "segment_table, head, b_out"
    )
    with pytest.raises(ValueError) as error:
        function(ids, parameters, SETTINGS, None, heads[:2])
    assert str(error.value) == (
        "head_mask has 2 entries but there are 3 layers: expected one each"
    )


def test_a_module_without_head_gives_states_and_says_why_it_gives_no_logits():
    model = model_of(head=False)
    (ids,) = to_torch(IDS)
    assert tuple(model.encode_words(ids)[0].shape) == (2, N, 24)
    with pytest.raises(ValueError, match="^parameters has no head: "):
        model(ids)


def test_a_module_without_layers_is_refused():
    need_torch()
    from course_lib.in_torch.masked_model import MaskedModel

    with pytest.raises(ValueError) as error:
        MaskedModel(13, 8, 4, 0, 5, MAX_LENGTH)
    assert str(error.value) == "n_layers must be a whole number from 1 up, got 0"
