"""What takes too much: memory, processes, threads, disk, files, output, replies."""

from hostile import SOFTMAX, WRONG, Case, softmax

FILL = """
def fill(folder):
    for number in range(5):  # a few more than there is room for
        with open(f"{folder}/{number}", "wb") as file:
            for _ in range(40):
                file.write(bytes(2**20))
"""
DETACH = (
    SOFTMAX
    + """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 256)
        time.sleep(1000)
    os._exit(0)
"""
)

CASES = [
    Case("an array of eighty gigabytes",
         (softmax("return np.ones(10**10)"),), "error", "MemoryError"),
    Case("a list that grows", (
        softmax("grown = []", "while True: grown.append(bytearray(2**24))"),
    ), "error|stopped", "MemoryError|of memory"),
    Case("memory that is shared", (
        softmax("import mmap", "shared = mmap.mmap(-1, 2**30)",
                "for _ in range(2**10): shared.write(bytes([1]) * 2**20)",
                "return scores"),
    ), "stopped", "used more than 0.5 GB of memory", grouped=True),
    Case("memory, once for each child", (softmax(
        "import os, time",
        "for _ in range(6):",
        "    if os.fork() == 0:",
        "        hoard = np.ones(2**24)",
        "        time.sleep(0.5)",
        "        os._exit(0)",
        "try:",
        "    while True: os.wait()",
        "except ChildProcessError: return scores",
    ),), "wrong|stopped", "A weight is -|of memory", grouped=True),
    Case("a fork bomb", (
        softmax("import os", "while True: os.fork()"),
    ), "error|stopped", "BlockingIOError|within 1 s", hangs=True, grouped=True),
    Case("a fork bomb that waits for each chance", (softmax(
        "import os",
        "while True:",
        "    try: os.fork()",
        "    except OSError: pass",
    ),), "stopped", "within 1 s", hangs=True, grouped=True),
    Case("a child that detaches itself and ignores every signal", (DETACH,)),
    Case("a program that writes for ever, left behind", (
        "import subprocess\nleft = subprocess.Popen(['yes'])", SOFTMAX,
    )),
    Case("a thousand threads", (
        SOFTMAX + "import threading, time\nfor _ in range(1000):\n"
        "    threading.Thread(target=time.sleep, args=(1000,)).start()",
    )),
    Case("a disk that is filled", (
        FILL + softmax("import tempfile", "fill(tempfile.gettempdir())"),
    ), "error", "OSError: [Errno 28] No space left on device"),
    Case("shared memory that is filled",
         (FILL + softmax("fill('/dev/shm')"),), "error", "OSError: [Errno"),
    Case("a file that grows", (softmax(
        "with open('grown', 'wb') as file:",
        "    for _ in range(200): file.write(bytes(2**20))",
    ),), "error", "OSError: [Errno"),
    Case("ten thousand files, and folders a thousand deep", (
        "import os\nfor i in range(10**4): open(str(i), 'x').close()\n"
        "for i in range(1500): os.mkdir('d'); os.chdir('d')",
        SOFTMAX,
    )),
    Case("files that stay open", (
        softmax("opened = []", "while True: opened.append(open('/dev/null'))"),
    ), "error", "OSError: [Errno 24] Too many open files"),
    Case("a hundred megabytes of output", (
        SOFTMAX, "import sys\nprint('x' * 10**8); sys.stderr.write('x' * 10**8)",
    )),
    Case("output that is closed, and a wrong answer", (
        "import sys\nsys.stdout.close(); sys.stderr = None\nprint('?')", WRONG,
    ), "wrong", "A weight is -"),
]  # fmt: skip
