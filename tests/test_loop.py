"""The loop: runs resume bit for bit, end early, and refuse what is not theirs."""

import io
import os
import re
import signal
import struct
import threading

import numpy as np
import pytest
from twins import device_or_skip, need_torch

torch = need_torch()

from tiny_models import (  # noqa: E402
    Dropping,
    batch_at,
    drop_loss,
    parameters,
    tiny,
)

from course_lib.training.devices import pick_device, seeded  # noqa: E402
from course_lib.training.early_stop import EarlyStop  # noqa: E402
from course_lib.training.loop import fit  # noqa: E402
from course_lib.training.translation import translation_loss  # noqa: E402

torch.set_num_threads(1)  # models this small are slower on two


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    whole, parts = tiny(), tiny()
    expected = fit(whole, batch_at, translation_loss, 13)
    for until in (5, 5, 11, 13):
        losses = fit(
            parts,
            batch_at,
            translation_loss,
            13,
            until=until,
            checkpoint=tmp_path / "run.pt",
        )
        assert losses == expected[:until]
        parts = tiny(seed=until)  # what is resumed comes from the file alone
    fit(parts, batch_at, translation_loss, 13, checkpoint=tmp_path / "run.pt")
    for one, other in zip(parameters(whole), parameters(parts), strict=True):
        assert torch.equal(one, other)


def test_a_run_that_is_interrupted_keeps_the_steps_it_made(tmp_path):
    def stop_at_5(step):
        if step == 5:
            raise KeyboardInterrupt
        return batch_at(step)

    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), stop_at_5, translation_loss, 11, checkpoint=path)
    losses = fit(tiny(1), batch_at, translation_loss, 11, checkpoint=path)
    assert losses == fit(tiny(), batch_at, translation_loss, 11)


def test_random_layers_resume_where_they_were(tmp_path):
    def noise(step):
        return torch.full((2, 3), float(step + 1))

    torch.manual_seed(0)
    expected = fit(Dropping(), noise, drop_loss, 7)
    torch.manual_seed(0)
    path = tmp_path / "run.pt"
    fit(Dropping(), noise, drop_loss, 7, until=3, checkpoint=path)
    torch.manual_seed(99)
    assert fit(Dropping(), noise, drop_loss, 7, checkpoint=path) == expected


def test_training_lowers_the_loss_and_the_last_step_hardly_moves():
    model = tiny(d_hidden=16)
    losses = fit(model, batch_at, translation_loss, 60)
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])
    model, shown = tiny(), []

    def watch(model, batch):
        shown.append(parameters(model))
        return translation_loss(model, batch)

    fit(model, batch_at, watch, 20)
    shown.append(parameters(model))
    moves = [
        max((a - b).abs().max() for a, b in zip(one, other, strict=True))
        for one, other in zip(shown[:-1], shown[1:], strict=True)
    ]
    assert moves[-1] < 0.2 * moves[0]
    assert moves[0] == pytest.approx(8e-3, rel=0.01)  # Adam's first step is its rate


def test_the_gradient_is_clipped():
    model = torch.nn.Linear(2, 1)
    seen = []

    def steep(model, batch):
        return 1e6 * model(torch.ones(2)).sum()

    before = torch.nn.utils.clip_grad_norm_

    def watch(*arguments):
        seen.append(float(before(*arguments)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
        fit(model, lambda step: None, steep, 1, clip=0.5)
    norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
    assert seen[0] > 1e6
    assert norm.item() == pytest.approx(0.5, rel=1e-4)


def test_no_progress_bar_is_drawn_where_there_is_no_terminal(capfd):
    fit(tiny(), batch_at, translation_loss, 2, progress=True)
    assert capfd.readouterr() == ("", "")


# Checkpoints --------------------------------------------------------------------------


def damages(whole):
    """Files that are no checkpoint, by what is wrong with them."""
    losses = torch.load(io.BytesIO(whole))["history"][0]
    first = whole.index(struct.pack(">d", losses[0]))  # as pickle writes a number
    return {
        "empty": b"",
        "cut short": whole[: len(whole) // 2],
        "a text": b"no checkpoint at all",
        "a bit flipped": whole[:first] + b"?" + whole[first + 1 :],
        "a list": saved([1, 2]),
        "another dict": saved({"model": {}}),
        "odd random numbers": saved(torch.load(io.BytesIO(whole)) | {"random": [[]]}),
    }


def saved(thing):
    """What torch.save would write."""
    file = io.BytesIO()
    torch.save(thing, file)
    return file.getvalue()


def test_a_damaged_checkpoint_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "run.pt"
    fit(tiny(), batch_at, translation_loss, 2, checkpoint=path)
    sentence = f"{path} is no checkpoint of this model: delete it to start anew"
    for damaged in damages(path.read_bytes()).values():
        path.write_bytes(damaged)
        with pytest.raises(ValueError) as error:
            fit(tiny(), batch_at, translation_loss, 2, checkpoint=path)
        assert str(error.value) == sentence


def test_a_checkpoint_of_another_model_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "run.pt"
    fit(tiny(), batch_at, translation_loss, 2, checkpoint=path)
    sentence = f"{path} is no checkpoint of this model: delete it to start anew"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        fit(tiny(d_hidden=7), batch_at, translation_loss, 2, checkpoint=path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": 4}, "steps 3, not 4"),
        ({"learning_rate": 0.1}, "learning_rate 0.008, not 0.1"),
        ({"clip": 2.0}, "clip 1.0, not 2.0"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_in_one_sentence(
    tmp_path, options, said
):
    path = tmp_path / "run.pt"
    fit(tiny(), batch_at, translation_loss, 3, until=2, checkpoint=path)
    with pytest.raises(ValueError) as error:
        options = {"steps": 3, "checkpoint": path} | options
        fit(tiny(), batch_at, translation_loss, **options)
    expected = f"{path} is of a run with {said}: delete it to start anew"
    assert str(error.value) == expected


def test_a_run_that_is_killed_keeps_what_was_last_saved(tmp_path):
    path, asked = tmp_path / "run.pt", []

    def fail_at_9(model, pairs):
        asked.append(1)
        if len(asked) == 10:
            raise RuntimeError("out of memory")
        return translation_loss(model, pairs)

    with pytest.raises(RuntimeError, match="^out of memory$"):
        fit(tiny(), batch_at, fail_at_9, 11, checkpoint=path, save_every=4)
    assert len(torch.load(path)["history"][0]) == 8
    losses = fit(tiny(1), batch_at, translation_loss, 11, checkpoint=path)
    assert losses == fit(tiny(), batch_at, translation_loss, 11)


# Interrupts ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_step_to_end(tmp_path, number):
    def signal_at_5(model, pairs):
        if len(asked) == 5:  # in the middle of the sixth step
            os.kill(os.getpid(), number)
        asked.append(1)
        return translation_loss(model, pairs)

    path, asked, before = tmp_path / "run.pt", [], signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), batch_at, signal_at_5, 11, checkpoint=path)
    assert signal.getsignal(number) is before
    assert len(torch.load(path)["history"][0]) == 6
    whole, rest = tiny(), tiny(1)
    losses = fit(rest, batch_at, translation_loss, 11, checkpoint=path)
    assert losses == fit(whole, batch_at, translation_loss, 11)
    for one, other in zip(parameters(whole), parameters(rest), strict=True):
        assert torch.equal(one, other)


def test_a_signal_behind_the_last_step_is_not_lost(tmp_path):
    def signal_then(model):  # the look after the third step, the last one
        os.kill(os.getpid(), signal.SIGINT)
        return 0.5

    path, stop = tmp_path / "run.pt", EarlyStop(signal_then, every=3)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), batch_at, translation_loss, 3, stop=stop, checkpoint=path)
    assert len(torch.load(path)["history"][0]) == 3


def test_whoever_asks_twice_is_obeyed_at_once(tmp_path):
    reached = []

    def hang(step):
        if step == 1:
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after one")
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("after two")
        return batch_at(step)

    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), hang, translation_loss, 5)
    assert reached == ["after one"]


def test_training_in_another_thread_works_too():
    losses = []
    thread = threading.Thread(
        target=lambda: losses.extend(fit(tiny(), batch_at, translation_loss, 3))
    )
    torch.manual_seed(0)
    thread.start()
    thread.join()
    assert losses == fit(tiny(), batch_at, translation_loss, 3)


# Early stop ---------------------------------------------------------------------------


def measured(values):
    """A measure that gives these values one after the other, and what it was asked."""
    asked = []

    def measure(model):
        model.eval()  # as a measure does; the loop must undo it
        asked.append(1)
        return values[len(asked) - 1]

    return measure, asked


@pytest.mark.parametrize(
    ("values", "options", "n_steps"),
    [
        ([0.5, 0.9, 0.9], {"threshold": 0.9}, 6),  # reached counts
        ([0.5, 0.7, 0.8], {"threshold": 0.9}, 11),  # never: to the end
        ([0.5, 0.4, 0.5, 0.9], {"patience": 2}, 9),  # as good is no better
        ([0.5, 0.4, 0.6, 0.9], {"patience": 2}, 11),
        ([0.5, 0.4, 0.6], {"patience": 1}, 6),
        ([0.5, 0.4, 0.6], {"patience": 1, "threshold": 0.5}, 3),
        ([0.5, 0.4, 0.6], {}, 11),
    ],
)
def test_a_run_ends_when_its_measure_says_so(values, options, n_steps):
    measure, asked = measured(values)
    stop, model = EarlyStop(measure, every=3, **options), tiny()
    losses = fit(model, batch_at, translation_loss, 11, stop=stop)
    assert losses == fit(tiny(), batch_at, translation_loss, 11)[:n_steps]
    assert len(asked) == n_steps // 3
    assert model.training


def test_an_early_stop_resumes_with_what_it_has_seen(tmp_path):
    path, values = tmp_path / "run.pt", [0.5, 0.4, 0.3, 0.9]
    measure, asked = measured(values)
    for until in (4, 5, 7, 11):
        stop = EarlyStop(measure, every=3, patience=2)
        losses = fit(
            tiny(),
            batch_at,
            translation_loss,
            11,
            until=until,
            stop=stop,
            checkpoint=path,
        )
    assert len(losses) == 9
    assert len(asked) == 3  # no look is made twice
    assert torch.load(path)["history"][1] == values[:3]
    again = fit(tiny(), batch_at, translation_loss, 11, stop=stop, checkpoint=path)
    assert again == losses  # what has ended stays ended


def test_an_interrupted_look_is_made_when_the_run_goes_on(tmp_path):
    def stop(measure):
        return EarlyStop(measure, every=3, threshold=0.9)

    def interrupted(model):
        raise KeyboardInterrupt

    path = tmp_path / "run.pt"
    fit(tiny(), batch_at, translation_loss, 11, until=2, checkpoint=path)
    with pytest.raises(KeyboardInterrupt):
        fit(
            tiny(),
            batch_at,
            translation_loss,
            11,
            stop=stop(interrupted),
            checkpoint=path,
        )
    measure, asked = measured([0.9])
    losses = fit(
        tiny(), batch_at, translation_loss, 11, stop=stop(measure), checkpoint=path
    )
    assert (len(losses), len(asked)) == (3, 1)


@pytest.mark.parametrize("name", ["every", "patience"])
def test_an_early_stop_refuses_a_number_below_1(name):
    with pytest.raises(ValueError) as error:
        EarlyStop(**{"measure": len, "every": 3, name: 0})
    assert str(error.value) == f"{name} must be a whole number from 1 up, got 0"


# Rates, precision, devices and seeds --------------------------------------------------


def test_the_schedule_decides_the_rate_of_every_step():
    rates = [0.5, 0.25, 1.0]
    model = torch.nn.Linear(3, 2)
    before = parameters(model)
    fit(
        model,
        lambda step: torch.ones(4, 3),
        lambda model, batch: model(batch).sum(),  # the gradient never changes
        3,
        learning_rate=0.01,
        schedule=lambda step, steps: rates[step] * (steps == 3),
    )
    for one, other in zip(before, parameters(model), strict=True):  # Adam: rate a step
        torch.testing.assert_close(one - other, torch.full_like(one, 0.0175))


def test_mixed_precision_is_left_out_on_the_cpu():
    one, other = tiny(), tiny()
    losses = fit(one, batch_at, translation_loss, 3)
    assert fit(other, batch_at, translation_loss, 3, mixed=True) == losses
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert torch.equal(a, b)


def test_mixed_precision_is_bfloat16_on_cuda_while_the_weights_stay_float32():
    device_or_skip("cuda")
    model, seen = tiny().cuda(), []

    def watch(model, pairs):
        logits, _ = model(*tensors_of(pairs, "cuda"))
        seen.append(logits.dtype)
        return translation_loss(model, pairs)

    fit(model, batch_at, watch, 2, mixed=True)
    assert seen == [torch.bfloat16] * 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def tensors_of(pairs, device):
    arrays = pairs.source, pairs.source_mask, pairs.target_input
    return [torch.tensor(array, device=device) for array in arrays]


def test_a_run_on_cuda_resumes_bit_for_bit(tmp_path):
    device_or_skip("cuda")

    def noise(step):
        return torch.full((2, 3), float(step + 1), device="cuda")

    with seeded(0):
        expected = fit(Dropping().cuda(), noise, drop_loss, 7)
    path = tmp_path / "run.pt"
    with seeded(0):
        fit(Dropping().cuda(), noise, drop_loss, 7, until=3, checkpoint=path)
    with seeded(99):
        model = Dropping().cuda()
        assert fit(model, noise, drop_loss, 7, checkpoint=path) == expected


def test_the_device_is_the_best_there_is_or_the_one_that_was_named(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == pick_device("cuda") == torch.device("cuda", 0)
    assert pick_device("cuda:1") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "1")  # as torchrun says
    assert pick_device() == torch.device("cuda", 1)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert pick_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gpu", "device must be 'cpu' or 'cuda', got 'gpu'"),
        ("cuda", "device must be 'cpu', for there is no CUDA here, got 'cuda'"),
        ("cuda:3", "device must be 'cpu', for there is no CUDA here, got 'cuda:3'"),
    ],
)
def test_a_device_that_is_not_there_is_refused_in_one_sentence(
    monkeypatch, name, sentence
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError) as error:
        pick_device(name)
    assert str(error.value) == sentence


def test_a_seed_decides_what_is_drawn_within_and_nothing_outside():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(1):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(1):
        assert torch.equal(torch.rand(3), inside)
    with seeded(2):
        assert not torch.equal(torch.rand(3), inside)


# Refused ------------------------------------------------------------------------------


def test_until_beyond_the_steps_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="^until must be from 0 to 3, the steps, got"):
        fit(tiny(), batch_at, translation_loss, 3, until=5)
