"""Recurrent seq2seq with any score: halves, gradients, wirings, padding, modules."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

from course_lib.in_numpy import wirings
from course_lib.in_numpy.recurrent_attention import (
    attention_decoder,
    attention_decoder_backward,
    attention_encoder_decoder,
    attention_encoder_decoder_backward,
)
from course_lib.in_numpy.wirings import SCORES, WIRINGS, look_back
from course_lib.shapes.recurrent_attention import score_shapes

N_SOURCE, N_TARGET, N_WORDS, N_SOURCE_WORDS = 7, 4, 17, 19
D_X, D_MEMORY, D_HIDDEN, D_SCORE, D_JOINED, MAX_LENGTH = 2, 3, 5, 11, 13, 23
BATCHES = [(), (6,), (2, 3), (6, 1)]
EVERY = sorted(product(SCORES, WIRINGS))
CELL = ("W_x", "W_h", "b_x", "b_h")
drawn_few = settings(drawn, max_examples=25)  # a whole decoder each


# What the tests start from ------------------------------------------------------------


def width(score):
    """d_memory: a dot product wants keys as wide as queries."""
    return D_HIDDEN if "dot" in score else D_MEMORY


def gru_weights(rng, d_x, d_hidden):
    shapes = [(3 * d_hidden, d_x), (3 * d_hidden, d_hidden)] + [(3 * d_hidden,)] * 2
    return {n: rng.normal(0, 0.7, s) for n, s in zip(CELL, shapes, strict=True)}


def decoder_of(rng, score, wiring):
    """The parameters of a decoder."""
    d_memory = width(score)
    shapes = score_shapes(D_HIDDEN, d_memory, D_SCORE, MAX_LENGTH)[score]
    d_fed = d_memory if wiring == "bahdanau" else D_JOINED
    return {
        "embedding": rng.standard_normal((N_WORDS, D_X)),
        "cell": gru_weights(rng, D_X + d_fed, D_HIDDEN),
        "score": {name: rng.standard_normal(shape) for name, shape in shapes.items()},
        "W_join": rng.normal(0, 0.7, (D_JOINED, d_memory + D_HIDDEN)),
        "W_out": rng.standard_normal((N_WORDS, D_JOINED)),
        "b_out": rng.standard_normal(N_WORDS),
    }


def case(seed, score, wiring, batch=(6,), scale=1.0):
    """Target input, state, memory, parameters and a mask that may hide a whole row."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, N_SOURCE + 1, batch)
    return (
        rng.integers(0, N_WORDS, (*batch, N_TARGET)),
        rng.standard_normal((*batch, D_HIDDEN)),
        rng.normal(0, scale, (*batch, N_SOURCE, width(score))),
        decoder_of(rng, score, wiring),
        np.arange(N_SOURCE) < lengths[..., None],
    )


def step_case(seed, score, wiring, batch=(6,)):
    """x, state, joined, memory, parameters of one step, and a mask."""
    _, state, memory, parameters, mask = case(seed, score, wiring, batch)
    rng = np.random.default_rng([seed, 1])
    x = rng.standard_normal((*batch, D_X))
    joined = rng.standard_normal((*batch, D_JOINED))
    parameters = {name: parameters[name] for name in ("cell", "score", "W_join")}
    return x, state, joined, memory, parameters, mask


def translator(seed, score, wiring, batch=(6,)):
    """Source, target input, parameters of a whole model, and a mask."""
    target_input, _, _, decoder, mask = case(seed, score, wiring, batch)
    rng = np.random.default_rng([seed, 2])
    d_memory = width(score)
    parameters = {
        "source_embedding": rng.standard_normal((N_SOURCE_WORDS, D_X)),
        "encoder": gru_weights(rng, D_X, d_memory),
        "W_start": rng.standard_normal((D_HIDDEN, d_memory)),
        "b_start": rng.standard_normal(D_HIDDEN),
        "decoder": decoder,
    }
    source = rng.integers(0, N_SOURCE_WORDS, (*batch, N_SOURCE))
    return source, target_input, parameters, mask


def map_tree(function, tree):
    """A nested dict with the function of every leaf."""
    if isinstance(tree, dict):
        return {name: map_tree(function, branch) for name, branch in tree.items()}
    return function(tree)


def leaves(tree):
    """Every array of a nested dict, in order."""
    if isinstance(tree, dict):
        return [leaf for branch in tree.values() for leaf in leaves(branch)]
    return [tree]


def names(tree):
    """The nested names alone."""
    return map_tree(lambda leaf: None, tree)


def tensors(tree, requires_grad=False):
    return map_tree(lambda a: to_torch(a, requires_grad=requires_grad)[0], tree)


def grads(tree):
    """Gradients of every tensor; zeros where nothing arrived."""
    torch = need_torch()
    return [
        (torch.zeros_like(t) if t.grad is None else t.grad).numpy()
        for t in leaves(tree)
    ]


# By hand ------------------------------------------------------------------------------


def open_cell():
    """A cell of one unit whose new state is tanh of the sum of its inputs."""
    W_x = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    shut = np.array([0.0, -1e3, 0.0])  # the update gate
    return {"W_x": W_x, "W_h": np.zeros((3, 1)), "b_x": shut, "b_h": np.zeros(3)}


def test_one_step_of_bahdanau_by_hand():
    """The old state, 1/2, scores ln 3 and 0; three quarters of 2 ln 3 go in."""
    memory = np.array([[2 * math.log(3)], [0.0]])
    parameters = {"cell": open_cell(), "score": {}, "W_join": np.array([[1.0, -2.0]])}
    x, state, joined = np.array([0.3]), np.array([0.5]), np.array([9.0])
    new = wirings.bahdanau_step(x, state, joined, memory, parameters, "dot")
    context = 1.5 * math.log(3)
    moved = math.tanh(0.3 + context)
    assert new[2] == pytest.approx([0.75, 0.25], abs=1e-15)
    assert new[0] == pytest.approx([moved], abs=1e-15)
    assert new[1] == pytest.approx([math.tanh(context - 2 * moved)], abs=1e-15)


def test_one_step_of_luong_by_hand():
    """The new state, tanh(x + joined) = 1/2, scores ln 3 and 0."""
    memory = np.array([[2 * math.log(3)], [0.0]])
    parameters = {"cell": open_cell(), "score": {}, "W_join": np.array([[1.0, -2.0]])}
    x, state, joined = np.array([math.atanh(0.5) - 0.2]), np.ones(1), np.array([0.2])
    new = wirings.luong_step(x, state, joined, memory, parameters, "dot")
    assert new[0] == pytest.approx([0.5], abs=1e-15)
    assert new[2] == pytest.approx([0.75, 0.25], abs=1e-15)
    assert new[1] == pytest.approx([math.tanh(1.5 * math.log(3) - 1)], abs=1e-15)


# The twins agree, and so do the gradients ---------------------------------------------


@drawn_few
@given(
    seed=SEEDS,
    how=st.sampled_from(EVERY),
    batch=st.sampled_from(BATCHES),
    masked=st.booleans(),
    scale=st.floats(0.01, 10),
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_twins_agree(seed, how, batch, masked, scale, dtype):
    target_input, *arrays, mask = case(seed, *how, batch, scale)
    state, memory, parameters = (
        map_tree(lambda array: array.astype(dtype), tree) for tree in arrays
    )
    mask = mask if masked else None
    ours = attention_decoder(target_input, state, memory, parameters, *how, mask)
    ids, state, memory, mask = to_torch(target_input, state, memory, mask)
    twin = twin_of(attention_decoder)
    theirs = twin(ids, state, memory, tensors(parameters), *how, mask)
    assert {array.dtype.name for array in ours} == {dtype}
    # A float32 score near 100 is off by 1e-5, and so is its weight; values go to 10.
    tolerance = TOLERANCE[dtype] if dtype == "float64" else {"rtol": 0, "atol": 1e-2}
    assert_all_close([tensor.numpy() for tensor in theirs], ours, **tolerance)


@drawn_few
@given(
    seed=SEEDS,
    how=st.sampled_from(EVERY),
    batch=st.sampled_from(BATCHES),
    masked=st.booleans(),
)
def test_gradients_of_a_decoder_equal_autograd(seed, how, batch, masked):
    target_input, state, memory, parameters, mask = case(seed, *how, batch)
    mask = mask if masked else None
    arguments = target_input, state, memory, parameters
    d_logits = np.random.default_rng(seed).standard_normal((*batch, N_TARGET, N_WORDS))
    ours = attention_decoder_backward(d_logits, *arguments, *how, mask)
    held = {"state": state, "memory": memory, "parameters": parameters}
    held = tensors(held, requires_grad=True)
    ids, mask = to_torch(target_input, mask)
    logits, _ = twin_of(attention_decoder)(ids, *held.values(), *how, mask)
    logits.backward(*to_torch(d_logits))
    assert names(ours[2]) == names(parameters)
    ours = leaves(dict(zip(held, ours, strict=True)))
    assert_all_close(ours, grads(held), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_gradients_of_a_whole_model_equal_autograd(score, wiring):
    for seed, batch in enumerate(BATCHES):
        source, target_input, parameters, mask = translator(seed, score, wiring, batch)
        how = score, wiring, mask
        ours = attention_encoder_decoder(source, target_input, parameters, *how)
        d_logits = np.random.default_rng(seed).standard_normal(ours[0].shape)
        gradients = attention_encoder_decoder_backward(
            d_logits, source, target_input, parameters, *how
        )
        held = tensors(parameters, requires_grad=True)
        source, target_input, mask = to_torch(source, target_input, mask)
        twin = twin_of(attention_encoder_decoder)
        theirs = twin(source, target_input, held, score, wiring, mask)
        assert_all_close([t.detach() for t in theirs], ours, **TOLERANCE["float64"])
        theirs[0].backward(*to_torch(d_logits))
        assert names(gradients) == names(parameters)
        assert_all_close(leaves(gradients), grads(held), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_gradients_of_one_step_equal_central_differences(score, wiring):
    *arrays, parameters, mask = step_case(3, score, wiring, batch=(2,))
    mask[0, :3] = True
    rng = np.random.default_rng(4)
    d_state, d_joined = (rng.standard_normal((2, d)) for d in (D_HIDDEN, D_JOINED))
    step, backward = WIRINGS[wiring]

    def forward(*_):
        state, joined, _ = step(*arrays, parameters, score, mask)
        return np.concatenate([state, joined], axis=-1)

    ours = backward(d_state, d_joined, *arrays, parameters, score, mask)
    assert names(ours[-1]) == names(parameters)
    d_both = np.concatenate([d_state, d_joined], axis=-1)
    inputs = [*arrays, *leaves(parameters)]
    differences = central_differences(forward, inputs, d_both)
    ours = [*ours[:-1], *leaves(ours[-1])]
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_the_gradient_of_a_whole_model_is_the_slope_in_any_direction(score, wiring):
    source, target_input, parameters, mask = translator(5, score, wiring)
    rng = np.random.default_rng(5)
    d_logits = rng.normal(0, 0.1, (6, N_TARGET, N_WORDS))
    gradient = attention_encoder_decoder_backward(
        d_logits, source, target_input, parameters, score, wiring, mask
    )

    def loss(away, direction):
        moved = iter([a + away * d for a, d in zip(flat, direction, strict=True)])
        there = map_tree(lambda _: next(moved), parameters)
        logits, _ = attention_encoder_decoder(
            source, target_input, there, score, wiring, mask
        )
        return (logits * d_logits).sum()

    flat = leaves(parameters)
    for _ in range(5):
        direction = [rng.normal(0, 0.3, array.shape) for array in flat]
        slope = (loss(1e-5, direction) - loss(-1e-5, direction)) / 2e-5
        pairs = zip(leaves(gradient), direction, strict=True)
        assert sum((g * d).sum() for g, d in pairs) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_looking_back_equals_its_twin_and_autograd(score, masked):
    _, query, memory, parameters, mask = case(6, score, "luong", (2, 3))
    mask = mask if masked else None
    parameters = parameters["score"]
    ours = look_back(query, memory, parameters, score, mask)
    d_context = np.random.default_rng(6).standard_normal(ours[0].shape)
    gradients = wirings.look_back_backward(
        d_context, query, memory, parameters, score, mask
    )
    held = {"query": query, "memory": memory, "parameters": parameters}
    held = tensors(held, requires_grad=True)
    theirs = twin_of(look_back)(*held.values(), score, *to_torch(mask))
    assert_all_close([t.detach() for t in theirs], ours, **TOLERANCE["float64"])
    theirs[0].backward(*to_torch(d_context))
    ours = leaves(dict(zip(held, gradients, strict=True)))
    assert_all_close(ours, grads(held), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_decoder_equals_one_of_pytorchs_own_cell_and_attention(wiring):
    torch = need_torch()
    target_input, state, memory, parameters, mask = case(7, "scaled_dot", wiring)
    mask[:, 0] = True  # PyTorch gives no promise where nothing is allowed
    expected = attention_decoder(
        target_input, state, memory, parameters, "scaled_dot", wiring, mask
    )[0]
    held = tensors(parameters)
    cell = torch.nn.GRUCell(held["cell"]["W_x"].shape[1], D_HIDDEN).double()
    own = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    cell.load_state_dict(dict(zip(own, held["cell"].values(), strict=True)))
    ids, state, memory, mask = to_torch(target_input, state, memory, mask)

    def look(query):
        return torch.nn.functional.scaled_dot_product_attention(
            query[:, None], memory, memory, attn_mask=mask[:, None]
        )[:, 0]

    joined = state.new_zeros(6, D_JOINED)
    for t in range(N_TARGET):
        fed = look(state) if wiring == "bahdanau" else joined
        word = held["embedding"][ids[:, t]]
        state = cell(torch.cat([word, fed], dim=-1), state)
        context = fed if wiring == "bahdanau" else look(state)
        joined = torch.tanh(torch.cat([context, state], dim=-1) @ held["W_join"].T)
        logits = joined @ held["W_out"].T + held["b_out"]
        np.testing.assert_allclose(
            expected[:, t], logits.detach(), **TOLERANCE["float64"]
        )


# The wirings --------------------------------------------------------------------------


def changes(function, arguments, position):
    """Which of a function's results change with one of its arguments."""
    other = list(arguments)
    other[position] = other[position] + 1
    pairs = zip(function(*arguments), function(*other), strict=True)
    return [not np.array_equal(one, two) for one, two in pairs]


def test_with_bahdanau_the_previous_state_asks_and_the_word_comes_too_late():
    arguments = step_case(8, "additive", "bahdanau")[:-1]
    STATE, JOINED, WEIGHTS = True, True, True
    step = wirings.bahdanau_step
    assert changes(step, arguments, 0) == [STATE, JOINED, not WEIGHTS]
    assert changes(step, arguments, 1) == [STATE, JOINED, WEIGHTS]
    assert changes(step, arguments, 2) == [not STATE, not JOINED, not WEIGHTS]
    assert changes(step, arguments, 3) == [STATE, JOINED, WEIGHTS]


def test_with_luong_the_current_state_asks_and_the_memory_cannot_change_it():
    arguments = step_case(9, "general", "luong")[:-1]
    STATE, JOINED, WEIGHTS = True, True, True
    step = wirings.luong_step
    assert changes(step, arguments, 0) == [STATE, JOINED, WEIGHTS]
    assert changes(step, arguments, 1) == [STATE, JOINED, WEIGHTS]
    assert changes(step, arguments, 2) == [STATE, JOINED, WEIGHTS]  # input feeding
    assert changes(step, arguments, 3)[0] is not STATE


@pytest.mark.parametrize("wiring", WIRINGS)
def test_only_location_asks_without_looking_at_the_keys(wiring):
    for score in SCORES:
        _, state, memory, parameters, _ = case(10, score, wiring)
        arguments = state, memory, parameters["score"], score
        assert changes(look_back, arguments, 1) == [True, score != "location"]


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_the_order_of_the_source_matters_to_location_alone(score, wiring):
    target_input, state, memory, parameters, mask = case(11, score, wiring)
    order = np.random.default_rng(11).permutation(N_SOURCE)
    arguments = parameters, score, wiring
    logits, weights = attention_decoder(target_input, state, memory, *arguments, mask)
    moved, moved_weights = attention_decoder(
        target_input, state, memory[:, order], *arguments, mask[:, order]
    )
    same = np.allclose(moved, logits, rtol=0, atol=1e-12)
    same_weights = np.allclose(moved_weights, weights[..., order], rtol=0, atol=1e-12)
    assert same is same_weights is (score != "location")


@pytest.mark.parametrize("wiring", WIRINGS)
def test_no_logit_depends_on_a_later_word(wiring):
    target_input, *arguments, mask = case(12, "additive", wiring)
    how = "additive", wiring, mask
    expected, _ = attention_decoder(target_input, *arguments, *how)
    later = target_input.copy()
    later[:, -1] = (later[:, -1] + 1) % N_WORDS
    changed, _ = attention_decoder(later, *arguments, *how)
    np.testing.assert_array_equal(changed[:, :-1], expected[:, :-1])
    assert not np.allclose(changed[:, -1], expected[:, -1])


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_weights_of_a_row_sum_to_one(score, wiring):
    *arguments, mask = case(13, score, wiring, (2, 3))
    _, weights = attention_decoder(*arguments, score, wiring, mask)
    some = np.broadcast_to(mask.any(axis=-1)[..., None], weights.shape[:-1])
    np.testing.assert_allclose(weights.sum(axis=-1), some, rtol=0, atol=1e-14)


# Padding and edges --------------------------------------------------------------------


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_what_stands_in_the_padding_has_no_influence_not_by_one_bit(score, wiring):
    target_input, state, memory, parameters, mask = case(14, score, wiring)
    assert not mask.all()
    d_logits = np.random.default_rng(14).standard_normal((6, N_TARGET, N_WORDS))
    outcomes = []
    for filler in (0.0, 1e100, -1e100):
        other = np.where(mask[..., None], memory, filler)
        arguments = target_input, state, other, parameters, score, wiring, mask
        ours = attention_decoder(*arguments)
        gradients = attention_decoder_backward(d_logits, *arguments)
        held = {"state": state, "memory": other, "parameters": parameters}
        held = tensors(held, requires_grad=True)
        ids, seen = to_torch(target_input, mask)
        theirs = twin_of(attention_decoder)(ids, *held.values(), score, wiring, seen)
        theirs[0].backward(*to_torch(d_logits))
        arrays = [*ours, *gradients[:2], *leaves(gradients[2]), *grads(held)]
        outcomes.append([*arrays, *(tensor.detach().numpy() for tensor in theirs)])
        assert np.all(ours[1][~np.broadcast_to(mask[:, None], ours[1].shape)] == 0)
        assert np.all(gradients[1][~mask] == 0)
    for other in outcomes[1:]:
        assert_all_close(other, outcomes[0], rtol=0, atol=0)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_other_ids_in_the_padding_change_nothing(wiring):
    source, target_input, parameters, mask = translator(15, "additive", wiring)
    how = "additive", wiring, mask
    d_logits = np.random.default_rng(15).standard_normal((6, N_TARGET, N_WORDS))
    outcomes = []
    for filler in (0, 5):
        ids = np.where(mask, source, filler)
        logits, weights = attention_encoder_decoder(ids, target_input, parameters, *how)
        gradients = attention_encoder_decoder_backward(
            d_logits, ids, target_input, parameters, *how
        )
        outcomes.append([logits, weights, *leaves(gradients)])
    assert_all_close(*outcomes, rtol=0, atol=0)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_source_of_no_words_gives_zeros_and_gets_no_gradient(wiring):
    target_input, state, memory, parameters, mask = case(16, "general", wiring)
    mask[...] = False
    arguments = target_input, state, memory, parameters, "general", wiring, mask
    logits, weights = attention_decoder(*arguments)
    _, d_memory, d_parameters = attention_decoder_backward(
        np.ones_like(logits), *arguments
    )
    assert np.all(np.isfinite(logits))
    assert np.all(weights == 0)
    assert np.all(d_memory == 0)
    assert np.all(d_parameters["score"]["W"] == 0)
    without = attention_decoder(*arguments[:2], 0 * memory, *arguments[3:])[0]
    np.testing.assert_array_equal(logits, without)


def test_adding_1000_to_every_score_changes_no_weight():
    _, query, memory, parameters, _ = case(17, "general", "luong", ())
    W = parameters["score"]["W"]
    expected = look_back(query, memory, {"W": W}, "general")
    ones = np.ones((N_SOURCE, 1))  # one more feature, that meets 1000 in the query
    more = np.concatenate([W, 1000 * query[:, None] / (query @ query)], axis=-1)
    memory = np.concatenate([memory, ones], axis=-1)
    moved = look_back(query, memory, {"W": more}, "general")
    assert_all_close((moved[0][:-1], moved[1]), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_one_source_word_gets_all_the_weight(wiring):
    target_input, state, memory, parameters, _ = case(17, "concat", wiring)
    short = target_input, state, memory[:, :1], parameters, "concat", wiring
    _, weights = attention_decoder(*short)
    assert np.all(weights == 1)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
@pytest.mark.parametrize(("batch", "n_target"), [((0,), N_TARGET), ((2, 3), 0)])
def test_an_empty_batch_or_no_target_gives_an_empty_answer(
    score, wiring, batch, n_target
):
    target_input, state, memory, parameters, mask = case(18, score, wiring, batch)
    arguments = target_input[..., :n_target], state, memory, parameters
    ours = attention_decoder(*arguments, score, wiring, mask)
    ids, *rest = to_torch(arguments[0], state, memory)
    theirs = twin_of(attention_decoder)(
        ids, *rest, tensors(parameters), score, wiring, *to_torch(mask)
    )
    for logits, weights in (ours, theirs):
        assert tuple(logits.shape) == (*batch, n_target, N_WORDS)
        assert tuple(weights.shape) == (*batch, n_target, N_SOURCE)
    d_state, d_memory, d_parameters = attention_decoder_backward(
        ours[0], *arguments, score, wiring, mask
    )
    assert d_state.shape == state.shape
    assert d_memory.shape == memory.shape
    pairs = zip(leaves(d_parameters), leaves(parameters), strict=True)
    assert all(one.shape == two.shape and np.all(one == 0) for one, two in pairs)


def test_batch_axes_may_be_many_or_none():
    for score, wiring in EVERY:
        target_input, state, memory, parameters, mask = case(19, score, wiring, (2, 3))
        how = parameters, score, wiring
        logits, weights = attention_decoder(target_input, state, memory, *how, mask)
        alone = attention_decoder(
            target_input[1, 2], state[1, 2], memory[1, 2], *how, mask[1, 2]
        )
        assert_all_close(alone, (logits[1, 2], weights[1, 2]), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_inputs_are_never_changed(score, wiring):
    arguments = translator(20, score, wiring)
    kept = [map_tree(np.copy, tree) for tree in arguments]
    *inputs, mask = arguments
    logits, _ = attention_encoder_decoder(*inputs, score, wiring, mask)
    attention_encoder_decoder_backward(logits, *inputs, score, wiring, mask)
    held = [tensors(tree) for tree in inputs]
    twin = twin_of(attention_encoder_decoder)
    twin(*held, score, wiring, *to_torch(mask))
    decoder = case(20, score, wiring)
    kept_decoder = [map_tree(np.copy, tree) for tree in decoder]
    *inputs, mask = decoder
    logits, _ = attention_decoder(*inputs, score, wiring, mask)
    attention_decoder_backward(logits, *inputs, score, wiring, mask)
    pairs = [(arguments, kept), (held, kept[:-1]), (decoder, kept_decoder)]
    for now, before in pairs:
        for one, other in zip(now, before, strict=True):
            assert_all_close(leaves(one), leaves(other), rtol=0)


def test_both_tables_name_the_same_scores_with_the_same_parameters():
    need_torch()
    from course_lib.in_torch import wirings as twin

    shapes = score_shapes(D_HIDDEN, D_MEMORY, D_SCORE, MAX_LENGTH)
    expected = [(score, tuple(parameters)) for score, parameters in shapes.items()]
    assert [(score, entry[-1]) for score, entry in SCORES.items()] == expected
    assert [(score, entry[-1]) for score, entry in twin.SCORES.items()] == expected
    assert list(twin.WIRINGS) == list(WIRINGS)


# The module ---------------------------------------------------------------------------


def model_of(score="additive", wiring="bahdanau", bidirectional=True, d_hidden=6):
    torch = need_torch()
    from course_lib.in_torch.recurrent_attention import AttentionSeq2Seq

    torch.manual_seed(0)
    return AttentionSeq2Seq(
        N_SOURCE_WORDS, N_WORDS, d_hidden, score, wiring, bidirectional, MAX_LENGTH
    ).double()


def batch_of(seed):
    """Source with padding behind at least one word, its mask, and target input."""
    rng = np.random.default_rng(seed)
    mask = np.arange(N_SOURCE) < np.array([7, 1, 4, 2, 5])[:, None]
    source = rng.integers(0, N_SOURCE_WORDS, (5, N_SOURCE))
    return to_torch(source, mask, rng.integers(0, N_WORDS, (5, N_TARGET)))


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_the_module_is_the_numpy_model_when_it_reads_one_way(score, wiring):
    from course_lib.in_torch.parameters import numpy_tree, parameter_tree

    model = model_of(score, wiring, bidirectional=False)
    source, mask, target_input = batch_of(21)
    tree = numpy_tree(parameter_tree(model))
    encoder = tree["encoder"]
    parameters = {
        "source_embedding": encoder["embedding"],
        "encoder": dict(zip(CELL, encoder["forwards"].values(), strict=True)),
        **{name: tree[name] for name in ("W_start", "b_start", "decoder")},
    }
    expected = attention_encoder_decoder(
        source.numpy(), target_input.numpy(), parameters, score, wiring, mask.numpy()
    )
    ours = model(source, mask, target_input)
    assert_all_close([t.detach() for t in ours], expected, **TOLERANCE["float64"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_word_by_word_gives_the_logits_of_all_at_once(score, wiring, bidirectional):
    torch = need_torch()
    model = model_of(score, wiring, bidirectional)
    source, mask, target_input = batch_of(22)
    logits, weights = model(source, mask, target_input)
    state = model.start(source, mask)
    for t in range(N_TARGET):
        now, looked, state = model.step(target_input[:, t], state)
        torch.testing.assert_close(now, logits[:, t], rtol=0, atol=1e-12)
        torch.testing.assert_close(looked, weights[:, t], rtol=0, atol=1e-12)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_selected_rows_go_on_as_they_would_have(wiring):
    torch = need_torch()
    model = model_of(wiring=wiring)
    source, mask, target_input = batch_of(23)
    _, _, state = model.step(target_input[:, 0], model.start(source, mask))
    rows = torch.tensor([3, 0, 0])
    expected = model.step(target_input[:, 1], state)
    chosen = model.step(target_input[rows, 1], model.select(state, rows))
    for one, other in zip(chosen[:2], expected[:2], strict=True):
        torch.testing.assert_close(one, other[rows], rtol=0, atol=1e-12)
    for one, other in zip(chosen[2], expected[2], strict=True):
        torch.testing.assert_close(one, other[rows], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_neither_output_nor_gradient_of_a_model_depends_on_the_padding(score, wiring):
    torch = need_torch()
    model = model_of(score, wiring)
    source, mask, target_input = batch_of(24)
    outcomes = []
    for filler in (0, 7):
        model.zero_grad()
        logits, weights = model(source.masked_fill(~mask, filler), mask, target_input)
        logits.square().sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        assert torch.all(weights.masked_select(~mask[:, None]) == 0)
        outcomes.append([logits.detach(), weights.detach(), *gradients])
    for one, other in zip(*outcomes, strict=True):
        assert torch.equal(one, other)
    unmoved = [name for name, p in model.named_parameters() if not p.grad.any()]
    assert unmoved == []


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_decoder_traces_without_a_break(wiring):
    torch = need_torch()
    target_input, state, memory, parameters, mask = case(25, "location", wiring)
    ids, state, memory, mask = to_torch(target_input, state, memory, mask)
    arguments = ids, state, memory, tensors(parameters), "location", wiring, mask
    decoder = twin_of(attention_decoder)
    traced = torch.compile(decoder, backend="eager", fullgraph=True)
    for one, other in zip(traced(*arguments), decoder(*arguments), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", ["meta", "cuda"])
@pytest.mark.parametrize(("score", "wiring"), EVERY)
def test_every_twin_and_the_module_run_on_any_device(score, wiring, device):
    device_or_skip(device)
    *inputs, mask = (
        map_tree(lambda array: to_torch(array, device=device)[0], tree)
        for tree in translator(26, score, wiring)
    )
    outputs = twin_of(attention_encoder_decoder)(*inputs, score, wiring, mask)
    model = model_of(score, wiring).to(device)
    source, mask, target_input = (tensor.to(device) for tensor in batch_of(26))
    again = model(source, mask, target_input)
    state = model.select(model.start(source, mask), source[:2, 0] * 0)
    logits, weights, _ = model.step(target_input[:2, 0], state)
    assert [len(output) for output in (*outputs, *again)] == [6, 6, 5, 5]
    assert (logits.shape, weights.shape) == ((2, N_WORDS), (2, N_SOURCE))
    everything = (*outputs, *again, logits, weights)
    assert {output.device.type for output in everything} == {device}


# Errors -------------------------------------------------------------------------------

TARGET_INPUT, STATE, MEMORY, PARAMETERS, MASK = case(27, "additive", "bahdanau")
X, _, JOINED, _, STEP, _ = step_case(27, "additive", "bahdanau")
SOURCE, _, WHOLE, _ = translator(27, "additive", "bahdanau")
NO_V = {name: PARAMETERS["score"][name] for name in ("W_q", "W_k")}
DECODER = TARGET_INPUT, STATE, MEMORY, PARAMETERS
REFUSED = {
    "an unknown score": (
        look_back,
        (STATE, MEMORY, {}, "cosine"),
        "score must be one of 'dot', 'scaled_dot', 'general', 'concat', 'additive', "
        "'location', got 'cosine'",
    ),
    "a score without one of its parameters": (
        look_back,
        (STATE, MEMORY, NO_V, "additive"),
        "parameters['score'] holds W_q, W_k but the score 'additive' takes W_q, W_k, v",
    ),
    "a score with parameters it does not take": (
        look_back,
        (STATE, STATE[:, None], NO_V, "dot"),
        "parameters['score'] holds W_q, W_k but the score 'dot' takes nothing",
    ),
    "a source too long for location": (
        look_back,
        (STATE, MEMORY, {"W": np.zeros((5, D_HIDDEN))}, "location"),
        "n_k is 7 but W has 5 rows, one for each position: expected at most 5 keys",
    ),
    "a query that is a number": (
        look_back,
        (STATE[0, 0], MEMORY, {}, "dot"),
        "query must have at least 1 axis, but its shape is ()",
    ),
    "a query of another batch": (
        look_back,
        (STATE[:2], MEMORY, PARAMETERS["score"]),
        "query has batch axes (2,) and memory has (6,): they must be equal",
    ),
    "a mask of one sequence": (
        look_back,
        (STATE, MEMORY, PARAMETERS["score"], "additive", MASK[0]),
        "mask has shape (7,) but memory has (6, 7, 3): expected (6, 7)",
    ),
    "a mask of numbers": (
        attention_decoder,
        (*DECODER, "additive", "bahdanau", MASK * 1.0),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "a memory that is one vector": (
        look_back,
        (STATE[0], STATE[0], {}, "dot"),
        "memory must have at least 2 axes, but its shape is (5,)",
    ),
    "words of another batch": (
        wirings.bahdanau_step,
        (X[:2], STATE, JOINED, MEMORY, STEP),
        "x has batch axes (2,) and memory has (6,): they must be equal",
    ),
    "joined of another batch": (
        wirings.luong_step,
        (X, STATE, JOINED[:2], MEMORY, STEP),
        "joined has batch axes (2,) and memory has (6,): they must be equal",
    ),
    "a state that is a list": (
        wirings.luong_step,
        (X, [0.0], JOINED, MEMORY, STEP),
        "state must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "W_join for another context": (
        wirings.join,
        (STATE, STATE, PARAMETERS["W_join"]),
        "x has 10 features but W has 8",
    ),
    "an unknown wiring": (
        attention_decoder,
        (*DECODER, "additive", "sutskever"),
        "wiring must be one of 'bahdanau', 'luong', got 'sutskever'",
    ),
    "target_input of floats": (
        attention_decoder,
        (TARGET_INPUT * 1.0, *DECODER[1:]),
        "target_input must hold integers, but its dtype is {float64}",
    ),
    "target_input that is one word": (
        attention_decoder,
        (TARGET_INPUT[0, 0, ...], *DECODER[1:]),
        "target_input must have at least 1 axis, but its shape is ()",
    ),
    "target_input of another batch": (
        attention_decoder,
        (TARGET_INPUT[:2], *DECODER[1:]),
        "target_input has batch axes (2,) and memory has (6,): they must be equal",
    ),
    "a first state of another batch": (
        attention_decoder,
        (TARGET_INPUT, STATE[:2], *DECODER[2:]),
        "state has batch axes (2,) and memory has (6,): they must be equal",
    ),
    "a source of no positions": (
        attention_encoder_decoder,
        (SOURCE[:, :0], TARGET_INPUT, WHOLE),
        "source must have at least one position, but its shape is (6, 0)",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_in_one_sentence(name, half):
    function, arguments, sentence = REFUSED[name]
    float64 = "float64"

    def convert(value):
        is_array = isinstance(value, np.ndarray | np.generic)
        return to_torch(np.asarray(value))[0] if is_array else value

    if half == "torch":
        function, float64 = twin_of(function), "torch.float64"
        arguments = [map_tree(convert, argument) for argument in arguments]
    with pytest.raises((TypeError, ValueError)) as error:
        function(*arguments)
    assert str(error.value) == sentence.replace("{float64}", float64)


SETTINGS = {
    "a size that is no number": ({"d_hidden": "6"}, "d_hidden must be a whole number"),
    "an odd size": (
        {"d_hidden": 7},
        "d_hidden must be even, half of it for either direction of the encoder, got 7",
    ),
    "an unknown score": ({"score": "cosine"}, "score must be one of 'dot', "),
    "an unknown wiring": ({"wiring": 1}, "wiring must be one of 'bahdanau', 'luong'"),
    "location with no length": (
        {"score": "location"},
        "max_length must be a whole number from 1 up, got None",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_make_no_model_are_refused(name):
    need_torch()
    from course_lib.in_torch.recurrent_attention import AttentionSeq2Seq

    settings, sentence = SETTINGS[name]
    with pytest.raises(ValueError) as error:
        AttentionSeq2Seq(
            **{"n_source_words": 3, "n_target_words": 5, "d_hidden": 6} | settings
        )
    assert str(error.value).startswith(sentence)


def test_an_odd_size_is_fine_for_an_encoder_that_reads_one_way():
    assert model_of(bidirectional=False, d_hidden=7)(*batch_of(28))[0].shape[-1] == 17
