"""Start a worker, ask it things with a deadline, and end it with all its children."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from course_lib.grading import control_group, sandbox, views
from course_lib.grading.channel import Channel, Closed, Stopped
from course_lib.grading.interrupts import uninterrupted

START_SECONDS, END_SECONDS = 60, 5
MAX_FILE = 2**26  # bytes of one file that a worker writes
# Settings of OpenBLAS that a machine may need for right results; the rest is ours.
KEPT = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
started = set()  # Workers of this process that are not stopped, also while they start
OURS = {
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",  # the order of a set is the same in every run
}


@dataclass(frozen=True)
class Limits:
    """What one notebook may use.

    Attributes:
        cell, call, notebook: wall time in seconds for one cell, one call, all of it
        memory: bytes, of the worker and of all that it starts
        processes: how many of them at a time, threads included
    """

    cell: float = 60
    call: float = 10
    notebook: float = 600
    memory: int = 2 * 2**30
    processes: int = 64


class NoWorker(RuntimeError):
    """This machine could not start a worker; the message is one sentence."""


class Worker:
    """One worker process, confined; it starts at once and is ready a moment later.

    Args:
        confined: Sandbox
        limits: Limits, of which memory, processes and notebook are set here

    Raises:
        NoWorker
    """

    def __init__(self, confined, limits):
        self.sandbox, self.limits = confined, limits
        self._user = sandbox.new_user() if confined.own_user else None
        self._folder = self._group = self._process = self._init = None
        self._channel = self._seen = None
        started.add(self)
        try:
            with uninterrupted():
                self._start()
        except OSError as error:
            self.stop()
            raise NoWorker(f"the grader's worker could not start: {error}") from None

    def _start(self):
        course, home = views.COURSE, views.SCRATCH
        if not self.sandbox.has_view:
            self._folder = tempfile.TemporaryDirectory(
                prefix="attention-course-", ignore_cleanup_errors=True
            )
            course = self._folder.name
            home = views.furnish(Path(course))
            if self._user:
                os.chmod(course, 0o755)
                os.chown(home, self._user, self._user)
        self._channel = Channel()
        python, packages = sys.executable, views.packages()
        if self.sandbox.has_view:
            python, packages = views.python(), list(map(views.placed, packages))
        argv = [python, "-s", "-S", "-P", "-B", f"{course}/{views.WORKER}"]
        argv += [*map(str, self._channel.theirs), json.dumps(self._rlimits())]
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        self._process = subprocess.Popen(
            self.sandbox.confine([*argv, *packages], self._user),
            cwd=home if self._folder else "/",
            env=kept
            | OURS
            | {"HOME": str(home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=self._channel.theirs,
            start_new_session=True,
        )
        self._channel.give()

    def _rlimits(self):
        """What the worker may use by itself; a control group adds up its children."""
        limits = {
            "RLIMIT_DATA": self.limits.memory,
            "RLIMIT_FSIZE": MAX_FILE,
            "RLIMIT_CPU": int(self.limits.notebook) + 1,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
        }
        if self.sandbox.has_view:  # else it would count the user's other processes
            limits["RLIMIT_NPROC"] = self.limits.processes
        return {name: [limit, limit] for name, limit in limits.items()}

    def ready(self, paths=()):
        """Wait until it runs, limit it as a whole, and return what it sees.

        Args:
            paths: of which it tells those that it can see

        Raises:
            NoWorker
        """
        if self._seen is not None:
            return self._seen
        try:
            self._seen = self.ask({"look": list(paths)}, START_SECONDS)
            children = self._descendants()
            if self.sandbox.has_view:
                self._init = os.pidfd_open(children[0])
            self._group = control_group.make(self.limits.memory, self.limits.processes)
            for pid in [self._process.pid, *children] if self._group else ():
                self._group.add(pid)
        except (OSError, IndexError, Stopped) as error:
            self.stop()
            raise NoWorker(f"the grader's worker could not start: {error}") from None
        return self._seen

    def _descendants(self):
        """Process ids of what the launched process started, outer ones first."""
        found, waiting = [], [self._process.pid]
        while waiting:
            pid = waiting.pop(0)
            children = Path(f"/proc/{pid}/task/{pid}/children")
            if children.exists():
                started = list(map(int, children.read_text().split()))
                found += started
                waiting += started
        return found

    @property
    def grouped(self):
        """Whether a control group limits it."""
        return self._group is not None

    @property
    def alive(self):
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def ask(self, request, seconds):
        """Send a request and return the reply to it, a dict from an untrusted process.

        Raises:
            Stopped, after the deadline, or if the worker is gone.
        """
        try:
            return self._channel.ask(request, seconds)
        except Closed:
            raise Stopped(self._how_it_ended()) from None

    def _how_it_ended(self):
        if self._group and self._group.out_of_memory():
            return f"used more than {self.limits.memory / 2**30:.3g} GB of memory"
        return "ended the process it ran in"

    def stop(self):
        """Kill the worker and its children, and remove what was made for it."""
        if self._init is not None:
            self._end_namespace()
        elif self._process and self._seen is None:
            self._let_end()
        if self._process and self._process.returncode is None:
            # Before it is waited for, so that the number cannot be another's by now.
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            if self._user:
                sandbox.end_user(self._user)
            self._process.wait()
        self._process = None
        self._close_channel()
        if self._group:
            self._group.remove()
            self._group = None
        if self._folder:
            _remove(self._folder)
            self._folder = None
        started.discard(self)

    def _close_channel(self):
        if self._channel:
            self._channel.close()
            self._channel = None

    def _let_end(self):
        """Let a worker that has run nothing end by itself, as it does unasked.

        Killed while it starts, bubblewrap leaves a process that waits for ever.
        """
        self._close_channel()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # it is killed next

    def _end_namespace(self):
        """Kill process 1 of the worker's own: with it end all others, then its parent.

        The parent was waiting for it. Who kills the parent first leaves a zombie.
        """
        try:
            signal.pidfd_send_signal(self._init, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended already
        os.close(self._init)
        self._init = None
        try:
            self._process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            pass  # it is killed next


def _remove(folder):
    """Remove a temporary folder, however deep the folders are that a student made."""
    try:
        folder.cleanup()
    except RecursionError:
        pass
    if os.path.exists(folder.name):
        command = ["rm", "-rf", "--", folder.name]
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)
