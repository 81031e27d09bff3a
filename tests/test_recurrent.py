"""GRU and encoder-decoder: both halves agree, with each other and PyTorch's own."""

import math

import numpy as np
import pytest
from hypothesis import given
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

from course_lib.in_numpy import ops, recurrent

DTYPES = ["float64", "float32"]
N_BATCH, N_STEPS, D_X, D_HIDDEN = 5, 7, 2, 3
rng = np.random.default_rng(14)


def weights(local, d_x=D_X, d_hidden=D_HIDDEN, dtype="float64"):
    """W_x, W_h, b_x, b_h of a GRU."""
    shapes = [(3 * d_hidden, d_x), (3 * d_hidden, d_hidden)] + [(3 * d_hidden,)] * 2
    return [local.normal(0, 0.7, shape).astype(dtype) for shape in shapes]


def sequence(seed, dtype="float64"):
    """x, first state and a mask with padding behind lengths from 0 to 7."""
    local = np.random.default_rng(seed)
    lengths = local.integers(0, N_STEPS + 1, N_BATCH)
    mask = np.arange(N_STEPS) < lengths[:, None]
    x = local.standard_normal((N_BATCH, N_STEPS, D_X)).astype(dtype)
    state = local.standard_normal((N_BATCH, D_HIDDEN)).astype(dtype)
    return x, state, *weights(local, dtype=dtype), mask


def translator(seed, d_x=D_HIDDEN):
    """Source, target input, mask and parameters of an encoder-decoder."""
    local = np.random.default_rng(seed)
    parameters = {
        "source_embedding": local.standard_normal((11, d_x)),
        "target_embedding": local.standard_normal((13, d_x)),
        "encoder": tuple(weights(local, d_x)),
        "decoder": tuple(weights(local, d_x)),
        "W_out": local.standard_normal((13, D_HIDDEN)),
        "b_out": local.standard_normal(13),
    }
    lengths = np.array([7, 1, 4, 2, 5])
    source = local.integers(0, 11, (N_BATCH, N_STEPS))
    target_input = local.integers(0, 13, (N_BATCH, 6))
    return source, target_input, parameters, np.arange(N_STEPS) < lengths[:, None]


def leaves(parameters):
    """Every array of a dict of arrays and tuples of arrays, in order."""
    return [
        array
        for value in parameters.values()
        for array in (value if isinstance(value, tuple) else (value,))
    ]


def model_of(parameters):
    """A `Seq2Seq` without attention that has these parameters."""
    torch = need_torch()
    from course_lib.in_torch.recurrent import Seq2Seq

    model = Seq2Seq(11, 13, D_HIDDEN, attention=False).double()
    names = [
        ["encoder.embedding.weight"],
        ["embedding.weight"],
        gru_names("encoder.forwards"),
        gru_names("decoder"),
        ["W_out.weight"],
        ["W_out.bias"],
    ]
    flat = [name for group in names for name in group]
    arrays = map(torch.tensor, leaves(parameters))
    model.load_state_dict(dict(zip(flat, arrays, strict=True)))
    return model


def gru_names(module):
    """The names that `nn.GRU` gives W_x, W_h, b_x and b_h."""
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [f"{module}.{kind}_l0" for kind in kinds]


def torch_gru(arrays):
    """PyTorch's own GRU with these weights, and the weights as it holds them."""
    torch = need_torch()
    module = torch.nn.GRU(D_X, D_HIDDEN, batch_first=True, dtype=torch.float64)
    names = gru_names("")
    module.load_state_dict(
        {
            name[1:]: torch.tensor(array)
            for name, array in zip(names, arrays, strict=True)
        }
    )
    return module, [getattr(module, name[1:]) for name in names]


# By hand ------------------------------------------------------------------------------


def test_one_step_by_hand():
    """Gates of 1/2 and 3/4 and a candidate of tanh(1 + 2/2)."""
    x, state = np.array([1.0]), np.array([2.0])
    W_x = np.array([[0.0], [math.log(3)], [1.0]])
    W_h = np.array([[0.0], [0.0], [1.0]])
    zeros = np.zeros(3)
    new = recurrent.gru_cell(x, state, W_x, W_h, zeros, zeros)
    assert new == pytest.approx([0.75 * 2 + 0.25 * math.tanh(2)], abs=1e-15)


def test_the_reset_gate_scales_the_bias_of_the_state_too():
    """Where PyTorch puts the gate; the paper's would leave b_h whole."""
    b_h = np.array([0.0, -1e3, 3.0])  # update gate shut: the new state is the candidate
    zeros = np.zeros((3, 1))
    new = recurrent.gru_cell(np.zeros(1), np.zeros(1), zeros, zeros, np.zeros(3), b_h)
    assert new == pytest.approx([math.tanh(0.5 * 3)], abs=1e-15)


def test_gates_of_huge_scores_stay_finite():
    x, state, *arrays, _ = sequence(0)
    new = recurrent.gru_cell(1e5 * x[:, 0], state, *arrays)
    assert np.all(np.isfinite(new))


# Equal to PyTorch ---------------------------------------------------------------------


@drawn
@given(seed=SEEDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_twins_agree(seed, dtype):
    x, state, *arrays, mask = sequence(seed, dtype)
    ours = recurrent.gru_cell(x[:, 0], state, *arrays)
    theirs = twin_of(recurrent.gru_cell)(*to_torch(x[:, 0], state, *arrays))
    np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])
    for hidden in (mask, None):
        ours = recurrent.gru(x, state, *arrays, hidden)
        theirs = twin_of(recurrent.gru)(*to_torch(x, state, *arrays, hidden))
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs.numpy(), **TOLERANCE[dtype])


@drawn
@given(seed=SEEDS)
def test_gru_equals_pytorch_on_packed_sequences_and_so_do_its_gradients(seed):
    torch = need_torch()
    local = np.random.default_rng(seed)
    x, state, *arrays, _ = sequence(seed)
    lengths = local.integers(1, N_STEPS + 1, N_BATCH)  # packing refuses length 0
    lengths[0] = N_STEPS  # and unpacking pads to the longest
    mask = np.arange(N_STEPS) < lengths[:, None]
    d_states = local.standard_normal((N_BATCH, N_STEPS, D_HIDDEN)) * mask[..., None]
    d_last = local.standard_normal((N_BATCH, D_HIDDEN))

    module, held = torch_gru(arrays)
    inputs = to_torch(x, state, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs[0], torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    output, last = module(packed, inputs[1][None])
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    loss = (output * torch.tensor(d_states)).sum() + (last * torch.tensor(d_last)).sum()
    loss.backward()

    states = recurrent.gru(x, state, *arrays, mask)
    ours = [states * mask[..., None], states[:, -1]]
    theirs = [output.detach().numpy(), last[0].detach().numpy()]
    assert_all_close(ours, theirs, **TOLERANCE["float64"])

    d_states[:, -1] += d_last  # the state is kept over the padding
    gradients = recurrent.gru_backward(d_states, x, state, *arrays, states, mask)
    expected = [tensor.grad.numpy() for tensor in (*inputs, *held)]
    assert_all_close(gradients, expected, **GRADIENT_TOLERANCE)


@drawn
@given(seed=SEEDS)
def test_gradients_equal_autograd_of_the_twin_with_padding_and_empty_sequences(seed):
    x, state, *arrays, mask = sequence(seed)
    d_states = np.random.default_rng(seed).standard_normal((N_BATCH, N_STEPS, D_HIDDEN))
    states = recurrent.gru(x, state, *arrays, mask)
    ours = recurrent.gru_backward(d_states, x, state, *arrays, states, mask)
    tensors = to_torch(x, state, *arrays, requires_grad=True)
    output = twin_of(recurrent.gru)(*tensors, *to_torch(mask))
    assert_all_close(ours, autograd(output, tensors, d_states), **GRADIENT_TOLERANCE)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_through_time_equal_central_differences(masked):
    x, state, *arrays, mask = sequence(3)
    assert 0 < mask.sum() < mask.size
    mask = mask if masked else None
    inputs = [x, state, *arrays]
    states = recurrent.gru(*inputs, mask)
    d_states = rng.standard_normal(states.shape)
    ours = recurrent.gru_backward(d_states, *inputs, states, mask)
    differences = central_differences(
        lambda *inputs: recurrent.gru(*inputs, mask), inputs, d_states
    )
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


def test_the_gradient_of_one_step_equals_central_differences():
    x, state, *arrays, _ = sequence(5)
    inputs = [x[:, 0], state, *arrays]
    d_new_state = rng.standard_normal(state.shape)
    ours = recurrent.gru_cell_backward(d_new_state, *inputs)
    differences = central_differences(recurrent.gru_cell, inputs, d_new_state)
    assert_all_close(ours, differences, **GRADIENT_TOLERANCE)


# Padding and axes ---------------------------------------------------------------------


def test_what_stands_in_the_padding_has_no_influence_not_by_one_bit():
    x, state, *arrays, mask = sequence(7)
    other = np.where(mask[..., None], x, 1e6)
    expected = recurrent.gru(x, state, *arrays, mask)
    np.testing.assert_array_equal(recurrent.gru(other, state, *arrays, mask), expected)


def test_an_empty_sequence_keeps_the_first_state_and_hands_its_gradient_on():
    x, state, *arrays, _ = sequence(8)
    nothing = np.zeros((N_BATCH, N_STEPS), dtype=bool)
    states = recurrent.gru(x, state, *arrays, nothing)
    np.testing.assert_array_equal(states[:, -1], state)
    d_states = rng.standard_normal(states.shape)
    d_x, d_state, *d_weights = recurrent.gru_backward(
        d_states, x, state, *arrays, states, nothing
    )
    np.testing.assert_allclose(d_state, d_states.sum(axis=1), rtol=0, atol=1e-14)
    assert all(np.all(gradient == 0) for gradient in (d_x, *d_weights))
    short = recurrent.gru(x[:, :0], state, *arrays)
    twin = twin_of(recurrent.gru)(*to_torch(x[:, :0], state, *arrays))
    assert short.shape == tuple(twin.shape) == (N_BATCH, 0, D_HIDDEN)


def test_batch_axes_may_be_many_or_none():
    x = rng.standard_normal((2, 5, N_STEPS, D_X))
    state = rng.standard_normal((2, 5, D_HIDDEN))
    arrays = weights(rng)
    states = recurrent.gru(x, state, *arrays)
    alone = recurrent.gru(x[1, 3], state[1, 3], *arrays)
    np.testing.assert_allclose(states[1, 3], alone, rtol=0, atol=1e-14)
    d_states = rng.standard_normal(states.shape)
    together = recurrent.gru_backward(d_states, x, state, *arrays, states)
    one, other = (
        recurrent.gru_backward(d_states[i], x[i], state[i], *arrays, states[i])
        for i in range(2)
    )
    summed = [a + b for a, b in zip(one[2:], other[2:], strict=True)]
    assert_all_close(together[2:], summed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(together[0][1], other[0], rtol=0, atol=1e-12)


def test_whole_numbers_as_input_get_a_gradient_that_is_not_rounded():
    x, state, *arrays, mask = sequence(10)
    x = np.rint(3 * x)
    states = recurrent.gru(x, state, *arrays, mask)
    d_states = rng.standard_normal(states.shape)
    expected = recurrent.gru_backward(d_states, x, state, *arrays, states, mask)
    whole = x.astype(int)
    ours = recurrent.gru_backward(d_states, whole, state, *arrays, states, mask)
    assert_all_close(ours, expected, rtol=0)


def test_inputs_are_never_changed():
    arguments = sequence(9)
    kept = [array.copy() for array in arguments]
    states = recurrent.gru(*arguments)
    recurrent.gru_backward(np.ones_like(states), *arguments[:-1], states, arguments[-1])
    tensors = to_torch(*arguments)
    twin_of(recurrent.gru)(*tensors)
    assert_all_close(arguments, kept, rtol=0)
    assert_all_close([tensor.numpy() for tensor in tensors], kept, rtol=0)


# The encoder-decoder ------------------------------------------------------------------


@pytest.mark.parametrize("d_x", [2, D_HIDDEN])
def test_encoder_decoder_equals_its_twin_and_autograd(d_x):
    source, target_input, parameters, mask = translator(1, d_x)
    logits = recurrent.encoder_decoder(source, target_input, parameters, mask)
    d_logits = rng.standard_normal(logits.shape)
    ours = recurrent.encoder_decoder_backward(
        d_logits, source, target_input, parameters, mask
    )
    tensors = {
        name: tuple(to_torch(*value, requires_grad=True))
        if isinstance(value, tuple)
        else to_torch(value, requires_grad=True)[0]
        for name, value in parameters.items()
    }
    source, target_input, mask = to_torch(source, target_input, mask)
    twin = twin_of(recurrent.encoder_decoder)(source, target_input, tensors, mask)
    np.testing.assert_allclose(logits, twin.detach().numpy(), **TOLERANCE["float64"])
    theirs = autograd(twin, leaves(tensors), d_logits)
    assert list(ours) == list(parameters)
    assert_all_close(leaves(ours), theirs, **GRADIENT_TOLERANCE)


def test_the_gradient_of_a_translation_loss_equals_central_differences():
    source, target_input, parameters, mask = translator(2)
    target = rng.integers(0, 13, target_input.shape)
    counts = rng.random(target.shape) < 0.7

    def loss(*_):
        logits = recurrent.encoder_decoder(source, target_input, parameters, mask)
        return ops.cross_entropy(logits, target, counts)

    logits = recurrent.encoder_decoder(source, target_input, parameters, mask)
    d_logits = ops.cross_entropy_backward(logits, target, counts)
    ours = recurrent.encoder_decoder_backward(
        d_logits, source, target_input, parameters, mask
    )
    differences = central_differences(loss, leaves(parameters), 1.0)
    assert_all_close(leaves(ours), differences, **GRADIENT_TOLERANCE)


def test_the_module_without_attention_is_the_numpy_encoder_decoder():
    source, target_input, parameters, mask = translator(3)
    expected = recurrent.encoder_decoder(source, target_input, parameters, mask)
    tensors = to_torch(source, mask, target_input)
    logits, attention = model_of(parameters)(*tensors)
    assert attention is None
    np.testing.assert_allclose(logits.detach(), expected, **TOLERANCE["float64"])


# The modules --------------------------------------------------------------------------


def seq2seq(seed=0, attention=True, bidirectional=False):
    torch = need_torch()
    from course_lib.in_torch.recurrent import Seq2Seq

    torch.manual_seed(seed)
    return Seq2Seq(11, 13, D_HIDDEN, attention, bidirectional).double()


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_encoder_equals_pytorch_on_packed_sequences(bidirectional):
    torch = need_torch()
    source, _, _, mask = translator(4)
    source, mask = to_torch(source, mask)
    encoder = seq2seq(bidirectional=bidirectional).encoder
    states, vector = encoder(source, mask)
    module = torch.nn.GRU(
        D_HIDDEN,
        D_HIDDEN,
        batch_first=True,
        bidirectional=bidirectional,
        dtype=torch.float64,
    )
    held = dict(encoder.forwards.state_dict())
    if bidirectional:
        back = encoder.backwards.state_dict()
        held |= {f"{name}_reverse": array for name, array in back.items()}
    module.load_state_dict(held)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        encoder.embedding(source), mask.sum(-1), batch_first=True, enforce_sorted=False
    )
    output, last = module(packed)
    output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    expected = last[0]
    if bidirectional:
        expected = torch.tanh(encoder.mix(torch.cat([last[0], last[1]], dim=-1)))
    torch.testing.assert_close(states * mask[..., None], output, rtol=0, atol=1e-10)
    torch.testing.assert_close(vector, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_neither_logits_nor_gradients_depend_on_the_padding(attention, bidirectional):
    torch = need_torch()
    source, target_input, _, mask = to_torch(*translator(5)[:2], None, translator(5)[3])
    model = seq2seq(attention=attention, bidirectional=bidirectional)
    outcomes = []
    for filler in (0, 7):
        model.zero_grad()
        logits, looked = model(source.masked_fill(~mask, filler), mask, target_input)
        logits.square().sum().backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        outcomes.append([logits.detach(), *gradients])
        if attention:
            assert torch.all(looked.masked_select(~mask[:, None]) == 0)
            torch.testing.assert_close(
                looked.sum(-1), torch.ones(N_BATCH, 6, dtype=torch.float64)
            )
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("attention", [False, True])
def test_word_by_word_gives_the_logits_of_all_at_once(attention):
    torch = need_torch()
    source, target_input, _, mask = to_torch(*translator(6)[:2], None, translator(6)[3])
    model = seq2seq(attention=attention)
    together, _ = model(source, mask, target_input)
    states, vector = model.encoder(source, mask)
    for step in range(target_input.shape[1]):
        word = target_input[:, step : step + 1]
        logits, _, vector = model.decode(word, vector, states, mask)
        torch.testing.assert_close(logits[:, 0], together[:, step], atol=1e-12, rtol=0)


def test_without_attention_only_the_vector_reaches_the_decoder():
    source, target_input, _, mask = to_torch(*translator(7)[:2], None, translator(7)[3])
    for attention in (False, True):
        model = seq2seq(attention=attention)
        states, vector = model.encoder(source, mask)
        logits, _, _ = model.decode(target_input, vector, states, mask)
        changed, _, _ = model.decode(target_input, vector, states + 1, mask)
        assert bool((logits == changed).all()) is not attention


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_every_twin_and_module_runs_on_any_device(device):
    device_or_skip(device)
    x, state, *arrays, mask = to_torch(*sequence(11), device=device)
    states = twin_of(recurrent.gru)(x, state, *arrays, mask)
    assert states.device.type == device
    assert states.shape == (N_BATCH, N_STEPS, D_HIDDEN)
    source, target_input, _, mask = translator(8)
    source, target_input, mask = to_torch(source, target_input, mask, device=device)
    for attention in (False, True):
        model = seq2seq(attention=attention, bidirectional=True).to(device)
        logits, looked = model(source, mask, target_input)
        assert logits.device.type == device
        assert logits.shape == (N_BATCH, 6, 13)
        assert (looked is None) is not attention


# Errors -------------------------------------------------------------------------------

X, STATE = np.zeros((5, 7, 2)), np.zeros((5, 3))
W = [np.zeros((9, 2)), np.zeros((9, 3)), np.zeros(9), np.zeros(9)]
IDS, TARGET = np.zeros((5, 7), int), np.zeros((5, 6), int)
REFUSED = {
    "W_x: transposed": (
        recurrent.gru_cell,
        (X[:, 0], STATE, W[0].T, *W[1:]),
        "W_x has shape (2, 9) but x has 2 features and state has 3: expected (9, 2)",
    ),
    "b_h: of one gate": (
        recurrent.gru,
        (X, STATE, *W[:3], np.zeros(3)),
        "b_h has shape (3,) but x has 2 features and state has 3: expected (9,)",
    ),
    "x: a list": (
        recurrent.gru_cell,
        ([0.0, 0.0], STATE, *W),
        "x must be an array, but it is a list: convert it with np.asarray or "
        "torch.tensor first",
    ),
    "state: of another batch": (
        recurrent.gru,
        (X, STATE[:3], *W),
        "state has shape (3, 3) but x has (5, 7, 2): expected batch axes (5,)",
    ),
    "mask: numbers": (
        recurrent.gru,
        (X, STATE, *W, np.zeros((5, 7))),
        "mask must be boolean (True = may attend), but its dtype is {float64}",
    ),
    "mask: of one sequence": (
        recurrent.gru,
        (X, STATE, *W, np.ones(7, bool)),
        "mask has shape (7,) but x has (5, 7, 2): expected (5, 7)",
    ),
    "source: floats": (
        recurrent.encoder_decoder,
        (IDS.astype(float), TARGET, {}),
        "source must hold integers, but its dtype is {float64}",
    ),
    "source: empty": (
        recurrent.encoder_decoder,
        (IDS[:, :0], TARGET, {}),
        "source must have at least one position, but its shape is (5, 0)",
    ),
    "target_input: of another batch": (
        recurrent.encoder_decoder,
        (IDS, TARGET[:2], {}),
        "source has batch axes (5,) and target_input has (2,): they must be equal",
    ),
}


@pytest.mark.parametrize("half", ["numpy", "torch"])
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_in_one_sentence(case, half):
    assert_refused(half, *REFUSED[case])
