"""Submissions to the grader, as code: hostile, damaged, and honest but odd.

Each is a Case that says what it deserves. Question 2.1 is what a case is about. The
answers to 2.6 before it and to 2.2 behind it are right, and have to stay right.
"""

import json
from dataclasses import dataclass, field
from textwrap import indent

IMPORT = "import numpy as np"
SOFTMAX = """
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
WRONG = "def softmax(scores):\n    return scores"
LOOKUP = """
def soft_lookup(query, key, value):
    weights = np.exp(key @ query - (key @ query).max())
    weights = weights / weights.sum()
    return weights @ value, weights
"""
WEIGHTS = """
def weights_for(target, value):
    equations = np.vstack([value.T, np.ones(len(value))])
    weights = np.linalg.solve(equations, np.append(target, 1))
    return weights, bool((weights >= 0).all())
"""
# What the grader says.
LATE, GONE = "did not finish within 1 s.", "ended the process it ran in."
OTHERS = {
    "2.2": "passed",
    "2.3": "unanswered",
    "2.4": "unanswered",
    "2.5": "unanswered",
    "2.6": "passed",
}


@dataclass(frozen=True)
class Case:
    """One submission, and what it deserves.

    Attributes:
        name: a few words, the test's
        cells: sources of code cells; names like @OUTSIDE@ are filled in by the test
        status: that of question 2.1; "a|b" where either is right
        says: part of its message; "a|b" where it may be another
        others: status of each other question, or None where nothing is asserted
        hangs: whether it takes all the time that it is given
        grouped: whether nothing but a control group surely holds it
        whole: whether `cells` are the whole notebook
        content: bytes of the file, instead of cells
        trouble: part of the sentence on why it cannot be read, instead of a status
    """

    name: str
    cells: tuple[str, ...] = ()
    status: str = "passed"
    says: str = ""
    others: dict | None = field(default_factory=OTHERS.copy)
    hangs: bool = False
    grouped: bool = False
    whole: bool = False
    content: bytes | None = None
    trouble: str = ""

    def file(self, **values):
        """The bytes of the notebook, with values in the places that have their name."""
        if self.content is not None:
            return self.content
        cells = self.filled(**values)
        if not self.whole:
            cells = [IMPORT, WEIGHTS, *cells, LOOKUP]
        return json.dumps({"cells": list(map(code_cell, cells))}).encode()

    def filled(self, **values):
        """Its cells, with values in the places that have their name."""
        cells = self.cells
        for name, value in values.items():
            cells = [cell.replace(f"@{name}@", str(value)) for cell in cells]
        return cells


def code_cell(source, **more):
    """A code cell, as a notebook holds it."""
    return {"cell_type": "code", "source": source} | more


def softmax(*lines):
    """A cell that defines `softmax(scores)`, with these lines in it."""
    return "def softmax(scores):\n" + indent("\n".join(lines), "    ")


def others(**changed):
    """Statuses of the other questions, of which some changed: q2_2="wrong", say."""
    return OTHERS | {
        name[1:].replace("_", "."): status for name, status in changed.items()
    }
