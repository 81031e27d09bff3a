"""Chapter 1's runs: they resume bit for bit, and what is committed is true."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from twins import need_torch

torch = need_torch()

from tiny_models import parameters  # noqa: E402

from course_lib.training import bottleneck, tasks  # noqa: E402
from course_lib.training.bottleneck import Run  # noqa: E402
from course_lib.training.command import train  # noqa: E402
from course_lib.training.committed import read_results  # noqa: E402
from course_lib.training.loop import fit  # noqa: E402

torch.set_num_threads(1)  # models this small are slower on two
RESULTS = read_results("bottleneck")

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
