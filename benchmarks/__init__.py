"""How fast, and with how much memory: our ways against each other and against peers.

`python -m benchmarks` measures all of it on one thread, graders on all cores, and
writes benchmarks/results/.
"""

import os

# Read by NumPy when it is first imported, which is after this.
os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
