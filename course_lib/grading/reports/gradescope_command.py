"""`attention-course export gradescope`."""

import json
from itertools import islice
from pathlib import Path

import click

from course_lib.grading.reports.output import in_one_sentence, put

A_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option(
    "--results", "report", metavar="REPORT", type=A_FILE, help="A report of `grade`."
)
@click.option("--zip", "archive", metavar="PATH", type=A_FILE, help="Write it here.")
@click.option(
    "--chapter", type=click.IntRange(min=1), help="Whose exercises it grades."
)
@click.option(
    "--visibility",
    type=click.Choice(["visible", "hidden", "after_due_date", "after_published"]),
    default="visible",
    show_default=True,
    help="When students see the questions.",
)
@click.option(
    "--allow-unsandboxed",
    is_flag=True,
    help="Let scores count though Gradescope's container allows no real sandbox.",
)
@click.option(
    "--seed-file",
    metavar="PATH",
    type=A_FILE,
    help="The secret seed for the zip.  [default: a new one]",
)
@click.option("--output", "-o", metavar="PATH", type=A_FILE, help="[default: print]")
def gradescope(
    report, archive, chapter, visibility, allow_unsandboxed, seed_file, output
):
    """results.json from one report, or the zip of an autograder.

    \b
    attention-course export gradescope --results REPORT.json -o results.json
    attention-course export gradescope --zip autograder.zip --chapter 2
    """
    if bool(report) == bool(archive):
        raise click.UsageError("give --results REPORT, or --zip PATH and --chapter N")
    if archive:
        if not chapter or output:
            raise click.UsageError("--zip PATH needs --chapter N, and no --output")
        _write_autograder(archive, chapter, visibility, allow_unsandboxed, seed_file)
        return
    if allow_unsandboxed or seed_file:
        raise click.UsageError("--allow-unsandboxed and --seed-file are for --zip")
    from course_lib.grading.reports.files import NotAReport, read_reports
    from course_lib.grading.reports.gradescope import results

    with in_one_sentence():
        found = list(islice(read_reports([report]), 2))
        if len(found) != 1:
            raise NotAReport(f"{report} should be one report, but it is a list")
        put(json.dumps(results(found[0], chapter, visibility), indent=2) + "\n", output)


def _write_autograder(path, chapter, visibility, allow_unsandboxed, seed_file):
    from course_lib.grading.grader import new_seed
    from course_lib.grading.questions import all_questions
    from course_lib.grading.reports.autograder import autograder_zip
    from course_lib.grading.reports.files import read_seed

    points = sum(question.points for question in all_questions(chapter))
    if not points:
        raise click.ClickException(f"chapter {chapter} has no exercises.")
    with in_one_sentence():
        seed = read_seed(seed_file) if seed_file else new_seed()
        content = autograder_zip(chapter, seed, allow_unsandboxed, visibility)
        put(content, path, 0o600)
    click.echo(
        f"{path} grades chapter {chapter}, {points} points. It holds your secret seed: "
        "show it to nobody but Gradescope. README.md in it says how to go on."
    )
