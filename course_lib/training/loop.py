"""The one training loop of the course: Adam, clipped gradients, exact resumption."""

import os
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track


def fit(
    model,
    batch_at,
    loss_of,
    steps,
    *,
    until=None,
    learning_rate=8e-3,
    clip=1.0,
    checkpoint=None,
    progress=False,
):
    """Train a model in place; the learning rate falls on a straight line to zero.

    A batch depends on its step alone. So a run that was interrupted and resumed from
    its checkpoint ends, bit for bit, where an uninterrupted one does.

    Args:
        model:      torch.nn.Module
        batch_at:   function of a step (0, 1, ...), giving a batch
        loss_of:    function of the model and a batch, giving a scalar tensor
        steps:      int, the length of the whole run; it shapes the learning rate
        until:      int, stop before this step. None = go to the end.
        learning_rate: of the first step
        clip:       largest norm of the gradient
        checkpoint: path of a file. What is there is resumed, and it is written at the
            end, and when the run is interrupted. None = nothing is kept.
        progress:   show a progress bar, if this is a terminal

    Returns:
        list of the loss of every step so far, those before the checkpoint included.
    """
    until = steps if until is None else until
    if not 0 <= until <= steps:
        raise ValueError(f"until must be from 0 to {steps}, the steps, got {until}")
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    losses = _restore(checkpoint, model, optimizer)
    console = Console(stderr=True)
    todo = track(
        range(len(losses), until),
        description="training",
        console=console,
        transient=True,
        disable=not (progress and console.is_terminal),
    )
    model.train()
    try:
        for step in todo:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (1 - step / steps)
            losses.append(_step(model, optimizer, loss_of, batch_at(step), clip))
    finally:
        _save(checkpoint, model, optimizer, losses)
    return losses


def _step(model, optimizer, loss_of, batch, clip):
    """One update; the loss before it."""
    loss = loss_of(model, batch)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return loss.item()


def _save(checkpoint, model, optimizer, losses):
    """Write everything the next step depends on, all of it or nothing."""
    if checkpoint is None:
        return
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": losses,
        "random": torch.get_rng_state(),  # for layers that draw, such as dropout
    }
    beside = Path(f"{checkpoint}.part")
    torch.save(state, beside)
    os.replace(beside, checkpoint)


def _restore(checkpoint, model, optimizer):
    """Load a checkpoint if there is one; the losses so far."""
    if checkpoint is None or not Path(checkpoint).exists():
        return []
    try:
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
    except (RuntimeError, KeyError, ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{checkpoint} is no checkpoint of this model: delete it to start anew"
        ) from error
    torch.set_rng_state(state["random"])
    return state["losses"]
