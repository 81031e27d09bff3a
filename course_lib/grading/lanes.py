"""Where notebooks are graded on this machine: here, or in lanes, one process for each.

A lane ends what it started when it ends, whatever ends it: a signal, the end of the
batch, or that of the process that started it.
"""

import os
import signal
import threading
import time
import weakref
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, connection, get_context, parent_process
from multiprocessing.util import Finalize

from course_lib.grading import workers

GRACE = 5  # seconds in which a lane that is told to end does so
INTERRUPT = {signal.SIGINT}


class NoLanes(RuntimeError):
    """There is nothing that work can be given to; the message is one sentence."""


def cores():
    """How many cores this process may use, by its affinity and its control group."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return min(count, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return count


@contextmanager
def lanes_for(count, jobs=None, scheduler=None):
    """What `count` notebooks are graded by: a Lane, which ends with the context.

    Args:
        count: int
        jobs: how many at a time; None = one for each core
        scheduler: address of a Dask cluster, or "local" for one that is started

    Raises:
        NoLanes
    """
    jobs = jobs or cores()
    if not scheduler:
        with Here() if count <= 1 else Lanes(min(jobs, count)) as lanes:
            yield lanes
        return
    try:
        from course_lib.grading.cluster import connected
    except ModuleNotFoundError as missing:
        if missing.name not in ("dask", "distributed"):
            raise
        raise NoLanes(
            "--scheduler needs Dask: pip install 'attention-course[cluster]'"
        ) from None
    with connected(scheduler, jobs) as lanes:
        yield lanes


class Lane(Executor):
    """What work can be given to.

    Attributes:
        count: how many notebooks it grades at a time
        spares: whether a next worker is started while a notebook is graded
        deaths: exceptions of a Future which say that a process died
    """

    count = 1
    spares = False
    deaths = (BrokenExecutor,)

    def check(self):
        """Raise NoLanes if no work will ever be done."""

    def end(self):
        """End at once what still runs."""

    def __exit__(self, kind, error, traceback):
        self.end() if kind else self.shutdown()


class Here(Lane):
    """Runs what is submitted at once, in this process."""

    def submit(self, function, /, *args):
        """A Future that is done. What interrupts this process is raised here."""
        future = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def end(self):
        self.shutdown()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the worker that waits for another notebook."""
        workers.close_all()


class Lanes(Lane):
    """Processes of this machine, replaced when one dies; the work of all dies with it.

    Args:
        count: how many
    """

    spares = True

    def __init__(self, count):
        self.count = count
        self._others = set(active_children())
        self._open()

    def _open(self):
        self._pool = ProcessPoolExecutor(self.count, get_context("spawn"), _begin)
        self._started, self._given = set(), weakref.WeakSet()

    def submit(self, function, /, *args):
        """A Future; BrokenExecutor is its exception if a lane died meanwhile."""
        # A lane inherits that, until it has said what to do at Ctrl-C: not to end.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPT)
        try:
            future = self._pool.submit(_in_lane, function, *args)
        except BrokenProcessPool:
            self._pool.shutdown()
            self._open()
            future = self._pool.submit(_in_lane, function, *args)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._given.add(future)
        self._started |= self._lanes()
        return future

    def _lanes(self):
        return set(active_children()) - self._others

    def check(self):
        """Break work that waits for a lane whose death the pool has missed.

        Python 3.11 may miss one, if work is submitted in the same instant.
        """
        if self._started <= self._lanes():
            return
        given = [future for future in self._given if not future.done()]
        self.end()
        self._open()
        for future in given:
            if not future.done():
                future.set_exception(BrokenProcessPool("a lane died"))

    def end(self):
        lanes = self._lanes()
        for lane in lanes:
            lane.terminate()
        deadline = time.monotonic() + GRACE
        for lane in lanes:
            lane.join(max(0, deadline - time.monotonic()))
            lane.kill()
        self._pool.shutdown(cancel_futures=True)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Let the lanes end what they do, and end."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


_busy = False


class _Ended(BaseException):
    """Raised in a lane that is told to end, so that it ends its worker first."""


def _begin():
    """Run by a lane before all else."""
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for who started it
    signal.signal(signal.SIGTERM, _end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPT)
    # At the end of such a process nothing else is called.
    Finalize(None, workers.close_all, exitpriority=1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    connection.wait([parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)


def _end(number, frame):
    if _busy:
        raise _Ended
    _leave()


def _leave():
    workers.close_all()
    os._exit(1)


def _in_lane(function, *args):
    global _busy
    _busy = True
    try:
        return function(*args)
    except _Ended:
        return _leave()
    finally:
        _busy = False
