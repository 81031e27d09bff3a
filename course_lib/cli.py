"""`attention-course`: the course's command line."""

import json
import os
import sys
from pathlib import Path

import click

from course_lib.grading.reports.command import export, verify
from course_lib.pretrained.command import complete
from course_lib.training.command import train


@click.group()
def main():
    """The attention course on the command line."""


main.add_command(train)
main.add_command(complete)
main.add_command(verify)
main.add_command(export)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--json",
    "json_path",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report here: an object for one FILE, a list for several.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Decides the inputs, so that a result can be repeated. Fresh if left out.",
)
def grade(files, json_path, seed):
    """Grade exercise notebooks, with inputs that the student has not seen.

    Ends with 0 if every FILE was graded, whatever its points, and with 1 if not.
    """
    if os.name != "posix":
        raise click.ClickException("grade needs Linux or macOS (WSL on Windows)")
    from course_lib.grading.grader import grade as grade_file
    from course_lib.grading.process import NoWorker

    reports, failed = [], 0
    for path in files:
        try:
            report, trouble = grade_file(path, seed)
        except NoWorker as problem:
            raise click.ClickException(f"{problem}") from None
        if report["questions"]:
            _print(path, report)
        reports.append(report)
        if trouble:
            failed = 1
            click.echo(f"Error: {trouble}.", err=True)
    if json_path:
        _write(json_path, reports[0] if len(files) == 1 else reports)
    sys.exit(failed)


def _print(path, report):
    """One table for one report."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    total = f"{report['points']} of {report['possible']} points"
    console.print(Text(f"{path}: {total}"), soft_wrap=True)
    table = Table()
    table.add_column("Question")
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Status")
    table.add_column("Message")
    for row in report["questions"]:
        points = f"{row['points']} of {row['possible']}"
        # Text, not markup: messages quote what students wrote.
        cells = (row["id"], points, row["status"], row["message"])
        table.add_row(*map(Text, cells))
    console.print(table)
    if not report["of_record"]:
        console.print(f"Sandbox: {report['sandbox']}. This is no score of record.")


def _write(path, content):
    try:
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None


if __name__ == "__main__":
    main()
