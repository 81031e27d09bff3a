"""`attention-course grade` and `attention-course doctor`."""

import json
import os
import shlex
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

# What grades is imported where it starts, so that the command line starts at once.
A_FILE = click.Path(path_type=Path, dir_okay=False)
A_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILES|FOLDERS|ZIPS...",
    type=click.Path(path_type=Path),
)
@click.option(
    "--results",
    "folder",
    metavar="FOLDER",
    type=A_FOLDER,
    help="Write a report for each notebook here as it is graded, then a summary.",
)
@click.option("--resume", is_flag=True, help="Grade only what has no report there.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="How many notebooks at a time.  [default: one for each core]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Grade on the workers of this Dask scheduler; `local` starts one.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Decides the inputs, so that a result can be repeated; keep it secret.",
)
@click.option(
    "--seed-file",
    metavar="PATH",
    type=A_FILE,
    help="The seed, made if missing.  [default with --results: FOLDER/secret-seed]",
)
@click.option(
    "--json",
    "json_path",
    metavar="PATH",
    type=A_FILE,
    help="Write the report here too: an object for one FILE, else a list.",
)
@click.option(
    "--allow-unsandboxed",
    is_flag=True,
    help="Let scores count though no real sandbox works here.",
)
def grade(
    files,
    folder,
    resume,
    jobs,
    scheduler,
    seed,
    seed_file,
    json_path,
    allow_unsandboxed,
):
    """Grade exercise notebooks, with inputs that the students have not seen.

    Ends with 0 if every notebook was graded, whatever its points, and with 1 if not.
    """
    if os.name != "posix":
        raise click.ClickException("grade needs Linux or macOS (WSL on Windows)")
    if resume and not folder:
        raise click.UsageError("--resume needs --results.")
    if seed is not None and seed_file:
        raise click.UsageError("--seed and --seed-file exclude each other.")
    from course_lib.grading import workers
    from course_lib.grading.hand_in import find
    from course_lib.grading.lanes import lanes_for
    from course_lib.grading.process import Limits

    hand_ins = find(files)
    if len(hand_ins) == 1 and not scheduler:  # it is graded in this process
        workers.begin(Limits())
    where = partial(lanes_for, len(hand_ins), jobs, scheduler)
    with _in_one_sentence(folder):
        if folder:
            failed = _grade_into(
                folder, resume, hand_ins, where, (seed, seed_file), allow_unsandboxed
            )
            reports = _read_back(folder, hand_ins) if json_path else []
        else:
            options = _options(None, (seed, seed_file), allow_unsandboxed)
            reports = _grade_and_show(hand_ins, where, options)
            failed = any(report["trouble"] for report in reports)
        if json_path:
            _write(json_path, reports[0] if _is_one_file(files, hand_ins) else reports)
    sys.exit(int(failed))


def _grade_into(folder, resume, hand_ins, where, seeds, allow_unsandboxed):
    """Grade into a results folder; returns whether something was unreadable."""
    from course_lib.grading import results
    from course_lib.grading.batch import grade_into
    from course_lib.grading.progress import Tally

    troubles = []

    def told(report, was_there):
        tally.add(report, was_there)
        if report["trouble"]:
            troubles.append(report["trouble"])

    with results.opened(folder, resume) as there:
        options = _options(there, seeds, allow_unsandboxed)
        try:
            with Tally(len(hand_ins)) as tally, where() as lanes:
                grade_into(there, hand_ins, lanes, options, told)
        finally:
            there.summarise(options.seed)
    for trouble in troubles:
        click.echo(f"Error: {trouble}.", err=True)
    click.echo(f"{tally}. The reports are in {folder}.")
    if not tally.of_record:
        click.echo("There is no sandbox here: these are no scores of record.")
    return bool(troubles)


def _grade_and_show(hand_ins, where, options):
    """Grade, and print each report in its turn; returns them all."""
    from course_lib.grading.batch import content_of, grade_all
    from course_lib.grading.reports.table import print_report

    work = ((hand_in, content_of(hand_in)) for hand_in in hand_ins)
    ready, reports = {}, []
    with where() as lanes:
        for report in grade_all(work, lanes, options):
            ready[report["file"]] = report
            while len(reports) < len(hand_ins) and hand_ins[len(reports)].file in ready:
                reports.append(ready.pop(hand_ins[len(reports)].file))
                if reports[-1]["questions"]:
                    print_report(reports[-1])
                if reports[-1]["trouble"]:
                    click.echo(f"Error: {reports[-1]['trouble']}.", err=True)
    return reports


def _options(results, seeds, allow_unsandboxed):
    """The Options of a run; the seed is given, in a file, or in the results folder."""
    from course_lib.grading.grader import Options, new_seed
    from course_lib.grading.results import secret_seed

    seed, path = seeds
    if results:
        seed = results.seed(seed, path)
    elif path:
        seed = secret_seed(path)
    elif seed is None:
        seed = new_seed()
    return Options(seed, allow_unsandboxed=allow_unsandboxed)


@contextmanager
def _in_one_sentence(folder):
    """Whatever ends the grading is said in one sentence, and how to go on."""
    from course_lib.grading.lanes import NoLanes
    from course_lib.grading.process import NoWorker
    from course_lib.grading.reports.files import NoSeed, NotAReport
    from course_lib.grading.results import NoResults

    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"Stopped. {_how_to_go_on(folder)}", err=True)
        sys.exit(130)  # what shells say of Ctrl-C
    except (NoLanes, NoWorker) as problem:
        raise click.ClickException(f"{problem}. {_how_to_go_on(folder)}") from None
    except (NoResults, NoSeed, NotAReport) as problem:
        raise click.ClickException(f"{problem}.") from None


def _how_to_go_on(folder):
    if not folder:
        return "No report is kept without --results."
    command = ["attention-course", *sys.argv[1:]]
    if "--resume" not in command:
        command.append("--resume")
    return f"What is graded is kept; go on with: {shlex.join(command)}"


def _read_back(folder, hand_ins):
    from course_lib.grading.results import Results

    results = Results(folder)
    return [results.report_of(hand_in) for hand_in in hand_ins]


def _is_one_file(files, hand_ins):
    """Whether one file was named, no folder and no zip."""
    found = [(hand_in.path.name, hand_in.member) for hand_in in hand_ins]
    return len(files) == 1 and found == [(files[0].name, None)]


def _write(path, content):
    try:
        path.write_text(json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None


@click.command()
def doctor():
    """Say what this machine can do for `grade`, and what would improve it."""
    from course_lib.grading.doctor import examine

    found = examine()
    for trial in found.trials:
        state = "works" if trial.works else f"does not work. {trial.trouble}"
        click.echo(f"{trial.sandbox.name}: {state}")
    click.echo(f"cores: {found.cores}")
    click.echo(found.advice)
