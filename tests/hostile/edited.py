"""Notebooks that were edited: cells deleted, doubled, moved, metadata changed."""

import json

from course_lib.grading.question import grade_metadata
from course_lib.grading.questions import load
from hostile import (
    IMPORT,
    LOOKUP,
    OTHERS,
    SOFTMAX,
    WEIGHTS,
    WRONG,
    Case,
    code_cell,
    others,
)

NOTHING = {key: "unanswered" for key in OTHERS}


def notebook(*cells, **more):
    """The bytes of a notebook of these cells, with more keys at its top."""
    return json.dumps(more | {"cells": cells}).encode()


def marked(source, question="2.1", role="answer", **changed):
    """A cell with nbgrader's metadata of a question, of which some is changed."""
    honest = grade_metadata(load(question), role)["nbgrader"]
    return code_cell(source, metadata={"nbgrader": honest | changed})


def text(source, kind="markdown", **more):
    """A cell that is no code."""
    return {"cell_type": kind, "source": source} | more


IMPORTS, LOOKED, WEIGHED = map(code_cell, (IMPORT, LOOKUP, WEIGHTS))
METADATA = {
    "more points": marked(SOFTMAX, points=1000),
    "negative points": marked(SOFTMAX, role="check", points=-5),
    "the id of another question": marked(SOFTMAX, grade_id="q2-5"),
    "an unknown id": marked(SOFTMAX, grade_id="q99-1"),
    "an id that is a number": marked(SOFTMAX, grade_id=3),
    "an id that is a path": marked(SOFTMAX, grade_id="../../q2-1"),
    "a check where the answer is": marked(SOFTMAX, role="check"),
    "another version": marked(SOFTMAX, schema_version="1e999"),
    "no nbgrader": code_cell(SOFTMAX, metadata={}),
    "no object": code_cell(SOFTMAX, metadata=[["nbgrader", {}]]),
    "outputs that say it passed": code_cell(
        SOFTMAX,
        outputs=[{"output_type": "stream", "text": "2.1: passed, 2 points"}],
        execution_count=10**9,
    ),
}

CASES = [
    *(
        Case(f"metadata: {name}", content=notebook(IMPORTS, WEIGHED, cell, LOOKED))
        for name, cell in METADATA.items()
    ),
    Case("a check that was made to pass", ("check = print", WRONG, "check('2.1', 1)"),
         "wrong", "A weight is -"),
    Case("checks that were deleted, and all metadata", (SOFTMAX,)),
    Case("a check that fails", (
        SOFTMAX, "from course_lib.grading import NotYet, check\ncheck('2.1', 1 / 0)",
    )),
    Case("all cells deleted but the one with its text", (), "unanswered",
         "There is no function `softmax`.", NOTHING,
         content=notebook(text("", metadata=grade_metadata(load("2.1"), "text")))),
    Case("all cells deleted but one: the file's name says which chapter", (),
         "unanswered", "There is no function `softmax`.", NOTHING,
         content=notebook(text("#"))),
    Case("the answer deleted", (), "unanswered", "There is no function `softmax`."),
    Case("the answer renamed", (SOFTMAX.replace("softmax", "soft_max"),), "unanswered",
         "There is no function `softmax`."),
    Case("the answer is no function", ("softmax = np.ones(3)",), "unanswered",
         "The cell of `softmax` did not define it."),
    Case("the answer deleted again", (SOFTMAX, "del softmax"), "unanswered",
         "The cell of `softmax` did not define it."),
    Case("the answer twice, the right one last", (WRONG, SOFTMAX)),
    Case("the answer twice, the wrong one last", (SOFTMAX, WRONG), "wrong",
         "A weight is -"),
    Case("the answer twice in marked cells, the wrong one last", (), "wrong",
         "A weight is -", content=notebook(IMPORTS, WEIGHED, marked(SOFTMAX),
                                           marked(WRONG), LOOKED)),
    Case("cells in another order", (), content=notebook(
        LOOKED, marked(SOFTMAX, role="check"), WEIGHED, IMPORTS)),
    Case("answers in text", (), "unanswered", "There is no function `softmax`.",
         others(q2_2="unanswered"), content=notebook(
             IMPORTS, text(SOFTMAX), WEIGHED, text(LOOKUP, "raw"))),
    Case("an answer in a cell of another language", ("%%bash\n" + SOFTMAX,),
         "unanswered", "The cell of `softmax` did not define it."),
    Case("a stub", ("def softmax(scores):\n    raise NotImplementedError",),
         "unanswered", "2.1 is not answered yet."),
    Case("lines with magics, which are not run", (
        "%pylab\n!touch @OUTSIDE@/touched\nx = %pwd\ny, z = !ls\nsoftmax?\n??softmax\n"
        "if True:\n    %time 1\n    !rm -rf @OUTSIDE@" + SOFTMAX,
        "%%bash\ntouch @OUTSIDE@/touched", "%%script python\ndel softmax",
        "%%writefile course_lib.py\nraise SystemExit",
        "%load_ext hostile\n%run -i @OUTSIDE@/victim\n%cd /\n%env PATH=",
    )),
    Case("a timed cell", ("%%time" + SOFTMAX,)),
]  # fmt: skip
