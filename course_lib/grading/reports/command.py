"""`attention-course verify` and `attention-course export ...`."""

import sys
from pathlib import Path

import click

A_PATH = click.Path(path_type=Path)


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
                click.echo(f"WRONG: {name}: {wrong}." if wrong else f"right: {name}")
        except (NoSeed, NotAReport) as problem:
            wrong_ones += 1
            click.echo(f"Error: {problem}.", err=True)
    sys.exit(1 if wrong_ones else 0)
