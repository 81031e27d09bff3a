"""What ends early: exits, kills, crashes, exceptions that nobody expects."""

from hostile import GONE, SOFTMAX, Case, softmax

DIED_IN_CELL = {
    "a cell that exits": "import os" + SOFTMAX + "os._exit(0)",
    "a cell that kills itself": "import os, signal"
    + SOFTMAX
    + "os.kill(os.getpid(), signal.SIGKILL)",
    "a cell that kills its process group": "import os, signal"
    + SOFTMAX
    + "os.setpgid(0, 0)\nos.killpg(0, signal.SIGKILL)",
    "a cell that closes all that is open": "import os"
    + SOFTMAX
    + "os.closerange(3, 256)",
    "a cell that exits at its end": "import os, sys"
    + SOFTMAX
    + "sys.setprofile(lambda *args: os._exit(0))",
}
DIED_IN_CALL = {
    "a call that exits": softmax("import os", "os._exit(0)"),
    "a call that aborts": softmax("import os", "os.abort()"),
    "a call that crashes": softmax("import ctypes", "ctypes.string_at(0)"),
    "a call that leaves the exit to a thread": softmax(
        "import os, threading, time",
        "threading.Timer(0.05, os._exit, [0]).start()",
        "time.sleep(60)",
    ),
}
RAISED = {
    "a call that leaves": (
        softmax("import sys", "sys.exit('bye')"),
        "SystemExit: bye. The line is `sys.exit('bye')`.",
    ),
    "an interrupt": (softmax("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "the end of a generator": (softmax("raise GeneratorExit"), "GeneratorExit"),
    "an exception of its own": (
        "class Odd(BaseException): pass\n" + softmax("raise Odd('!')"),
        "Odd: !",
    ),
    "endless recursion": (softmax("return softmax(scores)"), "RecursionError"),
    "a question to the reader": (softmax("return input('?')"), "EOFError"),
    "a breakpoint left behind": (softmax("breakpoint()", "return scores"), "BdbQuit"),
    "a message of a hundred megabytes": (
        softmax("raise ValueError('x' * 10**8)"),
        "ValueError: xxx",
    ),
    "a message that is no text": (
        softmax("raise ValueError('\\x1b[2J\\ud800\\0')"),
        "ValueError: [2J",
    ),
}

CASES = [
    *(Case(n, (c,), "unanswered", GONE) for n, c in DIED_IN_CELL.items()),
    *(Case(n, (c,), "stopped", GONE) for n, c in DIED_IN_CALL.items()),
    *(Case(n, (c,), "error", s) for n, (c, s) in RAISED.items()),
    Case("cells that fail around it", (
        "1 / 0", "no Python", SOFTMAX + "1 / 0", "raise SystemExit", "import os",
        "os.abort()",
    )),
    Case("a cell that fails before it", ("1 / 0" + SOFTMAX,), "unanswered",
         "stopped with ZeroDivisionError: division by zero"),
    Case("cells that fail one after the other, the last counts", (
        "1 / 0" + SOFTMAX, "import os\nos._exit(0)" + SOFTMAX,
    ), "unanswered", GONE),
    Case("a child that goes on with the notebook", (
        "import os, time\nchild = os.fork()",
        "time.sleep(0.2)\nassert os.waitpid(child, os.WNOHANG)[0] == child" + SOFTMAX,
    )),
    Case("kills of process 1, of the parent, of the group's and of all others", (
        "import os, signal\n"
        "for kill in (os.kill, os.killpg):\n"
        "    for pid in (1, os.getppid(), 2, 3, -1):\n"
        "        if pid in (os.getpid(), os.getpgrp()): continue\n"
        "        for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):\n"
        "            try: kill(pid, number)\n"
        "            except OSError: pass",
        SOFTMAX,
    )),
]  # fmt: skip
