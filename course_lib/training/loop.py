"""The one training loop of the course: Adam, clipped gradients, exact resumption."""

from functools import partial

import torch
from rich.console import Console
from rich.progress import track

from course_lib.training.checkpoint import restore, save
from course_lib.training.devices import autocast, device_of
from course_lib.training.distributed import (
    gather,
    is_first,
    n_processes,
    n_rows,
    share_of,
    shared_loss,
    together,
)
from course_lib.training.interrupts import interrupts_wait
from course_lib.training.schedules import linear_to_zero


def fit(
    model,
    batch_at,
    loss_of,
    steps,
    *,
    until=None,
    learning_rate=8e-3,
    schedule=linear_to_zero,
    clip=1.0,
    count_of=n_rows,
    stop=None,
    mixed=False,
    checkpoint=None,
    save_every=None,
    progress=False,
):
    """Train a model in place.

    A batch depends on its step alone. So a run that was interrupted and resumed from
    its checkpoint ends, bit for bit, where an uninterrupted one does. In the processes
    of `torchrun` each takes its share of every batch, and the losses stay what they
    are in one process, as long as the loss draws no random numbers.

    Args:
        model:      torch.nn.Module
        batch_at:   function of a step (0, 1, ...), giving a batch
        loss_of:    function of the model and a batch, giving a scalar tensor, a mean
        steps:      int, the length of the whole run; it shapes the learning rate
        until:      int, stop before this step. None = go to the end.
        learning_rate: what `schedule` multiplies
        schedule:   function of a step and steps, giving a factor: see `schedules`
        clip:       largest norm of the gradient
        count_of:   function of a batch: over how many things the loss is a mean, such
            as words. Processes weigh their shares by it. The default: its rows.
        stop:       `EarlyStop`. None = go to the end.
        mixed:      compute with bfloat16 where the model is on CUDA
        checkpoint: path of a file. What is there is resumed, and it is written at the
            end, and when the run is interrupted. None = nothing is kept.
        save_every: int, also write the checkpoint after every so many steps
        progress:   show a progress bar, if this is a terminal

    Returns:
        list of the loss of every step so far, those before the checkpoint included.
    """
    until = steps if until is None else until
    if not 0 <= until <= steps:
        raise ValueError(f"until must be from 0 to {steps}, the steps, got {until}")
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    settings = {"steps": steps, "learning_rate": learning_rate, "clip": clip}
    history = restore(checkpoint, model, optimizer, settings)
    losses, measured = history = history or ([], [])
    keep = partial(save, checkpoint, model, optimizer, settings, history)
    loss_of_share = shared_loss(model, loss_of)
    _look(model, stop, losses, measured)
    model.train()
    interrupted = False
    with interrupts_wait() as asked:
        for step in _bar(range(len(losses), until), progress):
            if interrupted or (stop is not None and stop.is_enough(measured)):
                break
            batch = _batch(batch_at, step, keep)
            _set_rate(optimizer, learning_rate * schedule(step, steps))
            with autocast(device_of(model), mixed):
                loss = loss_of_share(batch)
            mean, weight, interrupted = together(loss, batch, count_of, bool(asked))
            _update(model, optimizer, loss * weight, clip)
            losses.append(mean)
            _look(model, stop, losses, measured)
            if save_every and len(losses) % save_every == 0:
                keep()
        keep()
    if interrupted or (asked and n_processes() == 1):
        raise KeyboardInterrupt
    return losses


def _batch(batch_at, step, keep):
    """This process's share of a batch; what was learnt is kept if there is none."""
    try:
        return share_of(batch_at(step))
    except BaseException:
        if n_processes() == 1:  # several would wait for each other
            keep()
        raise


def _update(model, optimizer, loss, clip):
    """One step of the optimizer down the clipped gradient."""
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()


def _set_rate(optimizer, learning_rate):
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def _look(model, stop, losses, measured):
    """Measure the model, if a look is due; the first process decides for all."""
    if stop is None or not stop.is_due(len(losses), measured):
        return
    measured.append(gather(float(stop.measure(model)))[0])
    model.train()


def _bar(steps, progress):
    """The steps, with a progress bar where somebody looks at one."""
    console = Console(stderr=True)
    shown = progress and console.is_terminal and is_first()
    return track(
        steps,
        description="training",
        console=console,
        transient=True,
        disable=not shown,
    )
