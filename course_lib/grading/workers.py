"""Where workers come from: the sandbox is chosen by trying, the next one waits ready.

A worker serves one notebook and is ended. Its start takes a tenth of a second, most of
it NumPy's, so the next one is started while a notebook is graded: the spare.
"""

import os
from dataclasses import dataclass

from course_lib.grading import control_group, process, sandbox, views
from course_lib.grading.process import NoWorker, Worker

_chosen = _spare = None
_parents = []


@dataclass(frozen=True)
class Trial:
    """How a sandbox did when it was tried.

    Attributes:
        sandbox: Sandbox
        works: bool
        grouped: bool, whether a control group adds up memory and processes
        trouble: why it does not work, a sentence, "" if it does
    """

    sandbox: sandbox.Sandbox
    works: bool
    grouped: bool = False
    trouble: str = ""


def try_out(candidate, limits, worker=None):
    """Start a worker in a sandbox, unless one is given, and see whether it is confined.

    Returns:
        Trial, and the worker, ready, if it works, else None.
    """
    try:
        worker = worker or Worker(candidate, limits)
        seen = worker.ready(views.hidden_places())
    except NoWorker as problem:
        return Trial(candidate, False, trouble=f"{problem}."), None
    if candidate.has_view and (trouble := _leak(seen)):
        worker.stop()
        return Trial(candidate, False, trouble=trouble), None
    return Trial(candidate, True, worker.grouped), worker


def _leak(seen):
    """A sentence on what a worker sees and should not, or ""."""
    if paths := seen.get("paths"):
        return f"A worker in it sees {paths[0]}."
    if seen.get("interfaces") != ["lo"]:
        return "A worker in it sees a network."
    if seen.get("processes") > 3:
        return "A worker in it sees the processes of the machine."
    return ""


def begin(limits):
    """Start the worker that `choose` will try first, while the program is loading."""
    start_spare(sandbox.candidates()[0], limits)


def choose(limits):
    """The best sandbox of this machine, found by trying once.

    Raises:
        NoWorker, if not even a plain worker starts.
    """
    global _chosen, _spare
    if _chosen is None:
        begun = None
        if _spare and _spare.sandbox == sandbox.candidates()[0]:
            begun, _spare = _spare, None
        close_spare()
        sandbox.end_stuck()
        control_group.sweep()
        for candidate in sandbox.candidates():
            trial, _spare = try_out(candidate, limits, begun)
            begun = None
            if trial.works:
                _chosen = candidate
                break
        else:
            raise NoWorker(trial.trouble.removesuffix("."))
    return _chosen


def take(confined, limits):
    """A worker that is ready: the spare, or a new one.

    Raises:
        NoWorker
    """
    global _spare
    worker, _spare = _spare, None
    if worker and (worker.sandbox, worker.limits) == (confined, limits):
        if worker.alive:
            try:
                worker.ready()
                return worker
            except NoWorker:
                pass  # it died while it waited: a new one will do
    if worker:
        worker.stop()
    worker = Worker(confined, limits)
    worker.ready()
    return worker


def start_spare(confined, limits):
    """Start the worker that the next `take` will give, without waiting for it."""
    global _spare
    if _spare is None:
        try:
            _spare = Worker(confined, limits)
        except NoWorker:
            pass  # whoever takes one will meet it again


def close_spare():
    """End the spare, if there is one."""
    global _spare
    if _spare:
        _spare.stop()
        _spare = None


def close_all():
    """End the spare and every other worker, also one whose start was interrupted."""
    close_spare()
    for worker in list(process.started):
        worker.stop()


def _leave_to_parent():
    """In a fork of this process: its workers are not the fork's to use or to end."""
    global _spare
    _spare = None
    _parents.extend(process.started)  # kept: what is collected removes its folder
    process.started.clear()


os.register_at_fork(after_in_child=_leave_to_parent)
