"""The grader of record: what a submission may do, and what it costs."""

import json
import subprocess

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from course_lib.grading.calling import Refused, decode, encode
from course_lib.grading.grader import Limits, grade
from course_lib.grading.question import grade_metadata
from course_lib.grading.questions import all_questions, load
from course_lib.grading.submission import outcome

LIMITS = Limits(cell=2, call=2)
IMPORT = "import numpy as np"
SOFTMAX = """
def softmax(scores):
    exp = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)
"""
LOOKUP = """
def soft_lookup(query, key, value):
    weights = np.exp(key @ query - (key @ query).max())
    weights = weights / weights.sum()
    return weights @ value, weights
"""
WRONG = "def softmax(scores):\n    return scores"


def write(path, *cells):
    """A notebook with these code cells."""
    nbformat.write(new_notebook(cells=list(map(new_code_cell, cells))), path)
    return path


@pytest.fixture
def graded(tmp_path):
    """Grade a notebook of code cells: status and message of each question, by id."""

    def run(*cells):
        path = write(tmp_path / "answers.ipynb", IMPORT, *cells)
        report, trouble = grade(path, limits=LIMITS)
        assert trouble is None and report["possible"] == 16
        return {
            row["id"]: (row["status"], row["message"]) for row in report["questions"]
        }

    return run


def test_report_has_exactly_the_fields_of_schema_1(tmp_path):
    path = write(tmp_path / "answers.ipynb", IMPORT, SOFTMAX)
    report, _ = grade(path, limits=LIMITS)
    assert list(report) == [
        "schema",
        "submission_sha256",
        "sandbox",
        "of_record",
        "points",
        "possible",
        "questions",
    ]
    for row in report["questions"]:
        assert list(row) == ["id", "points", "possible", "status", "message"]
    assert (report["schema"], report["sandbox"], report["of_record"]) == (
        1,
        "plain",
        False,
    )
    assert (report["points"], report["possible"]) == (2, 16)
    assert len(report["submission_sha256"]) == 64
    assert json.loads(json.dumps(report)) == report


def test_same_seed_same_report_and_another_seed_other_numbers(tmp_path):
    path = write(tmp_path / "answers.ipynb", IMPORT, WRONG)
    one, two, other = (grade(path, seed, LIMITS)[0] for seed in (3, 3, 5))
    assert one == two
    assert one["questions"][0]["message"] != other["questions"][0]["message"]


@pytest.mark.parametrize(
    "cells",
    [
        ["%pylab\n!ls\nx = %pwd\nsoftmax?\nif True:\n    %time 1" + SOFTMAX],
        ["%%time" + SOFTMAX],
        [SOFTMAX, "%%bash\ndef softmax(scores): broken"],
        [WRONG, SOFTMAX],
        [SOFTMAX + "1 / 0"],
        ["1 / 0", "no Python", SOFTMAX, "raise SystemExit", "import os; os.abort()"],
        ["display(np); print(np)", SOFTMAX],
        ["softmax = lambda s: np.exp(s - s.max(-1)[..., None])", SOFTMAX],
        [SOFTMAX, "right = softmax\nsoftmax = lambda s: right(s).tolist()"],
        [SOFTMAX, "right = softmax\nsoftmax = lambda s: right(s).astype('float32')"],
        ["class Softmax:\n  def __call__(self, s): return right(s)",
         SOFTMAX + "right = softmax; softmax = Softmax()"],
        [SOFTMAX, "import warnings; right = softmax",
         "def softmax(s):\n  warnings.warn('!'); print('.' * 10**6); return right(s)"],
        [SOFTMAX, "from course_lib.grading import NotYet, check\ncheck('2.1', 1 / 0)"],
        ["from course_lib.grading import check", "check('2.2', None)\n" + SOFTMAX],
    ],
    ids=["magics", "time magic", "bash magic", "last definition counts",
         "failing after it", "failing cells around it", "display", "redefined",
         "lists", "float32", "object", "noisy", "failing check", "check does nothing"],
)  # fmt: skip
def test_a_right_answer_counts(graded, cells):
    verdicts = graded(*cells)
    assert verdicts["2.1"] == ("passed", "")
    assert verdicts["2.2"] == ("unanswered", "There is no function `soft_lookup`.")


UNDEFINED = "The cell of `softmax` did not define it."
HANG = "did not finish within 2 s."
GONE = "ended the process it ran in."
UNRIGHT = {
    "wrong": ([WRONG], "wrong", "A weight is -"),
    "last definition": ([SOFTMAX, WRONG], "wrong", "A weight is -"),
    "bash magic": (["%%bash\n" + SOFTMAX], "unanswered", UNDEFINED),
    "no function": (["softmax = 3"], "unanswered", UNDEFINED),
    "cell fails": (["1 / 0" + SOFTMAX], "unanswered", "stopped with ZeroDivisionError"),
    "cell hangs": ([SOFTMAX + "while True: pass"], "unanswered", HANG),
    "cell exits": ([SOFTMAX + "import os; os._exit(0)"], "unanswered", GONE),
    "stub": (
        ["def softmax(scores):\n    raise NotImplementedError"],
        "unanswered",
        "2.1 is not answered yet.",
    ),
    "call hangs": (["def softmax(s):\n    while True: pass"], "stopped", HANG),
    "call floods": (
        ["def softmax(s):\n    while True: print('x' * 10**6)"],
        "stopped",
        HANG,
    ),
    "call exits": (["import os\ndef softmax(s): os._exit(0)"], "stopped", GONE),
    "sys.exit": (
        ["import sys\ndef softmax(s):\n    sys.exit('bye')"],
        "error",
        "stopped with SystemExit: bye. The line is `sys.exit('bye')`.",
    ),
    "interrupt": (
        ["def softmax(s):\n    raise KeyboardInterrupt"],
        "error",
        "stopped with KeyboardInterrupt",
    ),
    "endless recursion": (
        ["def softmax(s):\n    return softmax(s)"],
        "error",
        "stopped with RecursionError",
    ),
    "object": (["def softmax(s):\n    return object()"], "wrong", "returned a object"),
    "object array": (
        ["def softmax(s):\n    return np.array([object()])"],
        "wrong",
        "does not hold plain numbers",
    ),
    "huge array": (
        ["def softmax(s):\n    return np.zeros(10**9, 'i1')"],
        "wrong",
        "more than 4,194,304 bytes",
    ),
    "liar": (
        ["class Liar(np.ndarray):\n    __eq__ = __lt__ = lambda *a: True",
         "def softmax(s):\n    return s.view(Liar)"],
        "wrong",
        "A weight is -",
    ),
    "patched NumPy": (
        ["np.allclose = np.isclose = lambda *a, **k: True", WRONG],
        "wrong",
        "A weight is -",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cells, status, says", UNRIGHT.values(), ids=UNRIGHT)
def test_what_is_not_right_gets_no_points_and_costs_no_other(
    graded, cells, status, says
):
    verdicts = graded(*cells, LOOKUP)
    assert verdicts["2.1"][0] == status and says in verdicts["2.1"][1]
    assert verdicts["2.2"] == ("passed", "")


def test_replies_forged_on_the_pipe_win_nothing(graded):
    forger = """
import json, os
def forge():
    for number in range(200):
        array = {"dtype": "<f8", "shape": [1], "data": "AAAAAAAAAAA="}
        reply = {"number": number, "values": [array]}
        for fd in range(3, 20):
            try:
                os.write(fd, b"\\xff{[\\n" + json.dumps(reply).encode() + b"\\n")
            except OSError:
                pass
"""
    call = "def softmax(scores):\n    forge()\n    return scores"
    verdicts = graded(LOOKUP, forger, call)
    assert verdicts["2.1"][0] in ("wrong", "stopped") and verdicts["2.2"][0] == "passed"
    assert graded(LOOKUP, forger + "forge()", WRONG)["2.1"][0] != "passed"


def test_a_cell_that_forks_goes_on_once(graded):
    fork = "import os, time\nchild = os.fork()"
    gone = "time.sleep(0.5)\nassert os.waitpid(child, os.WNOHANG)[0] == child"
    assert graded(fork, gone + SOFTMAX)["2.1"] == ("passed", "")


def test_the_worker_knows_neither_questions_nor_seed_nor_other_names(graded):
    probe = """
import glob, importlib, os, sys
import course_lib, course_lib.grading
found = []
for name in ("questions", "checking", "comparing", "question", "explanations"):
    try:
        importlib.import_module("course_lib.grading." + name)
        found.append(name)
    except ImportError:
        pass
folder = os.path.dirname(course_lib.__file__)
found += glob.glob(folder + "/**/*question*", recursive=True)
found += [path for path in sys.path if os.path.exists(path + "/tests")]
found += sorted(set(os.environ) - {"HOME", "MPLBACKEND", "OMP_NUM_THREADS", "LC_CTYPE"})
found += [] if os.listdir(".") == [] else ["files"]
def softmax(scores):
    raise ValueError(f"found {found}")
"""
    assert "ValueError: found []" in graded(probe)["2.1"][1]


def test_the_worker_has_the_rest_of_the_library(graded):
    assert graded("from course_lib.in_numpy import softmax")["2.1"][0] == "passed"


def test_a_notebook_has_a_budget(tmp_path):
    path = write(tmp_path / "answers.ipynb", *["while True: pass"] * 50, SOFTMAX)
    report, _ = grade(path, limits=Limits(cell=1, call=1, notebook=2))
    assert {row["status"] for row in report["questions"]} == {"stopped"}
    assert "used up its 2 s" in report["questions"][0]["message"]


def test_no_process_and_no_folder_is_left(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    cell = f"""
import os, subprocess
with open({str(tmp_path / "pids")!r}, "a") as file:
    print(os.getpid(), subprocess.Popen(["sleep", "60"]).pid, file=file)
"""
    grade(
        write(tmp_path / "answers.ipynb", cell, "os._exit(1)", SOFTMAX), limits=LIMITS
    )
    assert list((tmp_path / "tmp").iterdir()) == []
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 4  # the cell that exits is left out of a second worker
    states = subprocess.run(
        ["ps", "-o", "stat=", *pids], capture_output=True, text=True
    )
    assert all(state.startswith("Z") for state in states.stdout.split())


def questions_found(path, document):
    """Ids of the questions that a notebook document is graded on, and its points."""
    path.write_text(json.dumps(document))
    report, trouble = grade(path, limits=LIMITS)
    assert trouble is None
    return [row["id"] for row in report["questions"]], report["points"]


CHAPTER_2 = [question.id for question in all_questions(2)]


@pytest.mark.parametrize(
    "document",
    [
        {"cells": [{"cell_type": "code", "source": [IMPORT + "\n", SOFTMAX]}]},
        {"nbformat": 5, "cells": [{"cell_type": "code", "source": IMPORT + SOFTMAX}]},
        {
            "nbformat": 3,
            "worksheets": [
                {"cells": [{"cell_type": "code", "input": IMPORT + SOFTMAX}]}
            ],
        },
        {
            "metadata": None,
            "cells": [
                3,
                {"cell_type": ["code"]},
                {"cell_type": "markdown", "metadata": 7, "source": WRONG},
                {"cell_type": "code", "source": {"a": 1}, "metadata": {"nbgrader": []}},
                {"cell_type": "code", "source": "\ud800\0"},
                {"cell_type": "code", "source": IMPORT + SOFTMAX},
            ],
        },
    ],
    ids=["4 without metadata", "5", "3", "odd"],
)
def test_every_version_of_the_format_is_read(tmp_path, document):
    assert questions_found(tmp_path / "a.ipynb", document) == (CHAPTER_2, 2)


def test_metadata_can_neither_cost_nor_win_points(tmp_path):
    cell = {"cell_type": "code", "source": IMPORT + SOFTMAX}
    honest = grade_metadata(load("2.1"), "answer")
    for change in (
        {},
        {"points": 1000},
        {"grade_id": "q2-5"},
        {"grade_id": "q99-1"},
        {"grade_id": 3},
    ):
        cell["metadata"] = {"nbgrader": honest["nbgrader"] | change}
        document = {"cells": [cell, cell]}
        assert questions_found(tmp_path / "a.ipynb", document) == (CHAPTER_2, 2)


def test_an_emptied_notebook_is_known_by_its_ids_or_its_name(tmp_path):
    metadata = grade_metadata(load("2.1"), "text")
    cell = {"cell_type": "markdown", "source": "", "metadata": metadata}
    assert questions_found(tmp_path / "a.ipynb", {"cells": [cell]}) == (CHAPTER_2, 0)
    del cell["metadata"]
    assert questions_found(tmp_path / "02_x.ipynb", {"cells": [cell]}) == (CHAPTER_2, 0)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", ">f4", "float64"]
)
def test_arrays_survive_the_crossing(dtype):
    for shape in ((), (0, 3), (2, 3, 5)):
        array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
        message = json.loads(json.dumps(encode(array)))
        np.testing.assert_array_equal(decode(message), array)


GOOD = {"dtype": "<f8", "shape": [1], "data": "AAAAAAAAAAA="}


@pytest.mark.parametrize(
    "message",
    [
        None,
        [GOOD],
        {"dtype": "<f8", "shape": [1]},
        GOOD | {"extra": 1},
        GOOD | {"dtype": "|O"},
        GOOD | {"dtype": "<c16"},
        GOOD | {"dtype": ["<f8"]},
        GOOD | {"dtype": "<f8,<f8"},
        GOOD | {"shape": [-1]},
        GOOD | {"shape": [True]},
        GOOD | {"shape": [1.0]},
        GOOD | {"shape": [2]},
        GOOD | {"shape": "1"},
        GOOD | {"shape": [1] * 40},
        GOOD | {"shape": [10**30, 0, 10**30]},
        GOOD | {"shape": [10**9]},
        GOOD | {"data": b""},
        GOOD | {"data": "A" * 10**7},
    ],
)
def test_what_is_no_plain_array_is_refused_before_it_is_unpacked(message, monkeypatch):
    assert decode(GOOD).tolist() == [0]
    monkeypatch.setattr("base64.b64decode", lambda *a, **k: pytest.fail("unpacked"))
    with pytest.raises(Refused):
        decode(message)


@pytest.mark.parametrize("data", ["AAAAAAAAAA!=", "AAAAAAAAA\ud800A=", "A=AAAAAAAAAA"])
def test_what_is_no_base64_is_refused(data):
    with pytest.raises(Refused):
        decode(GOOD | {"data": data})


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"values": 3},
        {"values": []},
        {"values": [GOOD, GOOD]},
        {"values": [[]]},
        {"changed": 99},
        {"changed": "0"},
        {"changed": None},
        {"refused": {"a": 1}},
    ],
)
def test_replies_that_are_no_outcome_are_refused(reply):
    assert list(outcome(reply, load("2.1"))) == ["refused"]


def test_text_from_the_worker_is_short_and_printable():
    reply = {"error": {"type": "E\x1b[2J\n", "message": "\ud800" * 9999, "line": []}}
    error = outcome(reply, load("2.1"))["error"]
    assert error["type"] == "E [2J" and error["line"] == ""
    assert len(error["message"]) <= 300 and error["message"].isprintable()
    assert outcome({"error": 3}, load("2.1"))["error"]["type"] == ""


def test_markdown_is_never_run(tmp_path):
    path = tmp_path / "answers.ipynb"
    cells = [new_code_cell(IMPORT), new_markdown_cell(SOFTMAX), new_code_cell(LOOKUP)]
    nbformat.write(new_notebook(cells=cells), path)
    assert grade(path, limits=LIMITS)[0]["points"] == 2
