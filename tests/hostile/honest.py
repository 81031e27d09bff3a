"""Right answers, written or returned as few would: each is accepted."""

from hostile import IMPORT, SOFTMAX, WEIGHTS, Case, others, softmax

RIGHT = SOFTMAX.replace("softmax", "right")
BODY = (
    "exp = np.exp(scores - scores.max(axis=-1, keepdims=True))",
    "return exp / exp.sum(axis=-1, keepdims=True)",
)
# Returned: the weights, `w` here, as something else than a plain array.
RETURNED = {
    "as nested lists": "w.tolist()",
    "as tuples of rows": "tuple(map(tuple, w)) if w.ndim == 2 else w",
    "as a list of arrays": "list(w)",
    "as float32": "w.astype('float32')",
    "as long double": "w.astype('longdouble')",
    "in the other byte order": "w.astype(w.dtype.newbyteorder())",
    "in Fortran's order": "np.asfortranarray(w)",
    "with negative strides": "w[..., ::-1].copy()[..., ::-1]",
    "as part of something larger": "np.stack([w, w], axis=-1)[..., 0]",
    "in read-only memory": "(w.setflags(write=False), w)[1]",
    "as a masked array": "np.ma.masked_array(w, mask=np.zeros(w.shape, bool))",
    "as a matrix": "w.view(np.matrix) if w.ndim == 2 else w",
    "as a file in memory": "np.memmap('w', w.dtype, 'w+', shape=w.shape).__iadd__(w)",
    "as a kind of array of its own": "w.view(type('Mine', (np.ndarray,), {}))",
    "as what can become an array": (
        "type('Mine', (), {'__array__': lambda self, *a, **k: w})()"
    ),
    "as a memory view": "memoryview(w)",
    "as an array of Python's": (
        "__import__('array').array('d', w) if w.ndim == 1 else w"
    ),
}
WRITTEN = {
    "a lambda": "softmax = lambda s: (e := np.exp(s - s.max(-1)[..., None])) / "
    "e.sum(-1)[..., None]",
    "another name of the argument, more arguments, hints": (
        "from typing import Optional\n"
        "def softmax(x: np.ndarray, axis: int = -1, *, out: 'Unknown' = None,"
        " **more) -> Optional['Unknown']:\n"
        "    e = np.exp(x - x.max(axis, keepdims=True))\n"
        "    return e / e.sum(axis, keepdims=True)"
    ),
    "any arguments": "def softmax(*args, **kwargs):\n    (scores,) = args\n    "
    + "\n    ".join(BODY),
    "a class that is called": RIGHT
    + "class Softmax:\n    def __call__(self, scores): return right(scores)\n"
    "softmax = Softmax()",
    "a method": RIGHT
    + "class Softmax:\n    @staticmethod\n    def of(scores): return right(scores)\n"
    "softmax = Softmax.of",
    "a decorator": RIGHT + "import functools\ndef count(f):\n    @functools.wraps(f)\n"
    "    def counted(*a, **k):\n        counted.calls += 1\n        return f(*a, **k)\n"
    "    counted.calls = 0\n    return counted\n"
    "@count\ndef softmax(scores): return right(scores)",
    "a closure": RIGHT
    + "def make():\n    f = right\n    def softmax(scores): return f(scores)\n"
    "    return softmax\nsoftmax = make()",
    "functools.partial": "import functools\ndef along(axis, scores):\n"
    "    e = np.exp(scores - scores.max(axis, keepdims=True))\n"
    "    return e / e.sum(axis, keepdims=True)\n"
    "softmax = functools.partial(along, -1)",
    "a partial that needs names": "import functools\ndef along(scores, *, axis):\n"
    "    e = np.exp(scores - scores.max(axis, keepdims=True))\n"
    "    return e / e.sum(axis, keepdims=True)\n"
    "softmax = functools.partial(along, axis=-1)",
    "loops and lists": softmax(
        "import math",
        "if scores.ndim > 1: return [softmax(row) for row in scores]",
        "top = max(scores)",
        "e = [math.exp(s - top) for s in scores.astype(float)]",
        "return [part / sum(e) for part in e]",
    ),
    "names that are not English": "def softmax(scores):\n"
    "    größte = scores.max(-1, keepdims=True)\n    π = np.exp(scores - größte)\n"
    "    Σ = π.sum(-1, keepdims=True)\n    return π / Σ",
    "star imports": "from numpy import *\nfrom math import *\n"
    "from numpy import exp as e\n"
    "def softmax(s):\n    x = e(s - amax(s, -1)[..., None])\n"
    "    return x / x.sum(-1)[..., None]",
    "a script": SOFTMAX + "def main():\n    global ran\n    ran = True\n"
    "if __name__ == '__main__':\n    main()\nassert ran",
    "annotations that nothing defines": (
        SOFTMAX.replace("(scores)", "(scores: Matrix[float]) -> Weights")
    ),
    "what is awaited": "import asyncio\n"
    "async def later(x):\n    await asyncio.sleep(0)\n    return x\n"
    + SOFTMAX
    + "assert await later(3) == 3",
    "match and walrus": softmax(
        "match scores.ndim:",
        "    case 0: return np.ones(())",
        "    case _ if (top := scores.max(-1, keepdims=True)) is not None: pass",
        "e = np.exp(scores - top)",
        "return e / e.sum(-1, keepdims=True)",
    ),
    "apply and vectorize": softmax(
        "def row(s):",
        "    e = np.vectorize(np.exp, otypes=[float])(s - s.max())",
        "    return e / e.sum()",
        "return np.apply_along_axis(row, -1, scores)",
    ),
    "a pool of processes": "import multiprocessing\n"
    "def row(s):\n    e = np.exp(s - s.max())\n    return e / e.sum()\n"
    + softmax(
        "rows = scores.reshape(-1, scores.shape[-1])",
        "with multiprocessing.Pool(2) as pool:",
        "    return np.reshape(pool.map(row, rows), scores.shape)",
    ),
    "a pool of threads": RIGHT
    + "from concurrent.futures import ThreadPoolExecutor\n"
    + softmax(
        "with ThreadPoolExecutor(2) as pool:",
        "    return pool.submit(right, scores).result()",
    ),
    "pickles and copies of its own class": RIGHT
    + "import copy, pickle\nfrom dataclasses import dataclass\n"
    "@dataclass\nclass State:\n    scores: 'np.ndarray'\n"
    + softmax(
        "state = pickle.loads(pickle.dumps(copy.deepcopy(State(scores))))",
        "return right(state.scores)",
    ),
}
LOUD = {
    "warnings, and output": RIGHT
    + "import sys, warnings\n"
    + softmax(
        "warnings.warn('!'); warnings.warn('?', DeprecationWarning)",
        "np.log(np.zeros(2)); np.float64(1e308) * 10",
        "print('.' * 10**5, flush=True); print(scores, file=sys.stderr)",
        "return right(scores)",
    ),
    "warnings that are errors": RIGHT
    + "import warnings\nwarnings.simplefilter('error')\nnp.seterr(all='raise')\n"
    + softmax("return right(scores)"),
    "a backslash that is none": "'\\d'\n" + SOFTMAX + "1 is 1",
    "a progress bar": RIGHT
    + "try: from tqdm.auto import tqdm\nexcept ImportError: tqdm = iter\n"
    + softmax("for _ in tqdm(range(3)): pass", "return right(scores)"),
    "clocks, seeds and asserts": RIGHT
    + "import random, time\n"
    + softmax(
        "np.random.seed(0); random.seed(1); begun = time.perf_counter()",
        "weights = right(scores)",
        "assert np.allclose(weights.sum(-1), 1) and (weights >= 0).all()",
        "time.sleep(0.001)",
        "print(f'{time.perf_counter() - begun:.1f} s')",
        "return weights",
    ),
    "a plot, and what notebooks display": "import matplotlib.pyplot as plt\n"
    "fig, ax = plt.subplots()\nax.plot([1, 2]); plt.show(); plt.savefig('plot.png')\n"
    "display(fig); softmax_of = None; fig" + SOFTMAX,
    "logging and a wrong attempt that is caught": RIGHT
    + "import logging\nlogging.basicConfig(level=logging.DEBUG)\n"
    + softmax(
        "try: scores.undefined",
        "except AttributeError: logging.exception('no such thing')",
        "return right(scores)",
    ),
    "comments alone, and cells with nothing": "# %% softmax\n# def softmax\n"
    + SOFTMAX
    + "\n'''\ndef softmax(scores): wrong\n'''\n",
    "other ends of lines": SOFTMAX.replace("\n", "\r\n"),
    "tabs": SOFTMAX.replace("    ", "\t"),
}

CASES = [
    *(
        Case(f"weights {name}", (softmax(*BODY[:1], f"w = {BODY[1][7:]}",
                                         f"return {value}"),))
        for name, value in RETURNED.items()
    ),
    *(
        Case(f"written with {name}", ("from __future__ import annotations", code))
        for name, code in WRITTEN.items()
    ),
    *(Case(f"right, with {name}", (code,)) for name, code in LOUD.items()),
    Case("right, in many cells", (
        "", "# softmax", "EPSILON = 0", "def shifted(s): return s - best(s)",
        "def best(s): return s.max(axis=-1, keepdims=True)",
        "def softmax(scores):\n    raise NotImplementedError",
        softmax("e = np.exp(shifted(scores)) + EPSILON",
                "return e / e.sum(axis=-1, keepdims=True)"),
        "softmax(np.zeros(3))", "softmax",
    )),
    Case("right, in a folder of its own that is empty at first", (
        "import os, tempfile\nassert os.listdir() == []\n"
        "assert os.getcwd() == tempfile.gettempdir() == os.path.expanduser('~')\n"
        "with open('mine', 'w') as file: file.write('mine')\n" + SOFTMAX,
    )),
    Case("right, with NumPy imported again and again", (
        "import numpy", "from numpy import exp", "import numpy as np, numpy.linalg",
        "del np", "import numpy as np", SOFTMAX,
    )),
    Case("no import of its own: that of the cells before counts", (SOFTMAX,)),
    Case("right, without any import of NumPy", (
        WEIGHTS, "import math\n" + softmax(
            "s = scores.astype(float)",
            "e = math.e ** (s - s.max(-1, keepdims=True))",
            "return e / e.sum(-1, keepdims=True)"),
    ), whole=True, others=others(q2_2="unanswered", q2_6="error")),
    Case("two functions for one question, the last is imported", (
        IMPORT, "import os\nwith open('mine.py', 'w') as file:\n"
        f"    file.write({IMPORT + SOFTMAX!r})\n"
        "import sys; sys.path.insert(0, os.getcwd())",
        "def softmax(scores): return scores", "from mine import softmax",
    )),
]  # fmt: skip
