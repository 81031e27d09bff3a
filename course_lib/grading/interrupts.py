"""Ctrl-C, and being told to end, at a moment when nothing is lost by it."""

import signal
import threading
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def uninterrupted():
    """What would interrupt this process in the context does so at its end.

    Python runs what handles a signal in its main thread, whichever thread the kernel
    gave it to: to hold signals back in one thread would not be enough.
    """
    handlers, came = {}, []
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in SIGNALS}
    # One that is not Python's is None, and cannot be set again.
    handlers = {number: each for number, each in handlers.items() if each is not None}
    for number in handlers:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)
