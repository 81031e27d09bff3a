"""Scores for the gradebooks of Canvas and Moodle, and a plain table.

Each function gives the rows of a CSV file and sentences on what does not fit.
"""

import re

from course_lib.grading.reports.roster import match
from course_lib.grading.reports.students import by_student, listing
from course_lib.grading.reports.summary import question_order

# Canvas: its guide "How do I import grades in the Gradebook?", and what its importer
# asks of the header: names and ids first, in this order, "Section" last of them.
CANVAS_WHO = (
    "Student", "LastName", "FirstName", "ID", "SIS User ID", "SIS Login ID",
    "Integration ID", "Root Account", "Section",
)  # fmt: skip
CANVAS_IDS = ("ID", "SIS User ID", "SIS Login ID", "Integration ID")
CANVAS_NEEDED = [{"ID"}, {"Section"}, {"Student", "LastName"}]
CANVAS_PLAIN = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
POSSIBLE = "Points Possible"

# Moodle: the documentation's "Offline grading worksheet". Its importer looks for the
# identifier, the grade and when the grade was last changed. Columns of feedback are
# left out, for an upload would change them.
GRADE, IDENTIFIER, GRADED = "Grade", "Identifier", "Last modified (grade)"
PARTICIPANT = "Participant "
MOODLE_NEEDED = [{IDENTIFIER}, {GRADE}, {GRADED}]
MOODLE_KEPT = (
    IDENTIFIER, "ID number", "Full name", "Email address", "Status", GRADE,
    "Maximum Grade", "Maximum grade", "Grade can be changed", GRADED,
)  # fmt: skip


def plain(reports):
    """One row a report, one column a question.

    Args:
        reports: iterable of reports

    Returns:
        rows, the first of them the header; and no sentences.
    """
    reports = list(reports)
    found = {row["id"] for report in reports for row in report["questions"]}
    ids = sorted(found, key=question_order)
    rows = [["student", "id", "file", *ids, "total", "possible", "of_record"]]
    for report in reports:
        points = {row["id"]: row["points"] for row in report["questions"]}
        rows.append([
            report["student"], report["student_id"], report["file"],
            *(points.get(id, "") for id in ids), report["points"], report["possible"],
            "yes" if report["of_record"] else "no",
        ])  # fmt: skip
    return rows, []


def canvas(reports, roster=None, assignment=None):
    """One assignment of a Canvas gradebook.

    Args:
        reports: iterable of reports
        roster: Roster of Canvas's own export: who is there, and in which order. Scores
            that it has stay, where there is no report. None = the reports tell.
        assignment: its name in Canvas. None = that of the chapter.

    Returns:
        rows, the first of them the header; and sentences.
    """
    graded = by_student(reports)
    assignment = assignment or _assignment(graded)
    if roster is None:
        rows = [[*CANVAS_PLAIN, assignment]]
        rows.append([_PADDED, *[""] * 4, graded.total])
        rows += [[s.name, s.id, "", "", "", s.points] for s in graded.students]
        return rows, [*graded.notes()]
    who = [name for name in CANVAS_WHO if name in roster.header]
    column = _canvas_column(roster.header, assignment)
    people = [row for row in roster.rows if row["ID"].strip()]
    matched, notes = match(graded.students, people, CANVAS_IDS, _canvas_names)
    possible, warnings = _canvas_possible(roster, column, graded.total)
    rows = [[*who, column], [_PADDED, *[""] * (len(who) - 1), possible]]
    for number, row in enumerate(people):
        score = matched[number].points if number in matched else row.get(column, "")
        rows.append([*(row[name] for name in who), score])
    return rows, [*graded.notes(), *notes, *warnings]


_PADDED = f"    {POSSIBLE}"


def _assignment(graded):
    chapters = {id.partition(".")[0] for id in graded.possible}
    named = [f"chapter {number}" for number in sorted(chapters, key=int)]
    return ", ".join(["Attention", *named])


def _canvas_column(header, assignment):
    """The gradebook's column of an assignment; Canvas puts an id behind the name."""
    pattern = re.compile(rf"{re.escape(assignment)}(\s*\(\d+\))?")
    return next(filter(pattern.fullmatch, header), assignment)


def _canvas_names(row):
    """ "Doe, Ana" in a gradebook is Ana Doe, or "doeana" before the name of a file."""
    sortable = row.get("Student") or f"{row.get('LastName')}, {row.get('FirstName')}"
    last, _, first = sortable.partition(",")
    return [sortable, f"{first} {last}"]


def _canvas_possible(roster, column, total):
    """The possible points in Canvas, and a sentence if the reports have others."""
    for row in roster.rows:
        if POSSIBLE in next(iter(row.values())) and row.get(column):
            has = row[column].strip()
            if float_or_none(has) == total:
                return has, []
            return has, [
                f'"{column}" has {has} points in Canvas, but {total} are possible in '
                "the reports: change one of the two before you import."
            ]
    return total, []


def float_or_none(text):
    """The number in a text, or None."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return None


def moodle(reports, roster=None):
    """A grading worksheet of one Moodle assignment.

    Args:
        reports: iterable of reports
        roster: Roster of the worksheet that Moodle gives to download. Grades that it
            has stay, where there is no report. None = the reports tell.

    Returns:
        rows, the first of them the header; and sentences.
    """
    graded = by_student(reports)
    notes = [*graded.notes()]
    if roster is None:
        rows = [[IDENTIFIER, "Full name", GRADE, "Maximum Grade", GRADED]]
        unknown = [s for s in graded.students if not s.id.isdecimal()]
        for student in graded.students:
            known = student.id.isdecimal()
            identifier = f"{PARTICIPANT}{student.id}" if known else ""
            rows.append([identifier, student.name, student.points, graded.total, ""])
        if unknown:
            notes.append(
                "Without an id Moodle skips a row, so give the worksheet that Moodle "
                f"made with --roster: {listing(unknown)}."
            )
        return rows, notes
    columns = [name for name in roster.header if name in MOODLE_KEPT]
    people = [
        row | {"participant": row[IDENTIFIER].removeprefix(PARTICIPANT)}
        for row in roster.rows
        if row[IDENTIFIER].strip()
    ]
    ids = ("participant", "ID number", "Email address")
    matched, more = match(
        graded.students, people, ids, lambda row: [row.get("Full name", "")]
    )
    rows = [columns]
    for number, row in enumerate(people):
        if number in matched:
            row[GRADE] = matched[number].points
        rows.append([row[name] for name in columns])
    return rows, [*notes, *more, *_too_small(people, graded.total)]


def _too_small(people, total):
    """A sentence if Moodle would refuse the highest scores."""
    for row in people[:1]:
        largest = row.get("Maximum Grade") or row.get("Maximum grade") or ""
        value = float_or_none(largest)
        if value is not None and value != total:
            return [
                f"The assignment has {largest} points in Moodle, but {total} are "
                "possible in the reports: change its maximum grade first, for Moodle "
                "skips grades above it."
            ]
    return []
