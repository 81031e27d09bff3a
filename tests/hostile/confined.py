"""Have notebooks graded in one sandbox, whichever the machine would choose."""

import os

import pytest

from course_lib.grading import sandbox, workers
from course_lib.grading.process import Limits

OF_RECORD = ("bubblewrap", "namespaces")


_found = {}  # name -> Sandbox, or None


def confine(name):
    """The first sandbox of that name that works here is chosen; skips without one.

    Returns:
        Sandbox
    """
    if name not in _found:
        _found[name] = _working(name)
    workers._chosen = _found[name]
    if _found[name] is None:
        reason = f"No sandbox {name} on this machine: see `attention-course doctor`."
        if os.environ.get("CI") and name in OF_RECORD:
            pytest.fail(reason)
        pytest.skip(reason)
    return _found[name]


def _working(name):
    for candidate in sandbox.candidates():
        if candidate.name == name:
            trial, worker = workers.try_out(candidate, Limits())
            if trial.works:
                worker.stop()
                return candidate
    return None


def release():
    """Leave the choice to the machine again."""
    workers.close_spare()
    workers._chosen = None
