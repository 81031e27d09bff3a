"""A report as Gradescope's results.json.

The fields are those of Gradescope's documentation, "Autograder Specifications", section
"Output format".
"""

from course_lib.grading.questions import all_questions
from course_lib.grading.reports.summary import WORDS

VISIBILITY = ("visible", "hidden", "after_due_date", "after_published")
NOT_OF_RECORD = (
    "This is no score of record: the code ran without a sandbox that it could count on."
)


def results(report, chapter=None, visibility="visible", seconds=None):
    """What Gradescope shows for one report.

    Args:
        report: dict, see report.schema.json
        chapter: int; only its questions count, and each of them does. None = those of
            the report.
        visibility: when students see the questions, one of VISIBILITY
        seconds: how long the grading took. None = unknown.

    Returns:
        dict, the content of results.json.
    """
    rows = report["questions"] if chapter is None else _of_chapter(report, chapter)
    titles = {question.id: question.title for question in all_questions()}
    made = {
        "score": sum(row["points"] for row in rows),
        "output": "\n".join(_about(report)),
        "output_format": "text",
        "visibility": visibility,
        "stdout_visibility": "hidden",
        "tests": [_test(row, titles.get(row["id"], ""), visibility) for row in rows],
        "extra_data": {"report": report},
    }
    return made if seconds is None else made | {"execution_time": round(seconds, 1)}


def _of_chapter(report, chapter):
    """Every question of a chapter, answered or not, and no other."""
    found = {row["id"]: row for row in report["questions"]}
    message = report["trouble"] or f"The notebook is not that of chapter {chapter}."
    missing = {
        "points": 0,
        "status": "unanswered",
        "message": f"{message.removesuffix('.')}.",
        "property": "",
        "policy": "not checked",
        "policy_message": "",
    }
    return [
        found.get(question.id)
        or missing | {"id": question.id, "possible": question.points}
        for question in all_questions(chapter)
    ]


def _about(report):
    """Sentences on the whole of it."""
    if report["file"]:
        yield f"Graded: {report['file']}"
    if report["trouble"]:
        yield f"{report['trouble']}."
    if not report["of_record"]:
        yield NOT_OF_RECORD


def _test(row, title, visibility):
    said = [f"{WORDS[row['status']].capitalize()}."]
    if row["property"]:
        said.append(f"What was tried: {row['property']}.")
    said.append(row["message"])
    if row["policy"] == "not decidable":
        said.append(f"To look at by hand: {row['policy_message']}")
    return {
        "score": row["points"],
        "max_score": row["possible"],
        "status": "passed" if row["status"] == "passed" else "failed",
        "name": title or row["id"],
        "name_format": "text",
        "number": row["id"],
        "output": "\n".join(filter(None, said)),
        "output_format": "text",
        "tags": [row["status"], f"policy {row['policy']}"],
        "visibility": visibility,
    }
