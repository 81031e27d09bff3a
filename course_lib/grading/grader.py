"""Grade a notebook: the trusted side, which holds seeds, right answers and points.

Student code runs in a worker process and only plain numeric arrays come back. A report
is a dictionary of schema 1 (`reports/report.schema.json` says it in full):

    {"schema": 1, "submission_sha256", "sandbox", "of_record", "points", "possible",
     "questions": [{"id", "points", "possible", "status", "message",
                    "property", "policy", "policy_message"}],
     "student", "student_id", "file", "trouble", "grader", "seed_id", "signature"}

status is "passed", "wrong", "unanswered", "error" (the function raised an exception),
"stopped" (a call hung or ended its process), "refused" (a library call that would be
the answer) or "unreadable" (the file is no notebook, and "trouble" says why). The same
seed, the same student and the same file give the same report, byte for byte.
"""

import hashlib
import re
import secrets
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from course_lib.grading import notebook as notebooks
from course_lib.grading import signing, workers
from course_lib.grading.channel import Stopped
from course_lib.grading.comparing import PASSED, UNANSWERED, Verdict, judge
from course_lib.grading.hand_in import HandIn
from course_lib.grading.magics import without_magics
from course_lib.grading.policy import BROKEN, Finding, judge_policy
from course_lib.grading.process import Limits
from course_lib.grading.questions import all_questions
from course_lib.grading.submission import Submission

STOPPED, UNREADABLE, REFUSED = "stopped", "unreadable", "refused"
NOT_CHECKED = Finding("not checked", "")
SEED_BITS = 128
DEFAULT_LIMITS = Limits()
# What decides a verdict: another version of it is another grader.
DECIDES = ("grading/*.py", "grading/questions/*.py", "grading/explanations/*.py")
DECIDES += ("grading/policy/*.py", "in_numpy/*.py", "shapes/*.py")


@dataclass(frozen=True)
class Options:
    """What holds for all notebooks of a batch.

    Attributes:
        seed: int that decides all inputs; keep it secret
        limits: Limits
        allow_unsandboxed: let scores count where there is no sandbox
    """

    seed: int = field(repr=False)  # Dask logs what fails, with its arguments
    limits: Limits = DEFAULT_LIMITS
    allow_unsandboxed: bool = False


@dataclass(frozen=True)
class Graded:
    """What came of one question.

    Attributes:
        question: Question
        verdict: Verdict
        property: that of the case which did not pass, "" if there is none
        finding: Finding on the policy
    """

    question: object
    verdict: Verdict
    property: str = ""
    finding: Finding = NOT_CHECKED


@cache
def grader_version():
    """The package's version, and a digest of all that decides a verdict."""
    digest, library = hashlib.sha256(), Path(__file__).parents[1]
    for pattern in DECIDES:
        for path in sorted(library.glob(pattern)):
            digest.update(path.read_bytes())
    return f"{version('attention-course')}+{digest.hexdigest()[:8]}"


def new_seed():
    """A fresh secret seed."""
    return secrets.randbits(SEED_BITS)


def grade(path, seed=None, limits=DEFAULT_LIMITS):
    """Grade one file.

    Args:
        path: of the notebook
        seed: int that decides all inputs; keep it secret. None = a fresh one.
        limits: Limits

    Returns:
        report, see above, and a sentence if the file could not be read, else None.
    """
    path = Path(path)
    options = Options(new_seed() if seed is None else seed, limits)
    handed_in = HandIn(path.stem, "", path.name, path, None)
    try:
        content = handed_in.read()
    except notebooks.Unreadable as problem:
        content = str(problem)
    report = grade_content(handed_in, content, options, spare=False)
    return report, report["trouble"] or None


def grade_content(handed_in, content, options, spare=True):
    """Grade what was handed in. Arguments and result can be sent to another process.

    Args:
        handed_in: HandIn
        content: its bytes, or a sentence on why it could not be read
        options: Options
        spare: whether to start the worker of a next notebook meanwhile

    Returns:
        report, see above.
    """
    sandbox = workers.choose(options.limits)
    trouble = ""
    try:
        if isinstance(content, str):
            content, reason = b"", content
            raise notebooks.Unreadable(reason)
        notebook = notebooks.parse(handed_in.file, content)
    except notebooks.Unreadable as problem:
        trouble, verdict = str(problem), Verdict(UNREADABLE, f"{problem}.")
        results = [Graded(q, verdict) for q in _by_file_name(handed_in.file)]
    else:
        seed = signing.input_seed(options.seed, handed_in.student, handed_in.student_id)
        with closing(Submission(notebook, sandbox, options.limits, spare)) as student:
            cells = tuple(map(without_magics, notebook.cells))
            results = [
                _grade_question(question, cells, student, seed)
                for question in questions_of(notebook, handed_in.file)
            ]
    report = _report(handed_in, content, sandbox, options, results, trouble)
    return signing.sign(report, options.seed)


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


def _grade_question(question, cells, submission, seed):
    """The first verdict that is not "passed", over all cases, hidden ones too."""
    try:
        finding = judge_policy(question, cells, submission.unfinished())
    except Stopped as stop:
        return Graded(question, Verdict(STOPPED, f"`{question.function}` {stop}."))
    if finding.verdict == BROKEN:
        return Graded(question, Verdict(REFUSED, finding.message), "", finding)
    numbers = [int(part) for part in question.id.split(".")]
    for position, case in enumerate(question.cases):
        inputs = case.inputs(np.random.default_rng([seed, *numbers, position]))
        try:
            outcome = submission.call(question, inputs)
        except Stopped as stop:
            verdict = Verdict(STOPPED, f"`{question.function}` {stop}.")
            return Graded(question, verdict, case.property, finding)
        if "missing" in outcome:
            verdict = Verdict(UNANSWERED, submission.why_missing(question))
            return Graded(question, verdict, "", finding)
        verdict = judge(question, inputs, outcome)
        if verdict.status != PASSED:
            tried = "" if verdict.status == UNANSWERED else case.property
            return Graded(question, verdict, tried, finding)
    return Graded(question, Verdict(PASSED), "", finding)


def _report(handed_in, content, sandbox, options, results, trouble):
    rows = [
        {
            "id": result.question.id,
            "points": result.question.points if result.verdict.status == PASSED else 0,
            "possible": result.question.points,
            "status": result.verdict.status,
            "message": result.verdict.message,
            "property": result.property,
            "policy": result.finding.verdict,
            "policy_message": result.finding.message,
        }
        for result in results
    ]
    return {
        "schema": 1,
        "submission_sha256": notebooks.sha256(content),
        "sandbox": sandbox.name,
        "of_record": sandbox.of_record or options.allow_unsandboxed,
        "points": sum(row["points"] for row in rows),
        "possible": sum(row["possible"] for row in rows),
        "questions": rows,
        "student": handed_in.student,
        "student_id": handed_in.student_id,
        "file": handed_in.file,
        "trouble": trouble,
        "grader": grader_version(),
        "seed_id": signing.seed_id(options.seed),
    }
