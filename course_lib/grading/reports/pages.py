"""Feedback for each student and an overview of the class, as pages without a script.

A page needs nothing but itself. All text is escaped, and a Content-Security-Policy
forbids scripts in case something slips through. A student's page is named by a hash of
the report's signature: nobody without the report or the seed can guess it, so a folder
of pages may be published where folders cannot be listed.
"""

import hashlib
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from course_lib.grading.questions import all_questions
from course_lib.grading.reports.files import write_whole
from course_lib.grading.reports.summary import NO_QUESTIONS, WORDS, summarise
from course_lib.plotting import palette

OVERVIEW, STUDENTS = "overview.html", "students"
MARKS = dict.fromkeys(WORDS, "✗") | {"passed": "✓", "unanswered": "–"}
POLICIES = {
    "broken": "This question asks you to write it yourself.",
    "not decidable": "Your instructor may look at this by hand.",
}
MOST_BARS = 21  # beyond that, not every bar of a histogram has its number below it


def page_name(report):
    """The file name of a student's page."""
    secret = f"page of {report['signature']}".encode()
    return f"{hashlib.sha256(secret).hexdigest()[:32]}.html"


def feedback_page(report):
    """One student's page, HTML.

    Args:
        report: dict, see report.schema.json
    """
    return _template("feedback.html").render(report=report)


def write_site(reports, folder):
    """Write all pages: `overview.html`, and below `students` one for each report.

    Args:
        reports: iterable of reports, each looked at once
        folder: Path; made if it is not there. Pages that are there are replaced.

    Returns:
        number of students' pages.

    Raises:
        OSError
    """
    entries = []

    def written():
        for report in reports:
            page = page_name(report)
            write_whole(folder / STUDENTS / page, feedback_page(report))
            shown = ("student", "file", "points", "possible", "of_record")
            entries.append({key: report[key] for key in shown} | {"page": page})
            yield report

    (folder / STUDENTS).mkdir(parents=True, exist_ok=True)
    summary = summarise(written())
    overview = _template(OVERVIEW).render(summary=summary, entries=entries)
    write_whole(folder / OVERVIEW, overview)
    return len(entries)


def bars(total, width=360, floor=140):
    """Where the bars of a histogram stand.

    Args:
        total: an entry of a summary's "totals"
        width, floor: of the plot, and where the axis lies in it

    Returns:
        dict with a list of bars, in the plot's units.
    """
    counts = {each["points"]: each["count"] for each in total["points"]}
    highest, n_bars = max(counts.values()), max(total["possible"], *counts) + 1
    slot, every = width / n_bars, -(-n_bars // MOST_BARS)
    made = []
    for points in range(n_bars):
        height = round((floor - 20) * counts.get(points, 0) / highest, 1)
        made.append({
            "x": round(slot * (points + 0.1), 1), "width": round(slot * 0.8, 1),
            "middle": round(slot * (points + 0.5), 1),
            "y": round(floor - height, 1), "height": height,
            "count": counts.get(points, 0) if n_bars <= MOST_BARS else 0,
            "label": "" if points % every else str(points),
        })  # fmt: skip
    most = max(counts, key=lambda points: (counts[points], points))
    size = {"width": width, "height": floor + 20, "floor": floor}
    return {"bars": made, "most": most, **size}


def prose(text):
    """Escaped text in which `code` is set as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backquote without its partner
        return escape(text)
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


@cache
def _environment():
    environment = Environment(
        loader=PackageLoader("course_lib.grading.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "bars": bars}
    titles = {question.id: question.title for question in all_questions()}
    environment.globals |= {
        "words": WORDS,
        "marks": MARKS,
        "policies": POLICIES,
        "no_questions": NO_QUESTIONS,
        "titles": titles,
        "light": palette.LIGHT,
        "dark": palette.DARK,
    }
    return environment


def _template(name):
    return _environment().get_template(name)
