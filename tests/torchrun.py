"""Launch Python, once or in two processes that know of each other."""

import os
import subprocess
import sys
from pathlib import Path

BOTH = "-m torch.distributed.run --standalone --nproc-per-node 2 --no-python".split()


def launch(*arguments, together):
    """Run Python with these arguments from the folder of the tests; what it printed.

    Args:
        arguments: of the interpreter
        together:  whether two processes make the run, on a port of this machine that is
            free, or one
    """
    launcher = [*BOTH, sys.executable] if together else []
    process = subprocess.Popen(
        [sys.executable, *launcher, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        printed, said = process.communicate(timeout=300)
    finally:
        process.terminate()  # then torchrun ends those that it started
    assert process.wait() == 0, said
    return printed
