"""The same three questions for three graders: notebooks of students, and tests.

The questions are 2.1, 2.2 and 2.4, with the answers of `solutions/`. The peers' tests
try the same number of cases on inputs of the same sizes as our grader does. They are
written as an instructor would write them: literal inputs, the expected values, and one
assert a case.
"""

import re
from dataclasses import dataclass
from functools import cache

import nbformat
import numpy as np

from course_lib.grading.comparing import expected_values
from course_lib.grading.question import Question
from course_lib.grading.questions import load
from tools import notebooks

QUESTIONS = tuple(map(load, ("2.1", "2.2", "2.4")))
# Masked after the softmax: masked scores keep their share of the sum.
LEAKS = "    return softmax(scores) * mask\n"
# What every test needs. Not `numpy.testing`, whose import alone takes a tenth of a
# second.
PREAMBLE = """\
import numpy as np
from numpy import array, float32, float64, inf, nan

def close(got, expected, tolerance):
    got = got if isinstance(got, tuple) else (got,)
    return len(got) == len(expected) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, tolerance, tolerance)
        for a, b in zip(got, expected)
    )
"""


@dataclass(frozen=True)
class Test:
    """The peers' test of one question.

    Attributes:
        question: Question
        asserts: tuple of str, one statement a case
    """

    question: Question
    asserts: tuple[str, ...]


def tests():
    """A Test of each question, with inputs that are the same every time."""
    rng = np.random.default_rng(0)
    found = []
    for question in QUESTIONS:
        inputs = [case.inputs(rng) for case in question.cases]
        found.append(Test(question, tuple(_assert(question, one) for one in inputs)))
    return found


def _assert(question, inputs):
    """One statement: the function's values are those of the reference."""
    float32 = any(getattr(array, "dtype", None) == np.float32 for array in inputs)
    tolerance = question.tolerance["float32" if float32 else "float64"]
    # All digits, and no dots in place of numbers.
    with np.printoptions(floatmode="unique", threshold=2**31):
        arguments = ", ".join(map(repr, inputs))
        expected = ", ".join(map(repr, expected_values(question, inputs)))
    call = f"{question.function}({arguments})"
    return f"assert close({call}, ({expected},), {tolerance})"


def solution():
    """The instructor's notebook: answers marked, cells that nbgrader knows, its tests.

    Returns:
        NotebookNode
    """
    return nbformat.reads(_solution(), as_version=4)


@cache
def _solution():
    """That notebook as text."""
    notebook = notebooks.compose(notebooks.ROOT / "solutions/02_query_key_value.py")
    asserts = {test.question.grade_id: test.asserts for test in tests()}
    cells = [nbformat.v4.new_code_cell("import numpy as np", id="imports")]
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if grade_id in asserts:  # it holds our `check`, and nbgrader its tests
            lines = [PREAMBLE, *asserts[grade_id]]
            cell.source = "\n".join(
                ["### BEGIN HIDDEN TESTS", *lines, "### END HIDDEN TESTS"]
            )
            del cell.metadata["tags"]
        if grade_id.removesuffix("-answer").removesuffix("-text") in asserts:
            cells.append(cell)
    notebook.cells = cells
    return nbformat.writes(notebook)


def deserved(number):
    """The points of student `number`: every fourth one's mask leaks, all else is right.

    The three questions our grader adds, the rest of chapter 2, are worth nothing to
    anybody: no notebook answers them.
    """
    right = QUESTIONS[:2] if number % 4 == 3 else QUESTIONS
    return sum(question.points for question in right)


def handed_in(number):
    """The notebook of student `number`, as text; no two are equal."""
    notebook = solution()
    notebook.cells[0].source += f"  # student {number}"
    for cell in notebook.cells:
        if "HIDDEN TESTS" in cell.source:
            cell.source = ""
        if number % 4 == 3 and cell.source.startswith("def masked_softmax"):
            cell.source = notebooks.SOLUTION.sub(LEAKS, cell.source)
        cell.source = re.sub(r" *### (BEGIN|END) SOLUTION\n?", "", cell.source)
    return nbformat.writes(notebook)
