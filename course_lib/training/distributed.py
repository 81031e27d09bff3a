"""Several processes, one run: what each does of a step, when `torchrun` started them.

Every process holds the whole model and takes its share of the rows of each batch. The
gradients are averaged, weighted by how many words (or rows) each share had, so all
processes make the step that one process would make with the whole batch.
"""

import dataclasses
from contextlib import contextmanager
from functools import partial

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def processes(device):
    """Join the other processes of `torchrun` meanwhile; alone, this does nothing."""
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def n_processes():
    """How many processes make this run; 1 without `torchrun`."""
    return distributed.get_world_size() if _together() else 1


def rank():
    """The number of this process, from 0."""
    return distributed.get_rank() if _together() else 0


def is_first():
    """Whether this process is the one that writes and prints."""
    return rank() == 0


def share_of(batch):
    """This process's rows of a batch: every n-th, from its own number on.

    Args:
        batch: an array or tensor with a row for each example; or a dataclass, dict or
            tuple of such

    Returns:
        the same with fewer rows; alone, the batch itself.
    """
    n = n_processes()
    if n == 1:
        return batch
    if n_rows(batch) < n:
        raise ValueError(f"{n} processes cannot share a batch of {n_rows(batch)}")
    return _every(n, rank(), batch)


def n_rows(batch):
    """How many examples a batch has, as `share_of` counts them."""
    while (parts := _parts(batch)) is not None:
        batch = next(iter(parts.values()))
    return len(batch)


def _every(n, first, batch):
    """Every n-th row from `first`, of all parts of a batch."""
    parts = _parts(batch)
    if parts is None:
        return batch[first::n]
    parts = {name: _every(n, first, part) for name, part in parts.items()}
    if dataclasses.is_dataclass(batch):
        return dataclasses.replace(batch, **parts)
    return tuple(parts.values()) if isinstance(batch, tuple) else parts


def _parts(batch):
    """The parts of a batch by name, or None for a single array."""
    if dataclasses.is_dataclass(batch):
        names = [field.name for field in dataclasses.fields(batch)]
        return {name: getattr(batch, name) for name in names}
    if isinstance(batch, tuple):
        return dict(enumerate(batch))
    return batch if isinstance(batch, dict) else None


class _Loss(nn.Module):
    """A model and its loss in one call: DDP watches the calls of one module only."""

    def __init__(self, model, loss_of):
        super().__init__()
        self.model, self.loss_of = model, loss_of

    def forward(self, batch):
        return self.loss_of(self.model, batch)


def shared_loss(model, loss_of):
    """The loss as a function of a share; its backward averages over the processes."""
    if n_processes() == 1:
        return partial(loss_of, model)
    return DistributedDataParallel(_Loss(model, loss_of))


def together(loss, batch, count_of, interrupted):
    """What the processes know together about a step.

    Args:
        loss:        scalar tensor, the mean over this process's share
        batch:       the share
        count_of:    function of a batch: over how many things the loss is a mean
        interrupted: whether this process was asked to stop

    Returns:
        the mean over the whole batch, a number; the factor for this process's loss
        before backward; and whether any process was asked to stop.
    """
    if n_processes() == 1:
        return loss.item(), 1.0, interrupted
    count = float(count_of(batch))
    mine = [loss.item() * count, count, interrupted]
    sums = torch.tensor(mine, dtype=torch.float64, device=loss.device)
    distributed.all_reduce(sums)
    total, n, n_interrupted = sums.tolist()
    n = max(n, 1)
    return total / n, count * n_processes() / n, n_interrupted > 0


def gather(thing):
    """A list of what every process has, in their order."""
    if n_processes() == 1:
        return [thing]
    things = [None] * n_processes()
    distributed.all_gather_object(things, thing)
    return things


def _together():
    return distributed.is_available() and distributed.is_initialized()
