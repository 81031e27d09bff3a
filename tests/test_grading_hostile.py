"""Hostile, damaged and odd submissions: each gets what it deserves, and leaves nothing.

The submissions are in `tests/hostile/`.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hostile import (
    IMPORT,
    SOFTMAX,
    Case,
    damaged,
    edited,
    exits,
    forgery,
    hoards,
    honest,
    loops,
    tricks,
    values,
)
from hostile.confined import confine, release
from hostile.traces import Traces

from course_lib.grading import control_group
from course_lib.grading.grader import Options, grade_content
from course_lib.grading.hand_in import HandIn
from course_lib.grading.process import Limits
from course_lib.grading.questions import all_questions

MODULES = (loops, exits, hoards, forgery, values, edited, damaged, honest)
CASES = {case.name: case for module in MODULES for case in module.CASES}
HANGING = [case for case in CASES.values() if case.hangs]
OTHERS = [case for case in CASES.values() if not case.hangs]
POINTS = {question.id: question.points for question in all_questions(2)}
MEMORY, PROCESSES = 2**29, 32
LIMITS = Limits(10, 10, 30, MEMORY, PROCESSES)
SHORT = Limits(1, 1, 20, MEMORY, PROCESSES)
BUDGET = Limits(5, 5, 1.5, MEMORY, PROCESSES)


@pytest.fixture(scope="module", autouse=True)
def own_choice():
    yield
    release()


@contextmanager
def nothing_is_left(folder):
    """Gives a folder of the machine that no submission has any business in.

    In the end no process and no file of a submission is there, and the folder is as it
    was.
    """
    (folder / "outside").mkdir()
    (folder / "outside" / "victim").write_text("untouched")
    with (
        TemporaryDirectory() as temporary,
        pytest.MonkeyPatch.context() as patch,
        closing(Traces(patch, Path(temporary))) as traces,
    ):
        Path(temporary).chmod(0o711)  # a worker may be another user
        yield folder / "outside", traces
        assert traces.processes() == []
        assert traces.files() == []
    (left,) = (folder / "outside").iterdir()
    assert left.name == "victim" and left.read_text() == "untouched"


def graded(case, outside, limits, spare=False):
    """The report on a case, and the seconds it took."""
    hand_in = HandIn("Ann", "1", "02_ann.ipynb", Path("02_ann.ipynb"))
    content = case.file(OUTSIDE=outside)
    begun = time.monotonic()
    report = grade_content(hand_in, content, Options(7, limits), spare)
    return report, time.monotonic() - begun


def deserves(report, case):
    """Every question has its status and its points, and 2.1 its message."""
    if case.trouble:
        assert case.trouble in report["trouble"] and report["points"] == 0
        assert {row["status"] for row in report["questions"]} == {"unreadable"}
        return
    assert report["trouble"] == ""
    rows = {row["id"]: row for row in report["questions"]}
    row = rows["2.1"]
    assert row["status"] in case.status.split("|"), row["status"] + row["message"]
    assert any(says in row["message"] for says in case.says.split("|")), row["message"]
    for key, status in (case.others or {}).items():
        assert rows[key]["status"] in status.split("|"), rows[key]["message"]
    for key, row in rows.items():
        right = row["status"] == "passed"
        assert row["points"] == right * POINTS[key] and row["message"].isprintable()
    assert report["points"] == sum(row["points"] for row in rows.values())
    assert report["possible"] == sum(POINTS.values())


def names(cases):
    return [case.name for case in cases]


@cache
def has_groups():
    """Whether this machine can limit a worker's memory and processes as a whole."""
    made = control_group.make(MEMORY, PROCESSES)
    if made:
        made.remove()
    return made is not None


def skip_what_nothing_holds(case):
    if case.grouped and not has_groups():
        pytest.skip("No control group on this machine.")


@pytest.mark.parametrize("case", OTHERS, ids=names(OTHERS))
def test_a_submission_gets_what_it_deserves(tmp_path, case):
    skip_what_nothing_holds(case)
    confine("bubblewrap")
    with nothing_is_left(tmp_path) as (outside, _):
        deserves(graded(case, outside, LIMITS, spare=True)[0], case)


@pytest.fixture(scope="module")
def hung(tmp_path_factory):
    """Reports on what hangs, by name. They wait, so several are graded at a time."""
    confine("bubblewrap")
    folder = tmp_path_factory.mktemp("hung")
    with nothing_is_left(folder) as (outside, _), ThreadPoolExecutor(3) as threads:
        futures = {
            case.name: threads.submit(graded, case, outside, SHORT)
            for case in HANGING
            if has_groups() or not case.grouped
        }
        return {name: future.result()[0] for name, future in futures.items()}


@pytest.mark.parametrize("case", HANGING, ids=names(HANGING))
def test_what_hangs_costs_its_question_only(hung, case):
    skip_what_nothing_holds(case)
    deserves(hung[case.name], case)


@pytest.mark.parametrize("cells", tricks.CELLS.values(), ids=tricks.CELLS)
def test_a_way_around_the_policy_is_refused_or_said_to_be_possible(tmp_path, cells):
    confine("bubblewrap")
    with nothing_is_left(tmp_path) as (outside, _):
        report, _ = graded(Case("", cells), outside, LIMITS, spare=True)
    row = report["questions"][0]
    assert row["policy_message"] != "" or cells in tricks.USELESS
    assert row["policy"] in ("broken", "not decidable") or row["status"] == "wrong"


# They are harmless even where they can reach the machine.
HARMLESS = [
    *("a cell that loops", "a call that exits", "a cell that fails before it"),
    *("a message that is no text", "an array with other bytes"),
    *("patched: np.allclose", "a forged answer that is wrong too"),
    *("a line without an end", "an answer that is right three times"),
    *("it returns objects", "read: format 3", "weights as nested lists"),
    "a child that goes on with the notebook",
]
HARMFUL = [
    "a child that detaches itself and ignores every signal",
    "kills of process 1, of the parent, of the group's and of all others",
    "a cell that closes all that is open",
    "a disk that is filled",
    "memory that is shared",
    "written with a pool of processes",
]


@pytest.mark.parametrize("name", [*HARMLESS[::3], *HARMFUL])
def test_the_score_is_the_same_in_namespaces(tmp_path, name):
    skip_what_nothing_holds(CASES[name])
    confine("namespaces")
    with nothing_is_left(tmp_path) as (outside, _):
        limits = SHORT if CASES[name].hangs else LIMITS
        report, _ = graded(CASES[name], outside, limits)
        assert report["sandbox"] == "namespaces" and report["of_record"]
        deserves(report, CASES[name])


@pytest.mark.parametrize(
    "box, name",
    [*product(["plain"], HARMLESS), *product(["user"], HARMLESS[1::3])],
)
def test_the_score_is_right_even_where_the_sandbox_is_weak(tmp_path, box, name):
    confine(box)
    with nothing_is_left(tmp_path) as (outside, _):
        limits = SHORT if CASES[name].hangs else LIMITS
        report, _ = graded(CASES[name], outside, limits)
        assert report["sandbox"] == box and not report["of_record"]
        deserves(report, CASES[name])


FUNCTIONS = [question.function for question in all_questions(2)]
SLOW = {
    "every cell loops": ["while True: pass"] * 50 + [SOFTMAX],
    "every cell sleeps": ["import time; time.sleep(60)"] * 50 + [SOFTMAX],
    "every cell exits": ["import os; os._exit(0)"] * 500 + [SOFTMAX],
    "every call takes nearly all of its time": [
        f"import time\ndef {name}(*inputs): time.sleep(0.9); return 1"
        for name in FUNCTIONS
    ],
    "processes, memory and replies without end": [
        forgery.SEND,
        *(
            f"def {name}(*inputs):\n"
            "    while True:\n"
            "        try: os.fork()\n"
            "        except OSError: pass\n"
            "        send(values=bytearray(2**22).decode())"
            for name in FUNCTIONS
        ),
    ],
}


@pytest.mark.parametrize("cells", SLOW.values(), ids=SLOW)
def test_no_submission_outlives_its_budget(tmp_path, cells):
    skip_what_nothing_holds(Case("", grouped="fork" in str(cells)))
    confine("bubblewrap")
    with nothing_is_left(tmp_path) as (outside, traces):
        case = Case("", (IMPORT, *cells), whole=True)
        report, seconds = graded(case, outside, BUDGET)
        assert seconds < BUDGET.notebook + 1 + traces.slowest
    assert report["points"] == 0
    message = report["questions"][-1]["message"]
    # Who floods may be stopped for that before the time is over, question by question.
    flooded = "send(" in str(cells) and "more than the grader accepts" in message
    assert flooded or "used up its 1.5 s" in message
