"""The policy: which answers use a library call that would be the answer."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wrong_answers import answers

from course_lib.grading.policy import judge_policy
from course_lib.grading.policy.cells import MAX_CHARACTERS
from course_lib.grading.questions import all_questions, load

ROOT = Path(__file__).parents[1]
QUESTIONS = all_questions()
SOFTMAX = load("2.1")
HONEST = """
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
each_question = pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)


def judge(code, question=SOFTMAX, failed=()):
    """The Finding on cells that `# %%` divides, behind two imports."""
    cells = ("import numpy as np, torch", *code.strip().split("\n# %%\n"))
    return judge_policy(question, cells, failed)


def cases(text):
    """Pieces of code, each below a line `#: what it does`, as parameters."""
    pieces = [piece.split("\n", 1) for piece in text.split("#: ")[1:]]
    return [pytest.param(code, id=name) for name, code in pieces]


FORBIDDEN_NAMES = sorted({entry for q in QUESTIONS for entry in q.forbidden})
LIBRARIES = sorted({name.partition(".")[0] for name in FORBIDDEN_NAMES})
INSTALLED = [library for library in LIBRARIES if find_spec(library)]


@pytest.mark.parametrize("library", INSTALLED)
def test_what_is_forbidden_exists(library):
    for name in FORBIDDEN_NAMES:
        first, *parts = name.split(".")
        if first != library:
            continue
        thing, path = import_module(first), first
        for part in parts:
            path = f"{path}.{part}"
            if not hasattr(thing, part):
                import_module(path)
            thing = getattr(thing, part)


def test_forbidden_names_are_of_libraries_that_students_may_have():
    others = {"flax", "jax", "keras", "sklearn", "scipy", "tensorflow", "torch"}
    assert set(LIBRARIES) == {"course_lib", *others}


@each_question
def test_every_question_but_one_forbids_something_of_this_course_or_of_others(question):
    assert bool(question.forbidden) == (question.id != "1.5")
    assert len(set(question.forbidden)) == len(question.forbidden)


REFERENCES = {
    "1.1": ("recurrent.gru_cell",),
    "1.2": ("recurrent.gru",),
    "2.1": ("ops.softmax", "ops.masked_softmax", "attention.attend"),
    "2.2": ("attention.attend", "attention.scaled_dot_product_attention"),
    "2.4": ("ops.masked_softmax", "attention.attend"),
}


@pytest.mark.parametrize(
    "id, name", [(id, name) for id, names in REFERENCES.items() for name in names]
)
@pytest.mark.parametrize("half", ["in_numpy", "in_torch"])
def test_reference_and_its_twin_are_forbidden(id, name, half):
    module, function = name.split(".")
    answer = load(id).function
    path = f"course_lib.{half}.{module}"
    for code in (
        f"from {path} import {function} as {answer}",
        f"import {path} as lib\ndef {answer}(*args):\n    return lib.{function}(*args)",
        f"from course_lib import {half}\n{answer} = {half}.{module}.{function}",
    ):
        finding = judge(code, load(id))
        assert finding.verdict == "broken" and f"{path}.{function}" in finding.message


@pytest.mark.parametrize(
    "id, path",
    [
        ("1.4", "course_lib.training.metrics.accuracy_by_length"),
        ("1.6", "course_lib.data.vocabulary.reverse_source"),
        ("2.5", "course_lib.in_numpy.attention.scaled_dot_product_attention_backward"),
    ],
)
def test_what_the_course_has_of_an_answer_is_forbidden(id, path):
    module, _, name = path.rpartition(".")
    code = f"from {module} import {name} as {load(id).function}"
    assert judge(code, load(id)).verdict == "broken"


@each_question
def test_reference_of_the_course_is_forbidden_wherever_it_is_the_reference(question):
    reference = question.reference
    if reference.__module__.startswith("course_lib.in_numpy"):
        path = f"{reference.__module__}.{reference.__name__}"
        assert judge(f"import {path.rpartition('.')[0]}\n{question.function} = {path}",
                     question).verdict == "broken"  # fmt: skip


BROKEN = cases("""
#: by name
def softmax(scores):
    return torch.softmax(scores, -1)
#: by another name of the module
import torch as t
f = t.softmax
# %%
def softmax(scores):
    return f(scores, -1)
#: from import as
from torch.nn.functional import softmax as mine
softmax = lambda scores: mine(scores, -1)
#: as the definition
import scipy.special
softmax = scipy.special.softmax
#: star import
from scipy.special import *
#: star import over an honest one
def softmax(scores):
    return scores
# %%
from torch import *
#: star import of the course
from course_lib.in_numpy import *
#: star import into a helper
from torch import *
def helper(scores):
    return softmax(scores, -1)
# %%
def softmax(scores):
    return helper(scores)
#: import inside
def softmax(scores):
    from torch.nn import functional as F
    return F.softmax(scores, -1)
#: getattr
def softmax(scores):
    return getattr(torch, "softmax")(scores, -1)
#: getattr of joined text
name = "soft"
def softmax(scores):
    return getattr(torch.nn, "S" + "oftmax")(-1)(scores)
#: import_module
import importlib
def softmax(scores):
    return importlib.import_module("torch").softmax(scores, -1)
#: import_module by a name
from importlib import import_module as load
library = "to" + "rch"
def softmax(scores):
    return load(library).softmax(scores, -1)
#: dunder import
def softmax(scores):
    return __import__("torch.nn").softmax(scores, -1)
#: partial
from functools import partial
softmax = partial(torch.softmax, dim=-1)
#: method of a value
def softmax(scores):
    return torch.tensor(scores).softmax(-1).numpy()
#: method of values in a loop
def softmax(scores):
    rows = [torch.tensor(row) for row in scores]
    return [row.softmax(-1) for row in rows]
#: method of something unknown
def softmax(scores):
    return scores.to_torch().softmax(-1)
#: module object
def softmax(scores):
    return torch.nn.Softmax(dim=-1)(torch.tensor(scores))
#: model built elsewhere
model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Softmax(-1))
# %%
def softmax(scores):
    return model(scores)
#: hidden name of the library
def softmax(scores):
    return torch.nn.modules.activation.Softmax(-1)(scores)
#: library inside a library
import torch.nn.functional as F
def softmax(scores):
    return F.torch.softmax(scores, -1)
#: library inside the course
from course_lib.in_torch import ops
def softmax(scores):
    return ops.torch.softmax(scores, -1)
#: re-export of the course
import course_lib.in_numpy.attention as a
def softmax(scores):
    return a.masked_softmax(scores)
#: through three helpers in other cells
def first(scores):
    return second(scores)
# %%
second = lambda scores: third(scores)
# %%
def third(scores):
    return torch.softmax(scores, -1)
# %%
def softmax(scores):
    return first(scores)
#: kept under an old name
softmax = torch.softmax
old = softmax
def softmax(scores):
    return old(scores, -1)
#: made by a function that forgets
h = torch.softmax
def make():
    return h
softmax = make()
h = None
#: closure
def make(lib):
    def inner(scores):
        return lib.softmax(scores, -1)
    return inner
softmax = make(torch)
#: decorator
def better(function):
    return lambda scores: torch.softmax(scores, -1)
@better
def softmax(scores):
    return scores
#: default argument
def softmax(scores, lib=torch):
    return lib.softmax(scores, -1)
#: default argument that is computed
def softmax(scores, weights=torch.softmax(torch.ones(3), -1)):
    return weights
#: argument of a helper
def helper(scores, lib):
    return lib.softmax(scores, -1)
def softmax(scores):
    return helper(scores, lib=torch)
#: argument of a callback
def softmax(scores):
    return next(map(lambda lib: lib.nn.Softmax(-1)(scores), [torch]))
#: generator
def libraries():
    yield torch
def softmax(scores):
    return next(libraries()).softmax(scores, -1)
#: callable object
class Weights:
    def __init__(self):
        self.lib = torch
    def __call__(self, scores):
        return self.lib.softmax(scores, -1)
softmax = Weights()
#: class that needs it when it is made
class Table:
    weights = list(torch.softmax(torch.ones(3), -1))
def softmax(scores):
    return Table.weights
#: handed through something unknown
def softmax(scores):
    return scores.through(torch).nn.Softmax(-1)(scores)
#: inherited from the library
class Mine(torch.nn.Softmax):
    pass
softmax = Mine(-1)
#: inherited method of a value
class Mine(torch.Tensor):
    pass
def softmax(scores):
    return Mine(scores).softmax(-1)
#: inherited from an own class, through super
class A:
    def weights(self, scores):
        return torch.softmax(scores, -1)
class B(A):
    def weights(self, scores):
        return super().weights(scores)
def softmax(scores):
    return B().weights(scores)
#: method of an object that comes in an exception
class A(Exception):
    def weights(self, scores):
        return torch.softmax(scores, -1)
def softmax(scores):
    try:
        raise A()
    except Exception as error:
        return error.weights(scores)
#: property
class A:
    @property
    def f(self):
        return torch.softmax
softmax = lambda scores: A().f(scores, -1)
#: dictionary
table = {"mine": np.exp, "theirs": torch.softmax}
def softmax(scores):
    return table["theirs"](scores, -1)
#: dictionary filled later
table = {}
table["f"] = torch.softmax
def softmax(scores):
    return table["f"](scores, -1)
#: list filled by a function
table = []
def fill():
    table.append(torch.softmax)
fill()
def softmax(scores):
    return table[0](scores, -1)
#: registered
table = {}
def register(function):
    table["f"] = function
register(torch.softmax)
def softmax(scores):
    return table["f"](scores, -1)
#: attribute of an alias
class Box:
    pass
box = Box()
other = box
other.f = torch.softmax
def softmax(scores):
    return box.f(scores, -1)
#: attribute set by a function
class Box:
    pass
box = Box()
def install(it):
    it.f = torch.softmax
install(box)
def softmax(scores):
    return box.f(scores, -1)
#: setattr
class Box:
    pass
setattr(Box, "f", torch.softmax)
def softmax(scores):
    return Box.f(scores, -1)
#: global
def setup():
    global f
    f = torch.softmax
setup()
def softmax(scores):
    return f(scores, -1)
#: numpy patched
np.exp = lambda scores: torch.softmax(torch.tensor(scores), -1)
def softmax(scores):
    return np.exp(scores)
#: loop over functions
for f in [torch.softmax]:
    softmax = f
#: walrus and match
def softmax(scores):
    match (lib := torch):
        case lib if lib:
            return lib.softmax(scores, -1)
#: true condition
def softmax(scores):
    return scores
# %%
if True:
    from scipy.special import softmax
#: try that replaces
def softmax(scores):
    return scores
# %%
try:
    from scipy.special import softmax
except ImportError:
    pass
#: both branches
if np.random.rand() < 0.5:
    softmax = torch.softmax
else:
    from scipy.special import softmax
#: honest one in a cell that Python does not run
softmax = torch.softmax
# %%
def softmax(scores):
    return scores
return softmax
#: fallback of a missing library
try:
    import torch
except ImportError:
    torch = None
def softmax(scores):
    return torch.softmax(scores, -1)
#: distribution
def softmax(scores):
    return torch.distributions.Categorical(logits=torch.tensor(scores)).probs
#: methodcaller
import operator
def softmax(scores):
    return operator.methodcaller("softmax", -1)(torch.tensor(scores))
#: rest of a list, and of a mapping
_, *rest = np, torch.softmax
def softmax(scores):
    return rest[0](scores, -1)
#: context
import contextlib
with contextlib.nullcontext(torch) as lib:
    def softmax(scores):
        return lib.softmax(scores, -1)
#: nonlocal
def softmax(scores):
    lib = None
    def choose():
        nonlocal lib
        lib = torch.nn
    choose()
    return lib.Softmax(-1)(scores)
#: name bound inside a comprehension
def softmax(scores):
    [(lib := module) for module in [torch.nn]]
    return lib.Softmax(-1)(scores)
#: name bound step by step
def softmax(scores):
    lib = torch
    while not hasattr(lib, "Softmax"):
        lib = lib.nn
    return lib.Softmax(-1)(scores)
#: annotated
f: object = torch.softmax
def softmax(scores) -> object:
    return f(scores, -1)
#: added to a list
steps = [np.exp]
steps += [torch.softmax]
def softmax(scores):
    return steps[1](scores, -1)
#: nested function that its decorator calls
def softmax(scores):
    @np.vectorize
    def answer(row):
        return torch.softmax(row, -1)
    @lambda function: function(scores)
    def other(row):
        return row
    return other
#: in a match statement of the notebook
match 1:
    case 1:
        f = torch.softmax
def softmax(scores):
    return f(scores, -1)
#: only when it is run
def softmax(scores):
    return scores
if __name__ == "__main__":
    softmax = torch.softmax
#: switch that is on
OFF = False
def softmax(scores):
    return scores
if not OFF:
    softmax = torch.softmax
#: object whose call gives the library
class Lib:
    def __call__(self):
        return torch
lib = Lib()
def get():
    return lib()
def softmax(scores):
    return get.__call__().nn.Softmax(-1)(scores)
#: functions that call each other
def odd(lib, n):
    return even(lib, n - 1) if n else lib
def even(lib, n):
    return odd(lib, n - 1) if n else lib
def softmax(scores):
    return odd(torch.nn, 3).Softmax(-1)(scores)
#: library changed inside a function
def change():
    import numpy
    numpy.exp = torch.softmax
change()
def softmax(scores):
    return np.exp(scores)
#: class read by the computed name of a method
class Steps:
    def first(self, scores):
        return torch.softmax(scores, -1)
def softmax(scores):
    return getattr(Steps(), "fir" + scores.name)(scores)
#: attention that gives the weights back
from course_lib.in_numpy import attend
def softmax(scores):
    return attend(scores, np.eye(scores.shape[-1]))[1]
""")


@pytest.mark.parametrize("code", BROKEN)
def test_answer_that_uses_what_is_forbidden_is_refused(code):
    finding = judge(code)
    assert finding.verdict == "broken", finding
    assert "which is what the question asks you to write" in finding.message


def test_refusal_names_the_call_the_cell_and_the_line():
    finding = judge("x = 1\n# %%\ndef softmax(s):\n    return torch.softmax(s, -1)")
    assert finding.message == (
        "Cell 3, line 2: `return torch.softmax(s, -1)` calls torch.softmax, which is "
        "what the question asks you to write. Please write it yourself; you may still "
        "compare with the library in another cell."
    )
    uses = judge("softmax = torch.nn.functional.softmax\n" + "\n" * 5).message
    assert uses.startswith(
        "Cell 2, line 1: `softmax = torch.nn.functional.softmax` uses torch.softmax,"
    )


KEPT = cases("""
#: compared with the library
def softmax(scores):
    exp = np.exp(scores)
    return exp / exp.sum(-1, keepdims=True)
# %%
from scipy.special import softmax as reference
x = np.ones((2, 3))
def compare(function, others, results):
    results["theirs"] = torch.softmax(torch.tensor(x), -1)
    return np.allclose(function(x), reference(x, axis=-1))
results = {}
compare(softmax, [reference, torch.softmax], results)
np.testing.assert_allclose(softmax(x), torch.tensor(x).softmax(-1))
x = np.append(x, torch.softmax(torch.tensor(x), -1))
#: first an experiment
from torch import softmax
# %%
softmax = torch.softmax
# %%
from scipy.special import *
# %%
def softmax(scores):
    return scores / scores.sum()
#: first a stub
def softmax(scores):
    raise NotImplementedError
# %%
softmax = torch.softmax
# %%
def softmax(scores):
    return scores / scores.sum()
#: two functions under one name in turn
f = torch.softmax
print(f)
f = np.exp
def softmax(scores):
    return f(scores) / f(scores).sum()
#: a pair of which one is used
theirs, mine = torch.softmax, np.exp
def softmax(scores):
    return mine(scores)
#: a switch that is off
COMPARE = False
def softmax(scores):
    return scores
# %%
if COMPARE:
    from scipy.special import softmax
#: a cell that Python does not run
def softmax(scores):
    return scores
# %%
softmax = torch.softmax
return softmax
#: own class with a method of the name
class Weights:
    def softmax(self, scores):
        return scores / scores.sum()
    def reference(self, scores):
        return torch.softmax(scores, -1)
    def __theirs(self, scores):
        return torch.softmax(scores, -1)
weights = Weights()
def softmax(scores, how=weights):
    return weights.softmax(scores) + how.softmax(scores)
#: one class for each library
class Mine:
    def __init__(self, width):
        self.weights = np.ones(width)
    def __call__(self, scores):
        return np.exp(scores) * self.weights
class Theirs(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weights = torch.nn.Softmax(-1)
def softmax(scores):
    return Mine(3)(scores)
#: another box is filled
class Box:
    pass
box, other = Box(), Box()
def install(it):
    it.f = torch.softmax
install(other)
def softmax(scores):
    return box.f(scores, -1)
#: a copy is filled
import copy
class Box:
    pass
box = Box()
other = copy.copy(box)
other.f = torch.softmax
def softmax(scores):
    return box.f(scores, -1)
#: dictionary of own functions
steps = {"exp": np.exp, "sum": lambda x: x.sum(-1, keepdims=True)}
def softmax(scores):
    exp = steps["exp"](scores)
    for name, step in steps.items():
        exp = exp / step(exp)
    return exp
#: attributes of arrays are set
def softmax(scores):
    exp = np.exp(scores.astype(np.float64))
    flat = scores.astype(np.float32)
    flat.shape = -1
    exp.flags.writeable = flat.flags.writeable = False
    setattr(flat, "shape", exp.shape)
    return getattr(flat, "T" + str(flat.ndim)[1:])
#: getattr on own objects and on arrays
class Settings:
    axis_rows, axis_columns = 0, 1
settings = Settings()
def softmax(scores):
    axis = getattr(settings, "axis_" + input_name(scores))
    return getattr(scores, "max")(axis=getattr(settings, "axis_rows", axis))
def input_name(scores):
    return "rows" if scores.ndim > 1 else "columns"
#: pytorch without its softmax
def softmax(scores):
    exp = torch.exp(torch.tensor(scores))
    return (exp / exp.sum(-1, keepdim=True)).numpy()
#: figures and settings of other libraries
import matplotlib.pyplot as plt
from cycler import cycler
plt.rcParams["axes.prop_cycle"] = cycler(color=["red"])
torch.backends.cudnn.deterministic = True
np.float = float
rng = np.random.default_rng(0)
def softmax(scores):
    return np.exp(scores + 0 * rng.random())
#: recursion, nested functions, comprehensions, lambdas
import functools, itertools, math
@functools.lru_cache(maxsize=None)
def power(n):
    return 1 if n == 0 else math.e * power(n - 1)
def softmax(scores):
    def one(row):
        top = max(row)
        exp = [(lambda s: math.exp(s - top))(s) for s in row]
        return [e / math.fsum(exp) for e in exp]
    rows = list(itertools.starmap(lambda *row: one(row), scores))
    assert all(abs(sum(row) - 1) < 1e-9 for row in rows), "rows"
    return np.array(rows)
#: looks at the names there are
import sys
IN_COLAB = "google.colab" in sys.modules
if "softmax" not in globals():
    print("not yet")
def softmax(scores):
    return scores
#: text run as code in a function that nobody calls
def softmax(scores):
    return scores
def run(code):
    exec(code)
#: star imports of other names
def softmax(scores):
    return np.exp(scores)
# %%
from math import *
from torch.nn.functional import *
from course_lib.in_numpy.masks import *
def softmax(scores):
    return exp(scores)
from scipy.linalg import *
#: own attribute of an object that is not known
def softmax(scores):
    box = scores.box
    box.softmax = scores.function
    return box.softmax(scores)
#: deleted
softmax = torch.softmax
del softmax
#: deleted after a star import
from torch import *
def softmax(scores):
    return scores
del softmax
#: main and other conditions
def softmax(scores):
    return scores
if __name__ != "__main__":
    softmax = torch.softmax
#: attrgetter and setattr of own things
import operator
class Box:
    pass
def softmax(scores):
    box = Box()
    setattr(box, "first", scores)
    box.second = operator.attrgetter("first")(box)
    return box.second
#: exec and eval as own functions
def eval(model):
    return model
eval(3)
def softmax(scores):
    return eval(scores)
#: locals read
title = "{x}".format(**locals())
print(globals().get("title"), globals()["title"])
def softmax(scores):
    return scores
#: local names that shadow
def softmax(scores):
    torch = np
    return torch.exp(scores)
#: nothing there
x = 1
""")


@pytest.mark.parametrize("code", KEPT)
def test_honest_code_is_kept(code):
    assert judge(code) == judge("")
    assert judge(code).message == ""


NOT_DECIDABLE = cases("""
#: exec
def softmax(scores):
    exec("answer = scores")
    return answer
#: eval in a helper
def helper(code):
    return eval(code)
def softmax(scores):
    return helper("scores")
#: exec under another name
run = exec
def softmax(scores):
    run("x = 1")
#: compile
def softmax(scores):
    return compile("1", "", "eval")
#: exec in another cell
def softmax(scores):
    return scores
# %%
exec("softmax = 1")
#: exec in a function that another cell calls
def softmax(scores):
    return scores
# %%
def replace():
    def inner():
        [exec(line) for line in lines]
    inner()
replace()
#: globals written in another cell
def softmax(scores):
    return scores
# %%
globals()["softmax"] = 1
#: module of the notebook itself
def softmax(scores):
    return scores
# %%
import __main__
__main__.softmax = 1
#: sys.modules written in another cell
def softmax(scores):
    return scores
# %%
import sys
setattr(sys.modules["__main__"], "softmax", 1)
#: computed attribute of a library
def softmax(scores):
    return getattr(np, scores.name)(scores)
#: computed attribute of an argument
def helper(thing, name):
    return getattr(thing, name)
def softmax(scores):
    return helper(scores, scores.name)
#: computed module
import importlib
def softmax(scores):
    return importlib.import_module(scores.name)
#: computed dunder import
def softmax(scores):
    return __import__(scores.name)
#: getattr handed on
from functools import reduce
def softmax(scores):
    return reduce(getattr, ["special", "softmax"], torch)(scores)
#: attrgetter
import operator
def softmax(scores):
    return operator.attrgetter(scores.name)(torch)
#: sys.modules
import sys
def softmax(scores):
    return sys.modules["torch"].__name__
#: sys inside a library
def softmax(scores):
    return np._core.sys.modules
#: globals
def softmax(scores):
    return globals()["f"](scores)
#: vars
def softmax(scores):
    return vars(torch)["soft" "max"](scores)
#: dict of a module
def softmax(scores):
    return torch.__dict__[scores.name]
#: globals of a function
def softmax(scores):
    return softmax.__globals__["f"](scores)
#: attrgetter of a forbidden name
import operator
def softmax(scores):
    return operator.attrgetter("nn.Softmax")(torch)
#: something unknown that has a forbidden name
def softmax(scores):
    return scores.library.nn.MultiheadAttention(scores)
#: match that the run decides
def softmax(scores):
    return scores
match np.random.rand() < 0.5:
    case True:
        softmax = torch.softmax
#: frames
import inspect
def softmax(scores):
    return inspect.currentframe()
#: subclasses
def softmax(scores):
    return object.__subclasses__()
#: garbage collector
import gc
def softmax(scores):
    return gc.get_objects()
#: pointers
import ctypes
def softmax(scores):
    return ctypes.pythonapi
#: file
def softmax(scores):
    return open("answers").read()
#: array in a file
answers = np.load("answers.npy")
def softmax(scores):
    return answers
#: path
from pathlib import Path
def softmax(scores):
    return Path("answers").read_text()
#: pickle
import pickle
def softmax(scores):
    return pickle.loads(b"")
#: process
import subprocess
def softmax(scores):
    return subprocess.run("x")
#: environment
import os
def softmax(scores):
    return os.environ["x"]
#: library changed by the answer
def softmax(scores):
    np.exp = scores
    return np.exp(scores)
#: library changed by setattr
def softmax(scores):
    setattr(np, "exp", scores)
#: unknown library
import helpers
def softmax(scores):
    return helpers.weights(scores)
#: unknown star import over an honest one
def softmax(scores):
    return scores
# %%
from helpers import *
#: condition that the run decides
def softmax(scores):
    return scores
# %%
if np.random.rand() < 0.5:
    from scipy.special import softmax
#: loop that may not run
def softmax(scores):
    return scores
# %%
while np.random.rand() < 0.5:
    softmax = torch.softmax
#: loop that comes round again
h = np.exp
for _ in range(3):
    f = h
    h = torch.softmax
def softmax(scores):
    return f(scores)
#: fallback for a missing library
try:
    from scipy.special import softmax as weights
except ImportError:
    def weights(scores):
        return scores
def softmax(scores):
    return weights(scores)
#: honest one in a try that may fail first
softmax = torch.softmax
# %%
try:
    1 / 0
    def softmax(scores):
        return scores
except ZeroDivisionError:
    pass
""")


@pytest.mark.parametrize("code", NOT_DECIDABLE)
def test_what_cannot_be_followed_is_not_decidable(code):
    finding = judge(code)
    assert finding.verdict == "not decidable", finding
    assert finding.message.startswith("Cell ")
    assert finding.message.endswith("told whether the answer is your own.")


def test_what_cannot_be_followed_is_named_with_its_line():
    finding = judge("def softmax(s):\n    exec('x = s')\n    return x")
    assert finding.message == (
        "Cell 2, line 2: `exec('x = s')` runs text as code. So it cannot be told "
        "whether the answer is your own."
    )


def test_only_what_the_function_reaches_counts():
    code = (
        HONEST
        + """
def soft_lookup(query, key, value):
    weights = torch.softmax(torch.tensor(key @ query), -1).numpy()
    return weights @ value, weights
def softmax_at(scores, temperature):
    return getattr(torch, scores.name)
"""
    )
    verdicts = [judge(code, load(id)).verdict for id in ("2.1", "2.2", "2.3")]
    assert verdicts == ["kept", "kept", "not decidable"]


ALLOWED = [
    ("1.1", "def gru_step(x, *a):\n    return torch.sigmoid(x), ops.sigmoid(x)"),
    ("1.2", "def encode(x, *a):\n    return recurrent.gru_cell(x, *a)"),
    ("1.2", "def encode(x, *a):\n    return torch.nn.GRUCell(2, 3)(x)"),
    ("1.3", "def rnn_backward(d, x, w, u):\n    return torch.tanh(w * x).detach()"),
    ("1.6", "def reverse_source(ids, pad):\n    return torch.flip(ids, [1])"),
    ("2.2", "def soft_lookup(q, k, v):\n    return ops.softmax(k @ q) @ v"),
    ("2.3", "def softmax_at(s, t):\n    return torch.softmax(s / t, -1)"),
    ("2.4", "def masked_softmax(s, m):\n    return torch.tensor(s).softmax(-1)"),
    ("2.5", "def attention_backward(d, *a):\n    return attention.attend(d, *a)"),
    ("2.6", "def weights_for(t, v):\n    return np.linalg.lstsq(v, t)"),
]


@pytest.mark.parametrize("id, code", ALLOWED)
def test_what_is_no_answer_to_the_question_may_be_called(id, code):
    imports = "from course_lib.in_numpy import attention, ops, recurrent\n"
    assert judge(imports + code, load(id)).verdict == "kept"


FORBIDDEN = [
    ("1.1", "def gru_step(x, *a):\n    return torch.nn.GRUCell(2, 3)(x)"),
    ("1.2", "def encode(x, *a):\n    return torch.nn.modules.rnn.GRU(2, 3)(x)"),
    ("1.3", "def rnn_backward(d, x, w, u):\n    (torch.tensor(w) * d).backward()"),
    ("1.3", "def rnn_backward(d, x, w, u):\n    return torch.autograd.grad(x, w)"),
    ("1.3", "import jax\ndef rnn_backward(*a):\n    return jax.grad(np.tanh)(*a)"),
    ("2.2", "F = torch.nn.functional\n"
            "def soft_lookup(q, k, v):\n"
            "    return F.scaled_dot_product_attention(q, k, v)"),
    ("2.4", "from torch.masked import softmax\n"
            "def masked_softmax(s, m):\n    return softmax(s, -1, mask=m)"),
    ("2.6", "from scipy.spatial import Delaunay\n"
            "def weights_for(t, v):\n    return Delaunay(v).transform"),
]  # fmt: skip


@pytest.mark.parametrize("id, code", FORBIDDEN)
def test_what_answers_the_question_may_not_be_called(id, code):
    assert judge(code, load(id)).verdict == "broken"


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.id)
def test_no_answer_that_is_known_is_refused_or_doubted(question):
    known = [answer for answer in answers() if answer.question == question.id]
    assert known
    for answer in known:
        finding = judge(answer.code, question)
        assert finding.verdict == "kept", (answer.says, finding)


@pytest.mark.parametrize("folder", ["solutions", "exercises"])
def test_no_notebook_of_the_course_is_refused_or_doubted(folder):
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        cells = [
            c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"
        ]
        for question in QUESTIONS:
            assert judge_policy(question, cells).verdict == "kept", path


def test_what_a_failed_cell_defines_may_be_in_force_or_not():
    theirs_first = "softmax = torch.softmax\n# %%\n1 / 0" + HONEST
    assert judge(theirs_first).verdict == "kept"
    assert judge(theirs_first, failed={2}).verdict == "not decidable"
    assert judge(HONEST + "\n1 / 0", failed={1}).verdict == "kept"
    assert judge("softmax = torch.softmax\n1 / 0", failed={1}).verdict == "broken"


def test_nothing_that_a_student_names_is_run_or_imported(tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    cells = [
        "import mine, torch, antigravity, sys\nsys.exit(1)",
        f"open({str(tmp_path / 'run')!r}, 'w')",
        "from mine import *",
        "def softmax(s, x=print('run')):\n    import mine\n    return mine.f(s)",
    ]
    code = f"""
import sys
from course_lib.grading.policy import judge_policy
from course_lib.grading.questions import load
verdict = judge_policy(load("2.1"), {cells!r}).verdict
print(verdict, {{"mine", "torch", "antigravity"}} & set(sys.modules))
"""
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert ran.stdout == "not decidable set()\n"
    assert not (tmp_path / "run").exists()


def test_same_cells_same_message_in_every_process():
    pieces = [p.values[0] for p in (*BROKEN, *NOT_DECIDABLE)]
    code = f"""
import json
from course_lib.grading.policy import judge_policy
from course_lib.grading.questions import load
pieces = json.loads({json.dumps(json.dumps(pieces))})
found = [judge_policy(load("2.1"), p.split("\\n# %%\\n")).message for p in pieces]
print(json.dumps(found))
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


ODD = {
    "NUL byte": "x = 1\0",
    "lone surrogate": "x = '\ud800'",
    "invalid escape": r"x = '\d'",
    "no Python": "%%html\n<b>",
    "deep brackets": "(" * 10**5,
    "deep minus": "-" * 10**5 + "1",
    "long attribute": "x" + ".a" * 10**4,
    "long sum": "x = 1" + " + 1" * 10**4,
    "sum that parses": "x = 1" + " + 1" * 1500,
    "long call": "x" + "()" * 2500,
    "long elif": "if x:\n    pass\n" + "elif x:\n    pass\n" * 4000,
    "deep blocks": "".join(" " * n + "if x:\n" for n in range(98)) + " " * 98 + "y = 1",
    "deep functions": "".join(" " * n + f"def f{n}():\n" for n in range(98))
    + " " * 98
    + "pass",
    "odd name of a module": "def softmax(s): return __import__('a\\n\\x07b').c",
    "long name of a module": f"import course_lib.{'a' * 300}\n"
    f"def softmax(s): return course_lib.{'a' * 300}, {'a' * 300}.b",
    "odd module": "def softmax(s): return __import__('course_lib.a b./c', x=1).y",
    "odd setattr": "setattr(x, 'a')\nsetattr()\ngetattr()\n().append(1)",
    "odd match": "match x:\n    case {**rest}:\n        pass\n    case [*a, b]: b",
    "many lines": "x = x\n" * 6_000,
    "many names": "\n".join(f"x{n} = x{n - 1}" for n in range(1, 3500)),
    "many functions": "\n".join(
        f"def f{n}(x): return f{n - 1}(x)" for n in range(1, 3500)
    ),
    "many classes": "\n".join(f"class A{n}(A{n - 1}): pass" for n in range(1, 3500)),
    "many branches": "if x:\n    def softmax(s): return s\n" * 2000,
    "many in a loop": "for x in y:\n" + "    x = x\n" * 5000,
    "many stores": "def f():\n    x.a = 3\n" * 3000 + "x = 2\n" * 2000,
    "many stars": "from x import *\n" * 6_000,
    "many arguments": "print(" + "softmax, " * 10_000 + ")",
    "doubling": "\n".join(
        f"x{n} = [x{n - 1}.a, x{n - 1}.b]" for n in range(1, 3000)
    ),
    "long line": "x = '" + "a" * 90_000 + "'",
    "too long": "x = 1\n" * 2**18,
}  # fmt: skip
USE = {
    "alone": "",
    "used": "\ndef softmax(s):\n    return s, x, x2000, f2000(s), A2000().f().g, f",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("use", USE.values(), ids=list(USE))
def test_odd_and_hostile_cells_get_a_verdict_in_time(odd, use):
    started = time.process_time()
    finding = judge_policy(SOFTMAX, [odd + use, "" if use else HONEST])
    assert time.process_time() - started < 20  # seconds; it takes one or two
    assert finding.verdict in ("kept", "not decidable")
    assert len(finding.message) < 500 and finding.message.isprintable()


def test_code_that_is_too_long_is_said_to_be():
    assert judge(HONEST + "#" * (MAX_CHARACTERS - 300)).verdict == "kept"
    finding = judge(HONEST + "#" * MAX_CHARACTERS)
    assert finding.verdict == "not decidable"
    assert finding.message.startswith("The code has more than 100,000 characters.")


def test_too_little_stack_left_is_no_verdict_on_the_student():
    def judge_below(n_calls):
        return judge_below(n_calls - 1) if n_calls else judge(HONEST)

    verdicts = {judge_below(n_calls).verdict for n_calls in range(0, 960, 20)}
    assert verdicts == {"kept", "not decidable"}
    assert judge(HONEST).verdict == "kept"


def test_message_shows_the_line_as_short_printable_text():
    line = "    return torch.softmax(s, -1)  # \t\x07" + "é" * 300
    message = judge("def softmax(s):\r\n" + line).message
    assert "line 2: `return torch.softmax(s, -1)  #" in message
    assert message.isprintable() and len(message) < 300


PIECES = [
    *(p.values[0] for p in (*BROKEN, *KEPT, *NOT_DECIDABLE)),
    *(answer.code for answer in answers()),
]


@st.composite
def mangled(draw):
    """Cells made of pieces of the others, cut, doubled and joined anywhere."""
    lines = "\n".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4)))
    lines = lines.split("\n")
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.integers(0, len(lines))) for _ in range(2))
        place = draw(st.integers(0, len(lines)))
        part = lines[start:end]
        lines = lines[:start] + lines[end:] if draw(st.booleans()) else lines
        lines = lines[:place] + part + lines[place:]
    return "\n".join(lines).split("\n# %%\n")


@given(
    cells=mangled()
    | st.lists(st.text(st.characters(exclude_categories=())), max_size=3)
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_cells_hold_there_is_a_verdict(cells):
    for question in (SOFTMAX, load("2.5")):
        finding = judge_policy(question, cells)
        assert finding.verdict in ("kept", "broken", "not decidable")
        assert bool(finding.message) == (finding.verdict != "kept")
