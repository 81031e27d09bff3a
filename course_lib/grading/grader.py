"""Grade a notebook: the trusted side, which holds seeds, right answers and points.

Student code runs in a worker process and only plain numeric arrays come back. A report
is a dictionary of schema 1:

    {"schema": 1, "submission_sha256", "sandbox", "of_record", "points", "possible",
     "questions": [{"id", "points", "possible", "status", "message"}]}

status is "passed", "wrong", "unanswered", "error" (the function raised an exception),
"stopped" (a call hung or ended its process) or "unreadable" (the file is no notebook).
"""

import re
import secrets
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_lib.grading import notebook as notebooks
from course_lib.grading.comparing import PASSED, UNANSWERED, Verdict, judge
from course_lib.grading.process import Stopped
from course_lib.grading.questions import all_questions
from course_lib.grading.sandbox import choose
from course_lib.grading.submission import Submission

STOPPED, UNREADABLE = "stopped", "unreadable"


@dataclass(frozen=True)
class Limits:
    """Wall time in seconds for one cell, one call, and all of a notebook."""

    cell: float = 60
    call: float = 10
    notebook: float = 600


DEFAULT_LIMITS = Limits()


def grade(path, seed=None, limits=DEFAULT_LIMITS):
    """Grade one file.

    Args:
        path: of the notebook
        seed: int that decides all inputs; keep it secret. None = a fresh one.
        limits: Limits

    Returns:
        report, see above, and a sentence if the file could not be read, else None.
    """
    seed = secrets.randbits(64) if seed is None else seed
    sandbox = choose()
    content = b""
    try:
        content = notebooks.read_bytes(path)
        notebook = notebooks.parse(path, content)
    except notebooks.Unreadable as problem:
        questions, trouble = _by_file_name(path), str(problem)
        verdicts = [Verdict(UNREADABLE, f"{trouble}.") for _ in questions]
    else:
        questions, trouble = questions_of(notebook, path), None
        with closing(Submission(notebook, sandbox, limits)) as submission:
            verdicts = [_grade_question(q, submission, seed) for q in questions]
    return _report(content, sandbox, questions, verdicts), trouble


def questions_of(notebook, path):
    """The questions of the chapters that a notebook belongs to.

    They are those that its metadata names; else the chapter most of whose functions it
    defines; else the one that the file name begins with. All of a chapter's questions
    count, with their own points, whatever the notebook says.
    """
    known = all_questions()
    chapters = {
        question.chapter
        for question in known
        for suffix in ("", "-answer", "-text")
        if question.grade_id + suffix in notebook.grade_ids
    }
    if not chapters:
        defined = [q for q in known if notebook.cell_defining(q.function) is not None]
        found = [question.chapter for question in defined]
        chapters = {max(found, key=found.count)} if found else set()
    return [q for q in known if q.chapter in chapters] or _by_file_name(path)


def _by_file_name(path):
    number = re.match(r"(\d{2})_", Path(path).name)
    return all_questions(int(number[1])) if number else []


def _grade_question(question, submission, seed):
    """The first verdict that is not "passed", over all cases, hidden ones too."""
    numbers = [int(part) for part in question.id.split(".")]
    for position, case in enumerate(question.cases):
        inputs = case.inputs(np.random.default_rng([seed, *numbers, position]))
        try:
            outcome = submission.call(question, inputs)
        except Stopped as stop:
            return Verdict(STOPPED, f"`{question.function}` {stop}.")
        if "missing" in outcome:
            return Verdict(UNANSWERED, submission.why_missing(question))
        verdict = judge(question, inputs, outcome)
        if verdict.status != PASSED:
            return verdict
    return Verdict(PASSED)


def _report(content, sandbox, questions, verdicts):
    rows = [
        {
            "id": question.id,
            "points": question.points if verdict.status == PASSED else 0,
            "possible": question.points,
            "status": verdict.status,
            "message": verdict.message,
        }
        for question, verdict in zip(questions, verdicts, strict=True)
    ]
    return {
        "schema": 1,
        "submission_sha256": notebooks.sha256(content),
        "sandbox": sandbox.name,
        "of_record": sandbox.of_record,
        "points": sum(row["points"] for row in rows),
        "possible": sum(row["possible"] for row in rows),
        "questions": rows,
    }
