"""`attention-course verify` and `attention-course export ...`."""

import sys
from pathlib import Path

import click

from course_lib.grading.reports.gradescope_command import gradescope
from course_lib.grading.reports.output import in_one_sentence, printable, put

A_PATH = click.Path(path_type=Path)
A_FILE = click.Path(path_type=Path, dir_okay=False)
A_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("reports", nargs=-1, required=True, type=A_PATH)
@click.option(
    "--seed-file",
    metavar="PATH",
    type=A_PATH,
    help="The secret seed.  [default: secret-seed in the results folder]",
)
def verify(reports, seed_file):
    """Tell whether REPORTS are what the grader wrote: files, or results folders.

    Ends with 0 only if all are right.
    """
    from course_lib.grading.reports.files import NoSeed, NotAReport
    from course_lib.grading.reports.verifying import verdicts

    wrong_ones = 0
    for path in reports:
        try:
            for name, wrong in verdicts(path, seed_file):
                wrong_ones += wrong is not None
                line = f"WRONG: {name}: {wrong}." if wrong else f"right: {name}"
                click.echo(printable(line))
        except (NoSeed, NotAReport) as problem:
            wrong_ones += 1
            click.echo(f"Error: {problem}.", err=True)
    sys.exit(1 if wrong_ones else 0)


@click.group()
def export():
    """Give reports another form: tables, pages, what other platforms read.

    REPORTS are files that `grade` wrote, or its results folder.
    """


export.add_command(gradescope)


@export.command()
@click.argument("name", type=click.Choice(["report", "summary"]))
def schema(name):
    """Print the JSON Schema of a report, or of a batch's summary."""
    from course_lib.grading.reports.schema import schema_text

    click.echo(schema_text(name), nl=False)


@export.command("csv")
@click.argument("reports", nargs=-1, required=True, type=A_PATH)
@click.option(
    "--for",
    "platform",
    type=click.Choice(["plain", "canvas", "moodle"]),
    default="plain",
    show_default=True,
    help="Whose gradebook is to read it.",
)
@click.option(
    "--roster",
    metavar="CSV",
    type=A_FILE,
    help="Canvas's gradebook or Moodle's grading worksheet, as downloaded: its rows "
    "are kept, and the scores filled in.",
)
@click.option("--assignment", metavar="NAME", help="The assignment's name in Canvas.")
@click.option("--output", "-o", metavar="PATH", type=A_FILE, help="[default: print]")
def to_csv(reports, platform, roster, assignment, output):
    """A table of scores: students by questions, or one score for a gradebook."""
    from course_lib.grading.reports import gradebooks
    from course_lib.grading.reports.cells import to_csv
    from course_lib.grading.reports.files import read_reports
    from course_lib.grading.reports.roster import read_roster

    if roster and platform == "plain":
        raise click.UsageError("--roster needs --for canvas or --for moodle")
    if assignment and platform != "canvas":
        raise click.UsageError("--assignment needs --for canvas")
    with in_one_sentence():
        needed = {
            "canvas": gradebooks.CANVAS_NEEDED,
            "moodle": gradebooks.MOODLE_NEEDED,
        }
        known = read_roster(roster, needed[platform]) if roster else None
        found = read_reports(reports)
        if platform == "canvas":
            rows, notes = gradebooks.canvas(found, known, assignment)
        elif platform == "moodle":
            rows, notes = gradebooks.moodle(found, known)
        else:
            rows, notes = gradebooks.plain(found)
        put(to_csv(rows), output)
    for note in notes:
        click.echo(f"Note: {printable(note)}", err=True)


@export.command()
@click.argument("reports", nargs=-1, required=True, type=A_PATH)
@click.option("--output", "-o", metavar="FOLDER", type=A_FOLDER, required=True)
def html(reports, output):
    """Pages: feedback for each student, and overview.html of the class.

    The address of a student's page cannot be guessed: the folder students may be
    published without the overview, if your server lists no folders.
    """
    from course_lib.grading.reports.files import read_reports
    from course_lib.grading.reports.pages import OVERVIEW, write_site

    with in_one_sentence():
        n_pages = write_site(read_reports(reports), output)
    unit = "page" if n_pages == 1 else "pages"
    click.echo(f"{n_pages} {unit} of feedback, and {output / OVERVIEW}.")


@export.command()
@click.argument("reports", nargs=-1, type=A_PATH)
@click.option("--workflow", is_flag=True, help="Print a workflow that grades a push.")
@click.option(
    "--fail-below",
    metavar="PERCENT",
    type=click.FloatRange(0, 100),
    default=0,
    help="End with 1 if a notebook has fewer of its points.",
)
def github(reports, workflow, fail_below):
    """Print the summary of a GitHub Actions job, Markdown.

    attention-course export github RESULTS >> $GITHUB_STEP_SUMMARY
    """
    from course_lib.grading.reports import github
    from course_lib.grading.reports.files import read_reports

    if workflow == bool(reports):
        raise click.UsageError("give REPORTS, or --workflow")
    if workflow:
        put(github.workflow(), None)
        return
    with in_one_sentence():
        put(github.job_summary(read_reports(reports)), None)
        low = github.below(read_reports(reports), fail_below)
    for file in low:
        click.echo(f"Fewer than {fail_below:g} %: {printable(file)}", err=True)
    sys.exit(1 if low else 0)
