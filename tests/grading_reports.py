"""Reports for the tests of what is made of them: honest ones, and a hostile class."""

import hashlib

from course_lib.grading.questions import all_questions
from course_lib.grading.signing import seed_id, sign

SEED = 2**127 + 11
HOSTILE = [
    "<script>alert(1)</script>",
    '=cmd|"/c calc"!A0',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    'a,"b";c',
    "| *bold* | `code` [link](https://x.invalid) <b> @everyone #1",
    "\u202eevil\u202c",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "\N{GREEK SMALL LETTER ALPHA}\N{COMBINING ACUTE ACCENT} \u5b66",
    "x" * 200,
    "--output=/etc/passwd",
    "]]>&amp;",
]


def row(id="2.1", status="passed", **changes):
    """One question of a report."""
    points = {question.id: question.points for question in all_questions()}[id]
    made = {
        "id": id,
        "points": points if status == "passed" else 0,
        "possible": points,
        "status": status,
        "message": "" if status == "passed" else "`weights` is 0.25 at [0, 3].",
        "property": "rows sum to 1" if status == "wrong" else "",
        "policy": "broken" if status == "refused" else "kept",
        "policy_message": "",
    }
    return made | changes


def report(*rows, student="Ana", student_id="", file=None, seed=SEED, **changes):
    """A signed report; without rows, of a notebook with 2.1 right and 2.2 wrong."""
    rows = list(rows) or [row(), row("2.2", "wrong")]
    file = f"{student}/02.ipynb" if file is None else file
    made = {
        "schema": 1,
        "submission_sha256": hashlib.sha256(file.encode()).hexdigest(),
        "sandbox": "bubblewrap",
        "of_record": True,
        "points": sum(row["points"] for row in rows),
        "possible": sum(row["possible"] for row in rows),
        "questions": rows,
        "student": student,
        "student_id": student_id,
        "file": file,
        "trouble": "",
        "grader": "0.1.0",
        "seed_id": seed_id(seed),
    }
    return sign(made | changes, seed)


def hostile_class():
    """A report for each hostile text, which is everywhere where students' texts go."""
    statuses = ["wrong", "error", "stopped", "refused", "unreadable", "passed"]
    for number, text in enumerate(HOSTILE):
        changes = {"message": text, "property": text, "policy_message": text}
        status = statuses[number % len(statuses)]
        policy = {"policy": "broken" if status == "refused" else "not decidable"}
        rows = [row("2.1", status, **changes, **policy), row("2.2")]
        yield report(*rows, student=text, student_id=text, file=f"{text}/a.ipynb")
