"""Ctrl-C that waits for a step to end, so that a checkpoint holds whole steps."""

import signal
import threading
from contextlib import contextmanager

from course_lib.training.distributed import n_processes


@contextmanager
def interrupts_wait():
    """Collect Ctrl-C, and the request to end that a cluster sends, meanwhile.

    Yields a list; it is not empty once there was a request. Whoever asks twice is
    obeyed at once, unless other processes would then wait for this one in vain.
    """
    asked = []

    def collect(number, frame):
        asked.append(number)
        if len(asked) > 1 and n_processes() == 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread hears of signals
        return
    before = {
        number: signal.signal(number, collect)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
