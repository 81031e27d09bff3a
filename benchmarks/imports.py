"""What it costs to import the library, beside importing NumPy."""

import subprocess
import sys
from statistics import median

TIMED = """
import sys, time
start = time.process_time()
import numpy
numpy_seconds = time.process_time() - start
start = time.process_time()
import {module}
print(numpy_seconds, time.process_time() - start, "torch" in sys.modules)
"""
PROMISE = 0.05  # seconds beyond NumPy's own import


def beside_numpy(quick):
    """Seconds to import NumPy, and beyond it a part of the library, anew each time.

    The library promises at most 50 ms beyond NumPy, and never to import PyTorch.
    """
    rows = []
    for module in (
        "course_lib",
        "course_lib.in_numpy",
        "course_lib.in_numpy.transformer",
    ):
        runs = [_import(module) for _ in range(2 if quick else 15)]
        numpy_seconds, ours, brings_torch = zip(*runs, strict=True)
        rows.append(
            {
                "module": module,
                "numpy": median(map(float, numpy_seconds)),
                "beyond": median(map(float, ours)),
                "promised": PROMISE,
                "brings_torch": "True" in brings_torch,
            }
        )
    return rows


def _import(module):
    """Three words from a fresh interpreter: two times, and whether torch came along."""
    code = TIMED.format(module=module)
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
