"""Where a run computes, how precisely, and with which random numbers."""

import os
from contextlib import contextmanager, nullcontext

import torch


def pick_device(name=None):
    """A device by name, or the best one here: CUDA if present, else the CPU.

    Under `torchrun` each process of a machine gets a CUDA device of its own.

    Args:
        name: "cpu", "cuda", "cuda:1", ... None = choose.

    Returns:
        torch.device.
    """
    n_devices = torch.cuda.device_count()
    try:
        device = torch.device(name or ("cuda" if n_devices else "cpu"))
    except RuntimeError:
        raise ValueError(f"device must be 'cpu' or 'cuda', got {name!r}") from None
    if device.type != "cuda":
        return device
    if n_devices == 0:
        raise ValueError(
            f"device must be 'cpu', for there is no CUDA here, got {name!r}"
        )
    if device.index is None:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def device_of(model):
    """The device that the parameters of a model are on."""
    return next(model.parameters()).device


def autocast(device, mixed):
    """The context of a forward pass: with bfloat16 on CUDA if `mixed`, else as it is.

    bfloat16 has the range of float32, so the loss needs no scaling.
    """
    if mixed and device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return nullcontext()


@contextmanager
def seeded(seed):
    """Seed PyTorch for a run, on every device; afterwards all is as it was before."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def random_state():
    """Where PyTorch's random numbers stand, on the CPU and on every CUDA device."""
    return [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]


def restore_random_state(state):
    """Go on from a `random_state`, as far as there are devices for it."""
    torch.set_rng_state(state[0])
    n_devices = torch.cuda.device_count()
    for device, numbers in zip(range(n_devices), state[1:], strict=False):
        torch.cuda.set_rng_state(numbers, device)
