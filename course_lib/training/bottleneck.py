"""Chapter 1's experiment: accuracy against length, with and without attention.

A run is one model on one task. Its result is a small JSON file that says how it was
made; `committed.read_results` reads them all. Every number comes from one CPU thread.
"""

import json
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from course_lib.data.vocabulary import reverse_source
from course_lib.in_torch.recurrent import Seq2Seq
from course_lib.training.committed import FOLDER, read_result
from course_lib.training.devices import seeded
from course_lib.training.distributed import is_first
from course_lib.training.loop import fit
from course_lib.training.metrics import (
    accuracy_by_length,
    sequence_correct,
    token_accuracy,
)
from course_lib.training.tasks import TASKS
from course_lib.training.translation import greedy_decode, n_words, translation_loss

RESULTS = FOLDER / "bottleneck"
HIDDEN, SEEDS = (32, 64, 96), (0, 1, 2)
LOOKS = 5  # how often the accuracy is measured on the way


@dataclass(frozen=True)
class Run:
    """One model to train: what the command line says, and nothing else."""

    task: str
    hidden: int
    seed: int
    attention: bool
    budget: int = 1
    reverse_source: bool = False

    @property
    def name(self):
        """The name of its result, without the suffix."""
        attention = "attention" if self.attention else "vector"
        flipped = "-reversed" if self.reverse_source else ""
        return (
            f"{self.task}-h{self.hidden}-{attention}{flipped}"
            f"-x{self.budget}-seed{self.seed}"
        )

    @property
    def command(self):
        """The command that makes its result."""
        flags = "--attention" if self.attention else "--no-attention"
        flags += " --reverse-source" if self.reverse_source else ""
        return (
            f"attention-course train bottleneck --task {self.task} --hidden "
            f"{self.hidden} --seed {self.seed} --budget {self.budget} {flags}"
        )

    @property
    def steps(self):
        """How many steps it trains for."""
        return self.budget * TASKS[self.task].budget


def committed_runs():
    """Every run whose result is committed, the ones that matter most first."""
    grid = list(product(SEEDS, HIDDEN, ("lists", "digits")))
    uneven = ((False, 5), (True, 1))
    single = [Run("single", 96, seed, False, 5) for seed in SEEDS]
    flipped = [Run("lists", 64, seed, False, 5, reverse_source=True) for seed in SEEDS]

    def runs(kinds):
        return [
            Run(task, hidden, seed, attention, budget)
            for (seed, hidden, task), (attention, budget) in product(grid, kinds)
        ]

    rest = runs([(False, 1)]) + runs([(True, 5)])
    return runs(uneven) + single + flipped + rest


def build_model(run):
    """The untrained model of a run; its first weights depend on the seed alone."""
    source, target = TASKS[run.task].vocabularies()
    with seeded(run.seed):
        return Seq2Seq(len(source), len(target), run.hidden, run.attention)


def train(run, folder=RESULTS, progress=False):
    """Train a run, or go on with one that was interrupted, and write its result.

    Args:
        run:      `Run`
        folder:   where the result is written, and beside it the checkpoint meanwhile
        progress: show a progress bar

    Returns:
        the result, a dict: see `measure` for the parts that are measured.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path, checkpoint = folder / f"{run.name}.json", folder / f"{run.name}.pt"
    result = read_result(path) if path.exists() else _empty(run)
    model = build_model(run)
    for step in np.linspace(0, run.steps, LOOKS + 1, dtype=int)[1:].tolist():
        if step <= max(result["at_step"], default=0):
            continue
        losses = fit(
            model,
            lambda step: _flip(TASKS[run.task].batch_at(run.seed, step), run),
            translation_loss,
            run.steps,
            until=step,
            count_of=n_words,
            checkpoint=checkpoint,
            progress=progress,
        )
        result["at_step"].append(step)
        result["loss"].append(round(float(np.mean(losses[-50:])), 4))
        for name, value in measure(model, run).items():
            latest = name in ("tested", "examples")
            result[name] = value if latest else [*result[name], value]
        _write(path, result)
    if is_first():
        checkpoint.unlink(missing_ok=True)
    return result


def measure(model, run):
    """What a model can do on the test pairs of its task.

    Returns:
        a dict: sequence_accuracy, a number for each bin of lengths; token_accuracy, a
        number; tested, how many pairs each bin has; and examples, two pairs of each
        bin with what the model wrote.
    """
    task = TASKS[run.task]
    plain = task.test_pairs()
    pairs = _flip(plain, run)
    n_target = pairs.target.shape[1]
    predicted, _ = greedy_decode(model, pairs.source, pairs.source_mask, n_target)
    correct = sequence_correct(predicted, pairs.target)
    shares = accuracy_by_length(correct, pairs.length, task.bins)
    return {
        "sequence_accuracy": [round(share, 4) for share in shares],
        "token_accuracy": round(token_accuracy(predicted, pairs.target), 4),
        "tested": [
            int(((pairs.length >= first) & (pairs.length <= last)).sum())
            for first, last in task.bins
        ],
        "examples": [
            example
            for first, last in task.bins
            for example in _examples(task, plain, predicted, first, last)
        ],
    }


def _examples(task, pairs, predicted, shortest, longest):
    """The first two pairs of a bin in words, and what the model wrote."""
    source_words, target_words = task.vocabularies()
    inside = (pairs.length >= shortest) & (pairs.length <= longest)
    return [
        {
            "length": int(pairs.length[row]),
            "source": " ".join(source_words.decode(pairs.source[row])),
            "target": " ".join(target_words.decode(pairs.target[row])),
            "predicted": " ".join(target_words.decode(predicted[row])),
        }
        for row in np.flatnonzero(inside)[:2]
    ]


def _empty(run):
    """A result before anything is measured."""
    task = TASKS[run.task]
    return {
        "command": run.command,
        **asdict(run),
        "steps": run.steps,
        "trained_lengths": list(task.trained),
        "bins": [list(lengths) for lengths in task.bins],
        "bits_per_length": round(task.bits, 4),
        "at_step": [],
        "loss": [],
        "sequence_accuracy": [],
        "token_accuracy": [],
        "tested": [],
        "examples": [],
    }


def _write(path, result):
    """All of the file or nothing; one line for each entry of the result."""
    if not is_first():
        return
    entries = [
        f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in result.items()
    ]
    beside = path.with_suffix(".part")
    beside.write_text("{\n" + ",\n".join(entries) + "\n}\n", "utf-8")
    beside.replace(path)


def _flip(pairs, run):
    return reverse_source(pairs) if run.reverse_source else pairs
