"""Seconds and bytes of a call, and the machine in general words."""

import os
import platform
import time
import tracemalloc
from statistics import median

import numpy as np


def seconds(repeats, *calls):
    """Median processor time of each call, in seconds.

    The calls take turns, so that a busy moment of the machine meets them all.

    Args:
        repeats: how often each is timed, after one call that is not. 1 = at once.
        calls:   functions without arguments
    """
    for call in calls if repeats > 1 else ():
        call()
    times = [[] for _ in calls]
    for _ in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            start = time.process_time()
            call()
            taken.append(time.process_time() - start)
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
