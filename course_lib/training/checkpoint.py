"""Checkpoints: a run on disk, so that what is resumed goes on bit for bit."""

import os
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from zipfile import BadZipFile, ZipFile

import torch

from course_lib.training.devices import random_state, restore_random_state
from course_lib.training.distributed import gather, is_first, rank

_DAMAGE = (
    AttributeError,
    BadZipFile,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    UnpicklingError,
    ValueError,
)


def save(path, model, optimizer, settings, history):
    """Write everything the next step depends on, all of it or nothing.

    Only the first process writes. All must call it: each has random numbers of its own,
    for layers that draw, such as dropout; and none goes on before the file is there.

    Args:
        path:      of the file. None = nothing is kept.
        model, optimizer: as they are after the last step
        settings:  dict of numbers, what a run that is resumed must share
        history:   lists of numbers, what was measured so far
    """
    if path is None:
        return
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "settings": settings,
        "history": history,
        "random": gather(random_state()),
    }
    if is_first():
        beside = Path(f"{path}.part")
        torch.save(state, beside)
        os.replace(beside, path)
    gather(None)  # wait for the file


def restore(path, model, optimizer, settings):
    """Load a checkpoint, if there is one, into a model and an optimizer.

    Args: as for `save`.

    Returns:
        the history, or None if there is no file.

    Raises:
        ValueError, one sentence, if the file is damaged or of another run.
    """
    if path is None or not Path(path).exists():
        return None
    file = BytesIO(Path(path).read_bytes())
    try:
        if ZipFile(file).testzip():  # torch.load does not look at the checksums
            raise BadZipFile
        file.seek(0)
        state = torch.load(file, weights_only=True, map_location="cpu")
        kept = {name: state["settings"][name] for name in settings}
        history, random = state["history"], state["random"]
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        restore_random_state(random[rank() % len(random)])
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is no checkpoint of this model: delete it to start anew"
        ) from error
    for name, value in settings.items():
        if kept[name] != value:
            raise ValueError(
                f"{path} is of a run with {name} {kept[name]}, not {value}: "
                "delete it to start anew"
            )
    return history
