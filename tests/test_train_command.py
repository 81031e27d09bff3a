"""`attention-course train`: every task trains, goes on, and stops with a sentence."""

import os
import signal
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from torchrun import launch
from twins import need_torch

torch = need_torch()

from course_lib.data.glimpses import digit_images  # noqa: E402
from course_lib.training import (  # noqa: E402
    glimpses,
    shapes,
    tasks,
    text,
    trainers,
    translators,
)
from course_lib.training.command import train  # noqa: E402
from course_lib.training.recipes import READERS, RECIPES, TRANSLATORS  # noqa: E402

torch.set_num_threads(1)
NEEDS = {"dates": "babel", "glimpses": "sklearn", "text": "tokenizers"}
QUICK = {"shapes": "vision"}  # else a task trains its usual model


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Little to test on, and no checkpoint in the folder of the tests."""
    monkeypatch.setattr(tasks, "BATCH", 4)
    monkeypatch.setattr(tasks, "TESTED", 17)
    bits = text.text_bits
    monkeypatch.setattr(text, "text_bits", lambda model, text: bits(model, text[:999]))
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    """What the command answers."""
    return CliRunner().invoke(train, list(map(str, arguments)))


def losses_in(path):
    """The losses that a checkpoint keeps."""
    return torch.load(path)["history"][0]


def test_every_recipe_has_its_trainer_and_every_model_its_name():
    for name in RECIPES:
        assert callable(getattr(trainers, name))
        assert train.commands[name].help == RECIPES[name].says
    assert set(TRANSLATORS) == set(translators.MODELS)
    assert set(READERS) == set(glimpses.KINDS)
    usual = {name: kind.steps for name, kind in shapes.KINDS.items()}
    assert RECIPES["shapes"].steps == usual
    assert set(RECIPES["text"].steps) == set(text.MODELS)


@pytest.mark.parametrize(
    ("task", "model"),
    [(name, QUICK.get(name, next(iter(RECIPES[name].steps)))) for name in RECIPES],
)
def test_every_task_trains_and_says_what_it_measured(task, model, tmp_path):
    if task in NEEDS:
        pytest.importorskip(NEEDS[task], reason=f"{NEEDS[task]} is not installed")
    arguments = ["--model", model, "--steps", 2, "--seed", 3]
    done = run(task, *arguments, "--folder", tmp_path / "a" / "b")
    assert done.exit_code == 0, done.output
    name = f"{task}-{model}-seed3-steps2"
    assert done.output.startswith(f"{name}: ")
    assert len(done.output.splitlines()) == 1
    (path,) = (tmp_path / "a" / "b").iterdir()
    assert path.name == f"{name}.pt"
    assert len(losses_in(path)) == 2


@pytest.mark.parametrize("model", TRANSLATORS)
def test_every_translator_learns(model, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "BATCH", 16)
    arguments = ("digits", "--model", model, "--steps", 12, "--device", "cpu")
    done = run(*arguments)
    assert done.exit_code == 0, done.output
    losses = losses_in(tmp_path / "runs" / f"digits-{model}-seed0-steps12.pt")
    assert np.mean(losses[-3:]) < 0.97 * np.mean(losses[:3])


def test_the_seed_decides_the_run_and_nothing_else_does(tmp_path):
    found = []
    for seed, noise in ((1, 5), (1, 6), (2, 5)):
        torch.manual_seed(noise)
        folder = tmp_path / f"{seed}{noise}"
        run("digits", "--steps", 3, "--seed", seed, "--folder", folder)
        (path,) = folder.iterdir()
        found.append(losses_in(path))
    assert found[0] == found[1] != found[2]


def test_ctrl_c_ends_with_one_sentence_and_the_same_command_goes_on(monkeypatch):
    batch_at, made = tasks.Task.batch_at, []

    def interrupted(self, seed, step):
        made.append(step)
        if step == 3 and made.count(3) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return batch_at(self, seed, step)

    monkeypatch.setattr(tasks.Task, "batch_at", interrupted)
    arguments = ("digits", "--steps", 6)
    done = run(*arguments)
    assert done.exit_code == 130
    assert done.output == "Stopped: the same command goes on from there.\n"
    done = run(*arguments)
    assert done.exit_code == 0
    assert made == [0, 1, 2, 3, 4, 5]
    stopped = losses_in("runs/digits-transformer-seed0-steps6.pt")
    run(*arguments, "--folder", "whole")
    assert stopped == losses_in("whole/digits-transformer-seed0-steps6.pt")


def test_a_damaged_checkpoint_is_said_in_one_sentence(tmp_path):
    path = tmp_path / "digits-transformer-seed0-steps2.pt"
    path.write_bytes(b"nothing of use")
    done = run("digits", "--steps", 2, "--folder", tmp_path)
    assert done.exit_code == 1
    assert done.output == (
        f"Error: {path} is no checkpoint of this model: delete it to start anew\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["digits", "--device", "gpu"],
            1,
            "Error: device must be 'cpu' or 'cuda', got 'gpu'",
        ),
        (
            ["digits", "--model", "lstm"],
            2,
            "Error: Invalid value for '--model': 'lstm' is not one of "
            + ", ".join(map(repr, TRANSLATORS))
            + ".",
        ),
        (["poems"], 2, "Error: No such command 'poems'."),
    ],
)
def test_what_cannot_be_trained_is_said_in_one_sentence(arguments, code, said):
    done = run(*arguments)
    assert done.exit_code == code
    assert done.output.splitlines()[-1] == said


@pytest.mark.parametrize(
    ("module", "task", "said"),
    [
        ("torch", "numbers", "PyTorch: pip install 'attention-course[torch]'"),
        ("sklearn", "glimpses", "scikit-learn: pip install scikit-learn"),
        ("babel", "dates", "babel: pip install babel"),
    ],
)
def test_a_package_that_is_missing_is_named_in_one_sentence(
    monkeypatch, module, task, said
):
    digit_images.cache_clear()
    for name in list(sys.modules):
        if name.startswith(f"{module}.") and module != "torch":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "course_lib.data.dates", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    done = run(task, "--steps", 1)
    assert done.exit_code == 1
    assert done.output == f"Error: training needs {said}\n"


# Two processes ------------------------------------------------------------------------


def test_under_torchrun_two_processes_make_the_losses_of_one(tmp_path):
    command = "from course_lib.cli import main; main()"
    arguments = ["train", "digits", "--steps", "4", "--seed", "1", "--folder"]
    printed = [
        launch("-c", command, *arguments, tmp_path / folder, together=together)
        for folder, together in (("one", False), ("two", True))
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].splitlines()) == 1
    one, two = (
        losses_in(tmp_path / folder / "digits-transformer-seed1-steps4.pt")
        for folder in ("one", "two")
    )
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-5)
