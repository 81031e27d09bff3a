"""Tiny runs, made by as many processes as `torchrun` starts; the tests launch it.

Usage: torchrun --nproc-per-node 2 in_two_processes.py FOLDER
"""

import json
import os
import signal
import sys
from pathlib import Path
from time import perf_counter

import torch
from tiny_models import Dropping, batch_at, drop_loss, tiny

from course_lib.training.devices import pick_device, seeded
from course_lib.training.distributed import is_first, processes, rank, share_of
from course_lib.training.early_stop import EarlyStop
from course_lib.training.loop import fit
from course_lib.training.translation import n_words, translation_loss

STEPS = 20


def train(loss_of=translation_loss, **options):
    """The losses of a run of a translator, and its weights at the end."""
    model = tiny(seed=rank(), d_hidden=8)  # the first process decides where all start
    losses = fit(model, batch_at, loss_of, STEPS, count_of=n_words, **options)
    return [losses, [parameter.tolist() for parameter in model.parameters()]]


def train_interrupted(checkpoint):
    """A run in which the second process alone is asked to stop, in its sixth step."""
    steps = []

    def loss_of(model, pairs):
        steps.append(len(pairs.source))
        if len(steps) == 6 and rank() == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return translation_loss(model, pairs)

    try:
        train(loss_of, checkpoint=checkpoint)
    except KeyboardInterrupt:
        return steps


def train_dropping(**options):
    """The losses of a model that draws, in each process its own random numbers."""
    return fit(Dropping(), noise, drop_loss, STEPS, **options)


def noise(step):
    """A batch for it that is no random numbers."""
    return torch.full((6, 3), float(step + 1))


def too_small():
    """What is said about a batch with fewer rows than processes."""
    try:
        share_of(batch_at(0, n=1))
    except ValueError as error:
        return str(error)


def main(folder):
    """Make the runs, and write what came of them."""
    # Were the second process asked, its measure would be better each time.
    stop = EarlyStop(lambda model: rank() * perf_counter(), every=3, patience=2)
    stopped, dropped = folder / "stopped.pt", folder / "dropped.pt"
    found = {
        "whole": train(progress=True),
        "ended": len(train(stop=stop)[0]),
        "stopped": train_interrupted(stopped),
        "resumed": train(checkpoint=stopped),
        "too small": too_small(),
    }
    with seeded(rank()):
        found["dropping"] = train_dropping()
    with seeded(rank()):
        train_dropping(until=7, checkpoint=dropped)
        found["dropping, resumed"] = train_dropping(checkpoint=dropped)
    (folder / f"{rank()}.json").write_text(json.dumps(found))
    if is_first():
        print("done")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with processes(pick_device("cpu")):
        main(Path(sys.argv[1]))
