"""What tries to be marked right: forged replies, patched libraries, lying answers."""

from hostile import SOFTMAX, WRONG, Case, others, softmax

# What is said of raw scores, and of zeros or other numbers.
NEGATIVE, SUMS = "A weight is -", "over the last axis instead of 1"
# All pipes of the worker; one of them takes replies.
SEND = """
import json, os, sys
def send(**reply):
    line = json.dumps(reply).encode() + b"\\n"
    for pipe in range(3, 256):
        try:
            os.write(pipe, line)
        except OSError:
            pass
ZEROS = {"dtype": "<f8", "shape": [2, 3], "data": "A" * 64}
"""
# The number of the request that is being answered, from the frames around.
NUMBER = """
def number():
    frame = sys._getframe()
    while frame and "request" not in frame.f_locals:
        frame = frame.f_back
    return frame.f_locals["request"]["number"]
"""
FORGED = SEND + NUMBER + softmax("send(number=number(), {})", "return scores")


def forged(reply):
    """Cells that send a reply with the right number before the true one."""
    return (FORGED.replace("{}", reply),)


TAKE_OVER = (
    SEND
    + NUMBER
    + """
send(number=number(), error=None)
for line in open(int(sys.argv[1]), closefd=False):
    request = json.loads(line)
    if "cell" in request:
        send(number=request["number"], error=None)
    else:
        send(number=request["number"], values=[ZEROS] * request["n_returns"])
"""
)
PATCHED = {
    "np.allclose": "np.allclose = np.isclose = np.array_equal = lambda *a, **k: True",
    "builtins": (
        "import builtins\n"
        "builtins.isinstance = builtins.callable = lambda *a: True\n"
        "builtins.all = builtins.any = lambda *a: True"
    ),
    "json.dumps": (
        "import json\ndumps = json.dumps\n"
        "json.dumps = lambda reply: dumps(reply | {'status': 'passed', 'points': 99})"
    ),
    "what calls the answers": (
        "import sys\nfor name in ('calling', '__main__', 'worker'):\n"
        "    module = sys.modules.get(name)\n"
        "    if module: module.encode = module.describe = lambda *a: {'passed': True}"
    ),
    "the import system": (
        "import sys\n"
        "class Finder:\n"
        "    @staticmethod\n"
        "    def find_spec(name, *a):\n"
        "        if name.startswith('course_lib'): raise SystemExit('passed')\n"
        "sys.meta_path.insert(0, Finder)\n"
        "sys.modules['course_lib.grading'] = sys.modules['numpy.testing'] = np\n"
        "sys.path_hooks.clear(); sys.path_importer_cache.clear()"
    ),
    "a course of its own on the disk": (
        "import os, sys\nos.makedirs('course_lib/grading')\n"
        "for path in ('course_lib', 'course_lib/grading'):\n"
        "    with open(path + '/__init__.py', 'w') as file:\n"
        "        file.write('def check(*a): print(\"passed\")\\npassed = True')\n"
        "sys.path.insert(0, os.getcwd())\n"
        "for name in ('course_lib', 'course_lib.grading'): sys.modules.pop(name, 0)\n"
        "from course_lib.grading import check; check('2.1', None)"
    ),
    "the hooks of exceptions and displays": (
        "import atexit, sys, threading\n"
        "sys.excepthook = sys.displayhook = sys.unraisablehook = print\n"
        "threading.excepthook = display = print\n"
        "atexit.register(print, 'passed')"
    ),
    "IPython's hooks": (
        "get_ipython().events.register('post_run_cell', lambda *a: 'passed')\n"
        "get_ipython().run_cell = lambda *a: 'passed'"
    ),
    "check": "check = lambda *a: print('2.1: passed, 2 points')\ncheck('2.1', None)",
}
METHODS = (
    "import ctypes, gc\n"
    "methods = gc.get_referents(np.ndarray.__dict__)[0]\n"
    "methods['__eq__'] = methods['__lt__'] = lambda *a: True\n"
    "methods['all'] = lambda *a, **k: True\n"
    "ctypes.pythonapi.PyType_Modified(ctypes.py_object(np.ndarray))"
)
TRACE = (
    "import sys\ndef trace(frame, event, value):\n"
    "    for name in ('answer', 'outcome', 'values'):\n"
    "        if name in frame.f_locals: frame.f_locals[name] = {'passed': True}\n"
    "    return trace\n"
    "sys.settrace(trace)"
)
LIARS = {
    "an object that equals everything": (
        "class Liar:\n    __eq__ = __lt__ = __le__ = __bool__ = lambda *a: True\n"
        "    shape, dtype, ndim, size = (2, 3), np.dtype(float), 2, 6\n"
        + softmax("return Liar()"),
        "returned a Liar that does not hold plain numbers",
    ),
    "an object that says it is an array": (
        "class Liar:\n    __class__ = np.ndarray\n"
        "    __getattr__ = lambda self, name: getattr(np.zeros((2, 3)), name)\n"
        + softmax("return Liar()"),
        SUMS,
    ),
    "an object that becomes code": (
        "import os\n"
        "class Bomb:\n    __reduce__ = __reduce_ex__ = lambda *a: (os.abort, ())\n"
        + softmax("return np.array([Bomb()] * 6).reshape(2, 3)"),
        "does not hold plain numbers",
    ),
    "an array that equals everything": (
        "class Liar(np.ndarray):\n    __eq__ = __lt__ = __sub__ = lambda *a: True\n"
        + softmax("return scores.view(Liar)"),
        NEGATIVE,
    ),
    "an array with other bytes": (
        "class Liar(np.ndarray):\n    shape, nbytes = (2, 3), 48\n"
        "    dtype = property(lambda self: np.dtype('float64'))\n"
        "    tobytes = __array__ = lambda *a, **k: b'passed'\n"
        + softmax("return np.full(7, 0.5).view(Liar)"),
        "should have shape (2, 3)",
    ),
    "an array that overrules every function": (
        "class Liar(np.ndarray):\n"
        "    __array_ufunc__ = __array_function__ = lambda *a, **k: True\n"
        + softmax("return scores.view(Liar)"),
        NEGATIVE,
    ),
    "a list with another length": (
        "class Liar(list):\n    __len__ = lambda self: -1\n"
        + softmax("return Liar([1, 2])"),
        "should have shape (2, 3)|Expected: `weights`",
    ),
    "numbers that change": (
        "import random\nclass Liar(float):\n"
        "    __float__ = __index__ = lambda self: random.random()\n"
        + softmax("return [[Liar(9)] * 3] * 2"),
        SUMS,
    ),
}
COUNTS = """
calls = 0
def softmax(scores):
    global calls
    calls += 1
    return right(scores) if calls < 4 else scores
"""
RIGHT = SOFTMAX.replace("softmax", "right")

CASES = [
    *(Case(f"patched: {n}", (c, WRONG), "wrong", NEGATIVE) for n, c in PATCHED.items()),
    *(Case(n, (c,), "wrong", s) for n, (c, s) in LIARS.items()),
    Case("patched: NumPy's own methods", (
        METHODS, WRONG,
    ), "wrong", NEGATIVE, others(q2_6="wrong")),
    Case("patched: the trace of every call", (
        TRACE, WRONG,
    ), "wrong|stopped", "did not return|not accepted|ended", None),
    Case("patched: whatever makes an array", (
        "np.asarray = np.array = np.copy = lambda answer, *a, **k: np.zeros((2, 3))",
        WRONG,
    ), "wrong", NEGATIVE),
    Case("replies to all numbers", (
        SEND,
        softmax("for n in range(300): send(number=n, values=[ZEROS])",
                "return scores"),
    ), "wrong", NEGATIVE),
    Case("a forged answer that is wrong too", forged("values=[ZEROS]"), "wrong", SUMS),
    Case("a forged pass", forged('status="passed", points=2'), "wrong",
         "did not return an array"),
    Case("a forged shape of negative length", forged(
        'values=[{"dtype": "<f8", "shape": [-2, -3], "data": "A" * 64}]'
    ), "wrong", "impossible shape"),
    Case("a forged array of objects", forged(
        'values=[{"dtype": "|O", "shape": [2, 3], "data": "A" * 64}]'
    ), "wrong", "a type that is not accepted"),
    Case("a forged list of one answer more", forged("values=[ZEROS, ZEROS]"), "wrong",
         "2 values, not 1"),
    Case("a forged error with odd parts", forged(
        'error={"type": ["\\x1b[2J"], "message": "\\ud800" * 9999, "line": {}}'
    ), "error", "Your function stopped with"),
    Case("a forged overwriting of what is no input", forged("changed=10**400"),
         "wrong", "did not return an array"),
    Case("a reply that is a million lists", forged("values=[[]] * 10**6"), "wrong",
         NEGATIVE),
    Case("a reply that is a thousand lists deep", (
        SEND, NUMBER,
        softmax("reply = '{\"number\": %d, \"values\": ' % number()",
                "for pipe in range(3, 256):",
                "    try: os.write(pipe, reply.encode() + b'[' * 1500 + b'\\n')",
                "    except OSError: pass",
                "return scores"),
    ), "wrong", NEGATIVE),
    Case("a reply without an end", (
        SEND, softmax("while True: send(values='x' * 2**20)"),
    ), "stopped", "did not finish within 1 s", hangs=True),
    Case("a line without an end", (
        SEND,
        softmax("while True:",
                "    for pipe in range(3, 256):",
                "        try: os.write(pipe, b'x' * 2**20)",
                "        except OSError: pass"),
    ), "stopped", "more than the grader accepts"),
    Case("a cell that answers all requests from then on", (TAKE_OVER,), "wrong",
         SUMS, others(q2_2="wrong", q2_6="wrong", q2_3="wrong", q2_4="wrong",
                             q2_5="wrong")),
    Case("an answer that is right three times", (RIGHT, COUNTS), "wrong", NEGATIVE),
    Case("an answer that is right where it can be tried", (
        RIGHT,
        softmax("return scores if scores.ndim == 4 else right(scores)"),
    ), "wrong", SUMS),
    Case("an answer that is right until the last call", (
        RIGHT, softmax("return right(scores) if scores.size != 11 else scores"),
    ), "wrong", NEGATIVE),
    Case("an answer that overwrites its input", (
        softmax("scores -= scores.max(axis=-1, keepdims=True)",
                "exp = np.exp(scores)",
                "return exp / exp.sum(axis=-1, keepdims=True)"),
    ), "wrong", "overwrites its input `scores`"),
    Case("a search for answers in all that is in memory", (
        "import gc",
        softmax("for found in gc.get_objects():",
                "    if type(found) is dict and 'expected' in found:",
                "        return found['expected']",
                "names = {getattr(f, '__name__', '') for f in gc.get_objects()",
                "         if callable(f)}",
                "found = names & {'judge', 'expected_values'}",
                "raise ValueError(f'found {found}')"),
    ), "error", "ValueError: found set()"),
    Case("a search for answers in the frames around", (
        "import sys",
        softmax("seen, frame = set(), sys._getframe(1)",
                "while frame:",
                "    seen |= set(frame.f_locals); frame = frame.f_back",
                "found = seen & {'seed', 'question', 'expected', 'case', 'reference'}",
                "raise ValueError(f'found {found}')"),
    ), "error", "ValueError: found set()"),
]  # fmt: skip
