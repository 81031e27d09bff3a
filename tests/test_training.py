"""Training: runs resume bit for bit, metrics by hand, what is committed is true."""

import dataclasses
import json
import re
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from twins import need_torch

torch = need_torch()

from course_lib.data.digits import DIGITS, reversed_digits  # noqa: E402
from course_lib.data.vocabulary import END, PAD  # noqa: E402
from course_lib.in_numpy import ops  # noqa: E402
from course_lib.in_torch.recurrent import Seq2Seq  # noqa: E402
from course_lib.training import bottleneck, metrics, tasks  # noqa: E402
from course_lib.training.bottleneck import Run  # noqa: E402
from course_lib.training.command import train  # noqa: E402
from course_lib.training.committed import read_results  # noqa: E402
from course_lib.training.loop import fit  # noqa: E402
from course_lib.training.translation import (  # noqa: E402
    greedy_decode,
    translation_loss,
)

torch.set_num_threads(1)  # models this small are slower on two
RESULTS = read_results("bottleneck")


def tiny(seed=0, attention=True, d_hidden=5):
    """A model of reversed digits, small enough to train in a blink."""
    torch.manual_seed(seed)
    return Seq2Seq(len(DIGITS), len(DIGITS), d_hidden, attention)


def batch_at(step, n=7):
    return reversed_digits(n, [1, 2, 3], "train", np.random.default_rng([0, step]))


class Dropping(torch.nn.Module):
    """A model that draws random numbers while it trains, as dropout does."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.dropout = torch.nn.Dropout(0.5)


def drop_loss(model, batch):
    return model.layer(model.dropout(batch)).square().sum()


def parameters(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


# The loop -----------------------------------------------------------------------------


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


def test_a_checkpoint_of_another_model_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "run.pt"
    fit(tiny(), batch_at, translation_loss, 2, checkpoint=path)
    sentence = f"{path} is no checkpoint of this model: delete it to start anew"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        fit(tiny(d_hidden=7), batch_at, translation_loss, 2, checkpoint=path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        fit(tiny(), batch_at, translation_loss, 2, checkpoint=path)


def test_until_beyond_the_steps_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="^until must be from 0 to 3, the steps, got"):
        fit(tiny(), batch_at, translation_loss, 3, until=5)


# Loss and decoding --------------------------------------------------------------------


@pytest.mark.parametrize("attention", [False, True])
def test_the_translation_loss_is_the_cross_entropy_of_the_next_word(attention):
    model, pairs = tiny(attention=attention), batch_at(0)
    with torch.no_grad():
        logits, _ = model(
            torch.tensor(pairs.source),
            torch.tensor(pairs.source_mask),
            torch.tensor(pairs.target_input),
        )
        ours = translation_loss(model, pairs).item()
    expected = ops.cross_entropy(logits.numpy(), pairs.target, pairs.target_mask)
    assert ours == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("attention", [False, True])
def test_greedy_decoding_writes_the_likeliest_word_after_what_it_wrote(attention):
    model, pairs = tiny(attention=attention), batch_at(0)
    ids, weights = greedy_decode(model, pairs.source, pairs.source_mask, 6)
    assert ids.shape == (7, 6)
    assert (weights is None) is not attention
    start = np.full((7, 1), 1)
    with torch.no_grad():
        logits, looked = model(
            torch.tensor(pairs.source),
            torch.tensor(pairs.source_mask),
            torch.tensor(np.concatenate([start, ids[:, :-1]], axis=1)),
        )
    written = ids != PAD
    best = logits.argmax(dim=-1).numpy()
    np.testing.assert_array_equal(ids[written], best[written])
    if attention:
        assert weights.shape == (7, 6, pairs.source.shape[1])
        np.testing.assert_allclose(weights[written], looked[written], atol=1e-6)


def test_nothing_is_written_behind_the_end():
    model, pairs = tiny(), batch_at(0)
    with torch.no_grad():
        model.W_out.bias[END] = 1e3
    ids, _ = greedy_decode(model, pairs.source, pairs.source_mask, 5)
    assert ids.tolist() == [[END, PAD, PAD, PAD, PAD]] * 7


# Metrics ------------------------------------------------------------------------------

TARGET = np.array([[5, 6, END], [7, END, PAD], [8, 9, END]])
PREDICTED = np.array([[5, 6, END, PAD], [7, 7, END, PAD], [9, 9, END, 4]])


def test_metrics_by_hand():
    assert metrics.token_accuracy(PREDICTED, TARGET) == 6 / 8
    correct = metrics.sequence_correct(PREDICTED, TARGET)
    assert correct.tolist() == [True, False, False]
    assert metrics.accuracy_by_length(correct, [2, 1, 5], [(1, 2), (3, 5)]) == [0.5, 0]


def test_what_is_written_behind_the_end_of_the_target_does_not_count():
    longer = np.concatenate([TARGET, np.full((3, 2), 9)], axis=1)
    assert metrics.sequence_correct(longer, TARGET).all()
    assert metrics.token_accuracy(longer, TARGET) == 1


def test_an_empty_bin_has_no_accuracy():
    assert np.isnan(metrics.accuracy_by_length([True], [2], [(3, 5)])[0])
    assert np.isnan(metrics.token_accuracy(np.zeros((0, 3)), np.zeros((0, 3))))


def test_metrics_refuse_what_does_not_fit_in_one_sentence():
    with pytest.raises(
        ValueError, match=r"^predicted has shape \(3, 4\) but target has \(2, 3\): "
    ):
        metrics.token_accuracy(PREDICTED, TARGET[:2])
    with pytest.raises(ValueError, match="^correct has 1 sequences but length has 2$"):
        metrics.accuracy_by_length([True], [2, 3], [(2, 3)])


# Runs ---------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch):
    """The digits task, cut down to a run of ten steps."""
    task = dataclasses.replace(
        tasks.TASKS["digits"], trained=(1, 2), bins=((1, 2), (3, 3)), budget=10
    )
    monkeypatch.setitem(tasks.TASKS, "digits", task)
    monkeypatch.setattr(tasks, "TESTED", 13)
    return Run("digits", hidden=5, seed=0, attention=True)


def test_a_run_that_was_stopped_ends_with_the_same_result(small, tmp_path, monkeypatch):
    expected = bottleneck.train(small, tmp_path / "whole")
    calls = []

    def stop_in_the_third_part(*arguments, **options):
        calls.append(options["until"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(bottleneck, "fit", stop_in_the_third_part)
        with pytest.raises(KeyboardInterrupt):
            bottleneck.train(small, tmp_path / "parts")
    assert bottleneck.train(small, tmp_path / "parts") == expected
    files = [
        sorted(path.name for path in (tmp_path / folder).iterdir())
        for folder in ("whole", "parts")
    ]
    assert files == [[f"{small.name}.json"]] * 2
    texts = [
        (tmp_path / folder / files[0][0]).read_text() for folder in ("whole", "parts")
    ]
    assert texts[0] == texts[1]
    assert expected["at_step"] == [2, 4, 6, 8, 10]


def test_training_leaves_the_random_numbers_of_others_alone(small, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    bottleneck.build_model(small)
    assert torch.equal(torch.rand(3), expected)


def test_the_same_seed_starts_from_the_same_weights_and_sees_the_same_batches(small):
    one, other = (bottleneck.build_model(small) for _ in range(2))
    for a, b in zip(parameters(one), parameters(other), strict=True):
        assert torch.equal(a, b)
    task = tasks.TASKS["digits"]
    np.testing.assert_array_equal(
        task.batch_at(3, 7).source, task.batch_at(3, 7).source
    )
    assert not np.array_equal(task.batch_at(3, 7).source, task.batch_at(4, 7).source)


def test_the_command_of_a_run_makes_that_run(small, tmp_path, monkeypatch):
    monkeypatch.setattr(bottleneck, "train", lambda run, *_, **__: made.append(run) or {
        "bins": [], "sequence_accuracy": [[]]
    })  # fmt: skip
    for run in bottleneck.committed_runs():
        made = []
        arguments = run.command.split()[2:]
        done = CliRunner().invoke(train, [*arguments, "--folder", str(tmp_path)])
        assert done.exit_code == 0, done.output
        assert made == [run]


def test_all_leaves_alone_what_exists_and_trains_the_rest(small, tmp_path, monkeypatch):
    other = dataclasses.replace(small, attention=False)
    monkeypatch.setattr(bottleneck, "committed_runs", lambda: [small, other])
    monkeypatch.setattr(tasks, "BATCH", 3)
    bottleneck.train(small, tmp_path)
    kept = (tmp_path / f"{small.name}.json").stat().st_mtime_ns
    done = CliRunner().invoke(train, ["bottleneck", "--all", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert [line.split(":")[0] for line in done.output.splitlines()] == [
        small.name,
        other.name,
    ]
    assert (tmp_path / f"{small.name}.json").stat().st_mtime_ns == kept
    assert len(read_results("", tmp_path)) == 2


def test_a_command_without_a_run_is_refused_in_one_sentence(tmp_path):
    done = CliRunner().invoke(train, ["bottleneck", "--task", "lists"])
    assert done.exit_code == 2
    assert done.output.splitlines()[-1] == "Error: give --task and --hidden, or --all"


def test_training_without_pytorch_is_refused_in_one_sentence(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    done = CliRunner().invoke(train, small.command.split()[2:])
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == (
        "Error: training needs PyTorch: pip install 'attention-course[torch]'"
    )


def test_a_damaged_result_is_refused_in_one_sentence(small, tmp_path):
    (tmp_path / f"{small.name}.json").write_text("{", "utf-8")
    arguments = [*small.command.split()[2:], "--folder", str(tmp_path)]
    done = CliRunner().invoke(train, arguments)
    assert done.exit_code == 1
    assert done.output.splitlines()[-1] == (
        f"Error: {tmp_path / small.name}.json is no result: delete it to train anew"
    )


# What is committed --------------------------------------------------------------------


def final(task, hidden, attention, budget, seed):
    """Sequence accuracy by bin at the end of a committed run."""
    (result,) = [
        result
        for result in RESULTS
        if (result["task"], result["hidden"], result["seed"]) == (task, hidden, seed)
        and (result["attention"], result["budget"]) == (attention, budget)
        and not result["reverse_source"]
    ]
    return result["sequence_accuracy"][-1]


def test_every_committed_result_is_complete_and_says_how_it_was_made():
    runs = {run.name: run for run in bottleneck.committed_runs()}
    assert len(RESULTS) == len(runs)
    for result in RESULTS:
        names = [field.name for field in dataclasses.fields(Run)]
        run = Run(**{name: result[name] for name in names})
        assert runs[run.name] == run
        assert result["command"] == run.command
        assert result["at_step"][-1] == result["steps"] == run.steps
        assert result["bins"] == json.loads(json.dumps(tasks.TASKS[run.task].bins))
        for name in ("at_step", "loss", "sequence_accuracy", "token_accuracy"):
            assert len(result[name]) == bottleneck.LOOKS
        assert len(result["examples"]) == 2 * len(result["bins"])


@pytest.mark.parametrize("seed", bottleneck.SEEDS)
@pytest.mark.parametrize("hidden", bottleneck.HIDDEN)
@pytest.mark.parametrize("task", ["lists", "digits"])
def test_attention_is_20_points_ahead_of_five_times_the_training(task, hidden, seed):
    longest = tasks.TASKS[task].bins.index(longest_trained(tasks.TASKS[task]))
    with_attention = final(task, hidden, True, 1, seed)[longest]
    without = final(task, hidden, False, 5, seed)[longest]
    assert with_attention - without >= 0.2


def longest_trained(task):
    """The last bin within the lengths trained on."""
    return max(pair for pair in task.bins if pair[1] <= task.trained[1])


def test_committed_examples_are_pairs_of_the_task_that_were_never_trained_on():
    for result in RESULTS:
        for example in result["examples"]:
            if result["task"] == "digits":
                assert example["source"].split()[::-1] == example["target"].split()
        right = [e["target"] == e["predicted"] for e in result["examples"]]
        shares = result["sequence_accuracy"][-1]
        for bin_number, share in enumerate(shares):
            if share in (0, 1):  # then every example says the same
                assert set(right[2 * bin_number :][:2]) == {bool(share)}
