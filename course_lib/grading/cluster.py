"""Workers of a Dask cluster as lanes: one that runs, or one started for a batch.

A worker that dies costs time: Dask gives its work to another. Workers get the secret
seed, and whoever may speak to a scheduler may run code there: trust a cluster as you
trust this machine, or do not use it. One that is started here encrypts what is said,
and lets nobody in who has not its keys.
"""

import gc
import logging
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import dask
import numpy as np
from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin

from course_lib.grading import workers
from course_lib.grading.grader import grader_version
from course_lib.grading.lanes import Lane, NoLanes

LOCAL = "local"
CONNECT_SECONDS = 10
ASK_SECONDS = 5  # how old the number of workers may be
PATIENCE = 60  # seconds without any worker
HERE = "127.0.0.1"
SETTINGS = {
    # How long Dask waits for a worker that died before it was known to be dead.
    "distributed.comm.timeouts.connect": CONNECT_SECONDS,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",
    # A cluster of ours has no web pages.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}

_one_at_a_time = threading.Lock()


@contextmanager
def connected(address, count):
    """The ClusterLanes at an address.

    Args:
        address: of a scheduler, or "local" for a cluster of this machine's own
        count: workers of that one

    Raises:
        NoLanes
    """
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(SETTINGS))
        is_ours = address == LOCAL
        if is_ours:
            address = stack.enter_context(_local_cluster(count))
        else:
            _be_quiet()
        # A client that did not connect ends when it is collected: not while this one
        # starts, or each would wait for the other.
        gc.collect()
        try:
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise NoLanes(f"no scheduler answers at {address}: {reason}") from None
        stack.enter_context(client)
        if is_ours:
            client.register_plugin(_CtrlCIsNotTheirs())
        with ClusterLanes(client) as lanes, _heard(lanes):
            lanes.check_versions()
            yield lanes
        with suppress(OSError):  # the scheduler is gone, after the last report
            client.run(workers.close_all, on_error="ignore")  # a worker is gone


@contextmanager
def _heard(lanes):
    """Ctrl-C ends `lanes` where they look for it; a second one ends them at once.

    Raised at any moment, it may come to a callback of Dask's, where it is lost.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hear(number, frame):
        lanes.interrupted = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _CtrlCIsNotTheirs(WorkerPlugin):
    """A terminal sends it to all processes; who started the cluster ends it."""

    def setup(self, worker):
        signal.signal(signal.SIGINT, lambda *_: None)


def _be_quiet():
    """What goes wrong is said in one sentence, not logged."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _local_cluster(count):
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        host=HERE,
        dashboard_address=f"{HERE}:0",
        worker_dashboard_address=f"{HERE}:0",
        scheduler_kwargs={"dashboard": False},
        security=True,
        silence_logs=logging.CRITICAL,
    )


class ClusterLanes(Lane):
    """Gives work to a cluster.

    Args:
        client: distributed's Client

    Attributes:
        interrupted: whether there was a Ctrl-C; raised at the next look
    """

    deaths = (KilledWorker,)
    interrupted = False

    def __init__(self, client):
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._count, self._asked, self._seen = 0, 0, time.monotonic()

    @property
    def count(self):
        """How many workers there are, or were a moment ago; 1 if there is none."""
        if time.monotonic() - self._asked > ASK_SECONDS:
            self._count = len(self._client.nthreads())
            self._asked = time.monotonic()
            if self._count:
                self._seen = self._asked
        return max(1, self._count)

    def submit(self, function, /, *args):
        """A Future; KilledWorker is its exception if several workers died of it."""
        self._look()
        return self._executor.submit(_on_worker, _version(), function, *args)

    def check(self):
        """See that there is a worker, or was one lately.

        Raises:
            NoLanes, KeyboardInterrupt
        """
        self._look()
        if self._client.status != "running":
            raise NoLanes("the connection to the scheduler is lost")
        if self.count and time.monotonic() - self._seen > PATIENCE:
            raise NoLanes("the scheduler has no workers any more")

    def _look(self):
        if self.interrupted:
            raise KeyboardInterrupt

    def check_versions(self):
        """See that there are workers, all with this grader.

        Raises:
            NoLanes
        """
        try:
            self._client.wait_for_workers(1, CONNECT_SECONDS)
        except TimeoutError:
            raise NoLanes("the scheduler has no workers") from None
        versions = self._client.run(_version, on_error="return")
        for address, version in sorted(versions.items()):
            if isinstance(version, OSError):
                continue  # it died just now; who comes for it looks for itself
            if version != _version():
                raise NoLanes(_other_version(address, version))

    def end(self):
        self._executor.shutdown(wait=False)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Wait until all is done."""
        self._executor.shutdown(wait)


def _version():
    """What decides a report, byte for byte."""
    return f"{grader_version()} with NumPy {np.__version__}"


def _other_version(where, version):
    found = "none" if isinstance(version, Exception) else version
    return (
        f"the worker at {where} has another grader ({found}, and this is "
        f"{_version()}): install the same there"
    )


def _on_worker(version, function, *args):
    """Run in a worker, which may have come after all others were looked at."""
    if _version() != version:
        raise NoLanes(_other_version("one address", _version()))
    with _one_at_a_time:  # of several threads: a process has one worker for students
        return function(*args)
