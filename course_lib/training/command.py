"""`attention-course train ...`: make the committed results again."""

from pathlib import Path

import click

# PyTorch is imported where a run starts, so that the command line works without it.


@click.group()
def train():
    """Train the course's small models and write their results."""


@train.command()
@click.option("--task", type=click.Choice(["lists", "digits", "single"]))
@click.option("--hidden", type=click.IntRange(min=1), help="Size of the states.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Steps of training, in multiples of the task's budget.",
)
@click.option("--attention/--no-attention", default=True, show_default=True)
@click.option("--reverse-source", is_flag=True, help="Read each source from its end.")
@click.option("--all", "everything", is_flag=True, help="Every committed result.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where results go.  [default: where the committed ones are]",
)
def bottleneck(everything, folder, **options):
    """Chapter 1: accuracy against length, with and without attention.

    Give --task and --hidden for one run. With --all, runs whose results exist are left
    alone (with --task, those of one task), so it can be stopped and started again.
    """
    if not everything and (options["task"] is None or options["hidden"] is None):
        raise click.UsageError("give --task and --hidden, or --all")
    try:
        import torch

        from course_lib.training import bottleneck as experiment
    except ModuleNotFoundError as missing:
        if missing.name != "torch":
            raise
        raise click.ClickException(
            "training needs PyTorch: pip install 'attention-course[torch]'"
        ) from None
    torch.set_num_threads(1)  # the committed results were made on one thread
    runs = experiment.committed_runs() if everything else [experiment.Run(**options)]
    for run in runs:
        if options["task"] in (None, run.task):
            _train(experiment, run, folder or experiment.RESULTS)


def _train(experiment, run, folder):
    """One run, and one line about it."""
    try:
        result = experiment.train(run, folder, progress=True)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    shares = zip(result["bins"], result["sequence_accuracy"][-1], strict=True)
    click.echo(
        f"{run.name}: "
        + ", ".join(f"{first}-{last}: {share:.2f}" for (first, last), share in shares)
    )
