"""What never ends: in a cell, in a call, in C, in handlers, in what swallows an end."""

from hostile import LATE, SOFTMAX, WRONG, Case, softmax

# A cell that does not end is left out, and what it defined with it.
IN_CELLS = {
    "a cell that loops": SOFTMAX + "while True: pass",
    "a cell that sleeps": "import time" + SOFTMAX + "time.sleep(1000)",
    "a cell that swallows whatever would end it": SOFTMAX
    + """
while True:
    try:
        while True:
            raise KeyboardInterrupt
    except BaseException:
        continue
""",
    "a cell that answers every signal with a loop": "import signal, time"
    + SOFTMAX
    + """
def again(number, frame):
    while True:
        time.sleep(0.01)
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, again)
signal.raise_signal(signal.SIGTERM)
""",
    "a cell that waits for itself": "import threading"
    + SOFTMAX
    + "lock = threading.Lock()\nlock.acquire(); lock.acquire()",
    "a cell that stops its process": "import os, signal"
    + SOFTMAX
    + "os.kill(os.getpid(), signal.SIGSTOP)",
    "a cell that waits for a thread in C, which lets no other run": (
        "import itertools, threading"
    )
    + SOFTMAX
    + "thread = threading.Thread(target=sum, args=(itertools.repeat(0),))\n"
    "thread.start(); thread.join()",
    "a cell that becomes another program": "import os"
    + SOFTMAX
    + "os.execv('/usr/bin/sleep', ['sleep', '1000'])",
}

IN_CALLS = {
    "a call that loops": softmax("while True: pass"),
    "a call that sleeps": softmax("import time", "time.sleep(1000)"),
    "a call that loops in C": softmax("import itertools", "sum(itertools.repeat(0))"),
    "a call that loops in a regular expression": softmax(
        "import re", "re.match('(a+)+$', 'a' * 60 + 'b')"
    ),
    "a call that computes a huge power": softmax("return 7 ** (10 ** 9)"),
    "a call that prints for ever": softmax("while True: print('x' * 10**6)"),
    "a call that reads what nobody writes": softmax(
        "import os", "os.read(os.pipe()[0], 1)"
    ),
    "recursion that tries again when it ends": softmax(
        "try:", "    softmax(scores)", "finally:", "    softmax(scores)"
    ),
    "a call that catches SystemExit and goes on": softmax(
        "import sys",
        "while True:",
        "    try: sys.exit()",
        "    except BaseException: pass",
    ),
    "an answer that loops when it is looked at": "class Late:\n"
    "    def __array__(self, *args, **kwargs):\n"
    "        while True: pass\n" + softmax("return Late()"),
    "an answer that loops when it is dropped": "class Late:\n"
    "    def __del__(self):\n"
    "        while True: pass\n" + softmax("Late()", "return scores"),
}

CASES = [
    *(Case(n, (c,), "unanswered", LATE, hangs=True) for n, c in IN_CELLS.items()),
    *(Case(n, (c,), "stopped", LATE, hangs=True) for n, c in IN_CALLS.items()),
    Case(
        "a loop at the exit, which never comes",
        (
            SOFTMAX,
            "import atexit\n@atexit.register\ndef stay():\n    while True: pass",
            "raise SystemExit",
        ),
    ),
    Case(
        "a thread that never ends",
        (SOFTMAX, "import threading, time\nthreading.Thread(target=time.sleep, "
         "args=(1000,), daemon=False).start()"),
    ),
    Case(
        "a wrong answer whose threads never end",
        (WRONG, "import threading, time\nfor _ in range(8):\n    threading.Thread("
         "target=time.sleep, args=(1000,)).start()"),
        "wrong",
        "A weight is -",
    ),
]  # fmt: skip
