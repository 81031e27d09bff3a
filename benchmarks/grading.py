"""Our grader of record beside nbgrader and otter-grader."""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.assignment import deserved, handed_in
from benchmarks.graders import AttentionCourse, Nbgrader, Otter
from benchmarks.measure import Failed, run, seconds

ONE, WARM, BATCH = "one command", "one process", "batch"
PROMISED = {
    (ONE, 1): "ratio <= 0.15",
    (WARM, 40): "seconds <= 0.2",
    (BATCH, 200): "per_minute >= 100",
    (BATCH, 500): "mib as for 20",
}
TIMED = """
import json, time
from course_lib.grading.grader import Options, grade_content
from course_lib.grading.hand_in import find
from course_lib.grading.workers import close_spare

options, graded = Options(seed=0), []
for handed_in in find(["submitted"]):
    content = handed_in.read()
    start = time.perf_counter()
    report = grade_content(handed_in, content, options)
    graded.append([time.perf_counter() - start, report["points"]])
close_spare()
with open("graded.json", "w") as file:
    json.dump(graded, file)
"""


def grading_against_peers(quick):
    """Wall time to grade notebooks of three questions: ours, nbgrader's and otter's.

    All get the same notebooks, and tests with inputs of the same sizes; every point is
    compared with what was deserved. Seconds are for one notebook, on all cores:

    one command   a command for one notebook, median of five
    one process   the second notebook and later ones, one after another
    batch         all notebooks of a folder. nbgrader takes one at a time. Otter needs
                  Docker for a folder; without it, a command for each, as many at a time
                  as there are cores.

    `ratio` compares with the quicker peer, `mib` is the most memory that the process of
    the command held. A quick run is of ours alone: it makes no environments.
    """
    graders = [AttentionCourse] if quick else [AttentionCourse, Nbgrader, Otter]
    smallest, *larger = [4] if quick else [20, 200, 500]
    rows = _one_command(graders, 1 if quick else 5)
    rows.append(_one_process(2 if quick else 40))
    rows += [_batch(grader, smallest) for grader in graders]
    rows += [_batch(AttentionCourse, size) for size in larger]
    return _compared(rows)


def _one_command(graders, repeats):
    """A row for each grader; they take turns, with another student's notebook each."""
    with ExitStack() as stack:
        ready = [grader(_folder(stack)) for grader in graders]
        numbers = range(repeats + 1)  # one more, which is not timed
        for grader in ready:
            grader.hand_in(numbers)
        students = [iter(numbers) for _ in ready]
        calls = [
            lambda grader=grader, student=student: grader.grade_one(next(student))
            for grader, student in zip(ready, students, strict=True)
        ]
        times = seconds(repeats, *calls, clock=time.perf_counter)
        for grader, student in zip(ready, students, strict=True):
            _check(grader.points(), set(numbers) - set(student))
    return [
        _row(grader, ONE, 1, taken)
        for grader, taken in zip(graders, times, strict=True)
    ]


def _one_process(n):
    """Our row for `n` notebooks in a process that has graded one."""
    with ExitStack() as stack:
        folder = _folder(stack)
        (folder / "submitted").mkdir()
        for number in range(n + 1):
            file = folder / "submitted" / f"{number:03}.ipynb"
            file.write_text(handed_in(number))
        mib = run([sys.executable, "-c", TIMED], folder)
        graded = json.loads((folder / "graded.json").read_text())
    times, points = zip(*graded, strict=True)
    _check(dict(enumerate(points)), range(n + 1))
    return _row(AttentionCourse, WARM, n, sum(times[1:]) / n, mib)


def _batch(grader, n):
    """The row of a grader for a folder of `n` notebooks."""
    with ExitStack() as stack:
        ready = grader(_folder(stack))
        ready.hand_in(range(n))
        start = time.perf_counter()
        mib = ready.grade_all()
        taken = time.perf_counter() - start
        _check(ready.points(), range(n))
    return _row(grader, BATCH, n, taken / n, mib)


def _folder(stack):
    """An empty folder that lasts as long as the ExitStack."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


def _check(points, numbers):
    """See that exactly these students were graded, and got what they deserve."""
    expected = {number: deserved(number) for number in numbers}
    if points != expected:
        raise Failed(f"graded {points}, but deserved were {expected}")


def _row(grader, way, n, taken, mib=None):
    return {
        "grader": grader.name,
        "way": way,
        "n": n,
        "seconds": taken,
        "per_minute": 60 / taken,
        "ratio": None,
        "mib": mib,
        "promised": PROMISED.get((way, n)) if grader is AttentionCourse else None,
    }


def _compared(rows):
    """The rows, each with its ratio to the quicker peer that did the same."""
    for row in rows:
        peers = [
            other["seconds"]
            for other in rows
            if other["grader"] != AttentionCourse.name
            and (other["way"], other["n"]) == (row["way"], row["n"])
        ]
        if peers:
            row["ratio"] = row["seconds"] / min(peers)
    return rows
