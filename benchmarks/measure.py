"""Seconds and bytes of a call, and the machine in general words."""

import os
import platform
import re
import subprocess
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from statistics import median

import numpy as np

EVERY = 0.02  # seconds between two looks at a process's memory


class Failed(RuntimeError):
    """What was to be measured did not work; the message says what happened."""


def seconds(repeats, *calls, clock=time.process_time):
    """Median time of each call, in seconds: processor time, unless said otherwise.

    The calls take turns, so that a busy moment of the machine meets them all.

    Args:
        repeats: how often each is timed, after one call that is not. 1 = at once.
        calls:   functions without arguments
        clock:   what tells the time, `time.perf_counter` for wall time
    """
    for call in calls if repeats > 1 else ():
        call()
    times = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = clock()
            call()
            taken.append(clock() - start)
    return [median(taken) for taken in times]


def peak_mib(call):
    """The most memory that NumPy held during a call, in MiB, less what it returned."""
    return once(call)[1]


def once(call):
    """Processor seconds and `peak_mib` of one call, for those that take long.

    Counting memory costs a little time with every array, next to none if arrays are
    large.
    """
    tracemalloc.start()  # NumPy reports its arrays to it
    try:
        start = time.process_time()
        results = call()
        taken = time.process_time() - start
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return taken, (peak - sum(array.nbytes for array in results)) / 2**20


def run(command, folder, **environment):
    """Run a command in a folder, in silence, and see how much memory it takes.

    Args:
        command:     list of strings and paths
        folder:      to run it in
        environment: variables, added to ours

    Returns:
        the most memory that its own process held, without its children, in MiB; None
        where the system does not tell (it does on Linux).

    Raises:
        Failed, with the last line that it said.
    """
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = None
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(process.communicate)
        while not said.done():
            peak = _most_mib(process.pid) or peak
            wait([said], EVERY)
    if process.returncode:
        last = (said.result()[0].strip().splitlines() or ["nothing"])[-1]
        raise Failed(f"{Path(command[0]).name} failed; it said: {last}")
    return peak


def _most_mib(pid):
    """The most memory a process has held so far, in MiB, or None."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    most = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(most[1]) / 2**10 if most else None  # a process that ended has none


def machine(torch_version):
    """What a ratio may depend on."""
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": 1,
        "system": platform.system(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch_version,
    }
