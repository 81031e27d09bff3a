"""Start a worker, ask it things with a deadline, and end it with all its children."""

import json
import os
import secrets
import select
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MAX_REPLY = 2**25
START_SECONDS = 60


class Stopped(Exception):
    """The worker did not reply and is gone; the message completes "it ..."."""


class NoWorker(RuntimeError):
    """This machine could not start a worker; the message is one sentence."""


class Worker:
    """One worker process in a folder of its own.

    Args:
        sandbox: Sandbox

    Raises:
        NoWorker
    """

    def __init__(self, sandbox):
        self._folder = tempfile.TemporaryDirectory(
            prefix="attention-course-", ignore_cleanup_errors=True
        )
        self._number, self._received = 0, bytearray()
        try:
            self._start(sandbox, Path(self._folder.name))
            self.ask({"cell": "", "name": "start"}, START_SECONDS)
        except (OSError, Stopped) as error:
            self.stop()
            raise NoWorker(f"the grader's worker could not start: {error}") from None

    def _start(self, sandbox, folder):
        home = furnish(folder)
        worker_in, self._requests = os.pipe()
        self._replies, worker_out = os.pipe()
        packages = site.getsitepackages()
        if site.ENABLE_USER_SITE:
            packages.append(site.getusersitepackages())
        argv = [sys.executable, "-I", "-S", "-B", str(folder / "worker.py")]
        argv += [str(worker_in), str(worker_out), *packages]
        try:
            self._process = subprocess.Popen(
                sandbox.confine(argv, str(folder)),
                cwd=home,
                env={"HOME": str(home), "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(worker_in, worker_out),
                start_new_session=True,
            )
        finally:
            os.close(worker_in)
            os.close(worker_out)
        os.set_blocking(self._requests, False)

    def ask(self, request, seconds):
        """Send a request and return the reply to it, a dict from an untrusted process.

        Raises:
            Stopped, after the deadline, or if the worker is gone.
        """
        self._number = secrets.randbits(62)  # no forged reply carries it by luck
        outgoing = json.dumps(request | {"number": self._number}).encode() + b"\n"
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            writing = [self._requests] if outgoing else []
            readable, writable, _ = select.select([self._replies], writing, [], left)
            if writable:
                outgoing = outgoing[self._write(outgoing) :]
            reply = self._read() if readable else None
            if reply is not None:
                return reply
        raise Stopped(f"did not finish within {seconds:g} s")

    def _write(self, data):
        try:
            return os.write(self._requests, data)
        except OSError:
            raise Stopped("ended the process it ran in") from None

    def _read(self):
        """Take what has come; the reply to the last request if it is complete."""
        chunk = os.read(self._replies, 2**20)
        if not chunk:
            raise Stopped("ended the process it ran in")
        self._received += chunk
        if len(self._received) > MAX_REPLY:
            raise Stopped("returned more than the grader accepts")
        if b"\n" not in chunk:
            return None
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            try:
                reply = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(reply, dict) and reply.get("number") == self._number:
                return reply
        return None

    def stop(self):
        """Kill the worker and its children, and remove its folder."""
        if process := getattr(self, "_process", None):
            # Before it is waited for, so that the number cannot be another's by now.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            os.close(self._requests)
            os.close(self._replies)
        self._folder.cleanup()


def furnish(folder):
    """Put what a worker may see into a folder; returns the student's own folder in it.

    `course_lib` comes without `grading`, which holds questions and answers, and without
    what needs it.
    """
    hidden = shutil.ignore_patterns("grading", "cli.py", "__pycache__")
    shutil.copytree(HERE.parent, folder / "course_lib", ignore=hidden)
    (folder / "course_lib" / "grading").mkdir()
    stub = folder / "course_lib" / "grading" / "__init__.py"
    shutil.copyfile(HERE / "in_worker.py", stub)
    for name in ("worker.py", "calling.py"):
        shutil.copyfile(HERE / name, folder / name)
    home = folder / "home"
    home.mkdir()
    return home
