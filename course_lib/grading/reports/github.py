"""Reports as the summary of a GitHub Actions job, and a workflow that makes one.

GitHub's documentation, "Workflow commands", section "Adding a job summary": Markdown of
at most 1 MiB for each step.
"""

from importlib import metadata, resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from course_lib.grading.questions import all_questions
from course_lib.grading.reports.summary import WORDS, summarise

MOST_LINES = 200  # notebooks that get a line each
MAX_TEXT = 200  # characters of one text, at most 10 bytes each
KEPT = set(" ,")
NO_ADDRESS = "https://github.com/OWNER/REPO"


def job_summary(reports):
    """Markdown on one notebook, or on many.

    Args:
        reports: iterable of reports, each looked at once

    Returns:
        str, less than 1 MiB whatever the reports say.
    """
    first = []

    def seen():
        for report in reports:
            if len(first) < MOST_LINES:
                first.append(report)
            yield report

    summary = summarise(seen())
    return _template().render(reports=first, summary=summary)


def workflow():
    """A workflow, YAML, that installs this course from where its repository lies."""
    text = (resources.files(__package__) / "classroom.yml").read_text(encoding="utf-8")
    return text.replace("REPOSITORY", _address())


def below(reports, percent):
    """Files of the reports with less than this share of their points."""
    return [
        report["file"]
        for report in reports
        if report["points"] * 100 < percent * report["possible"]
    ]


def in_markdown(value):
    """Text that Markdown shows as it is, on one line: no link, no name, no markup.

    What could mean something to GitHub becomes a numeric entity, which means nothing.
    """
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, Markup):  # ours
        return value
    return _entities(value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]} ...")


def prose(text):
    """The same, with `code` in backquotes set as code."""
    parts = text[:MAX_TEXT].split("`")
    if len(parts) % 2 == 0:
        return Markup(_entities("`".join(parts)))
    return Markup(
        "".join(
            f"<code>{_entities(part)}</code>" if number % 2 else _entities(part)
            for number, part in enumerate(parts)
        )
    )


def _entities(text):
    return "".join(
        c if c.isalnum() or c in KEPT else f"&#{ord(c)};" if c.isprintable() else " "
        for c in text
    )


def _address():
    urls = metadata.metadata("attention-course").get_all("Project-URL") or []
    named = dict(url.split(", ", 1) for url in urls)
    return named.get("Repository", NO_ADDRESS)


def _template():
    environment = Environment(
        loader=PackageLoader("course_lib.grading.reports"),
        autoescape=False,  # Markdown: `finalize` sees to it
        finalize=in_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    titles = {question.id: question.title for question in all_questions()}
    environment.globals |= {"words": WORDS, "titles": titles}
    return environment.get_template("summary.md")
