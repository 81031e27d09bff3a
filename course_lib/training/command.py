"""`attention-course train ...`: train a model, or make the committed results again."""

import sys
from contextlib import contextmanager
from pathlib import Path

import click

from course_lib.training.recipes import RECIPES

# PyTorch is imported where a run starts, so that the command line works without it.
SAVE_EVERY = 100  # steps
_PACKAGES = {"sklearn": "scikit-learn", "torch": "'attention-course[torch]'"}


@click.group()
def train():
    """Train the course's small models and measure them.

    Under torchrun all processes train one model together, each on its share of every
    batch:

    torchrun --no-python --nproc-per-node 2 attention-course train numbers
    """


@contextmanager
def running(device):
    """Join the processes of a run; whatever ends it is said in one sentence.

    Args:
        device: the name of a device, or None

    Yields:
        torch.device, and whether this process is the one that prints.
    """
    speaks = True
    try:
        import torch

        from course_lib.training.devices import pick_device
        from course_lib.training.distributed import is_first, processes

        torch.set_num_threads(1)  # the same run on machines with more cores
        device = pick_device(device)
        with processes(device):
            speaks = is_first()
            yield device, speaks
    except ImportError as missing:
        raise click.ClickException(_what_is_missing(missing)) from None
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        if speaks:
            click.echo("Stopped: the same command goes on from there.", err=True)
        sys.exit(130)  # what shells say of Ctrl-C


def _what_is_missing(missing):
    if missing.name is None:  # the library has said it already
        return str(missing)
    name = missing.name.split(".")[0]
    if name == "course_lib" or not isinstance(missing, ModuleNotFoundError):
        raise missing  # a mistake of ours, to be seen
    package = _PACKAGES.get(name, name)
    whole = "PyTorch" if name == "torch" else package
    return f"training needs {whole}: pip install {package}"


def _add(name, recipe):
    """Give a recipe its command."""

    @train.command(name, help=recipe.says)
    @click.option(
        "--model",
        type=click.Choice(list(recipe.steps)),
        default=next(iter(recipe.steps)),
        show_default=True,
    )
    @click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
    @click.option(
        "--steps", type=click.IntRange(min=1), help="[default: what the model needs]"
    )
    @click.option("--device", help="cpu, cuda, cuda:1, ...  [default: cuda if present]")
    @click.option("--mixed", is_flag=True, help="Compute with bfloat16 on CUDA.")
    @click.option(
        "--folder",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("runs"),
        show_default=True,
        help="Where checkpoints are kept. A run that is there goes on.",
    )
    def command(model, seed, steps, device, mixed, folder):
        with running(device) as (where, speaks):
            from course_lib.training import trainers

            steps = steps or recipe.steps[model]
            folder.mkdir(parents=True, exist_ok=True)
            run = f"{name}-{model}-seed{seed}-steps{steps}"
            measured = getattr(trainers, name)(
                model,
                seed,
                steps,
                where,
                mixed=mixed,
                checkpoint=folder / f"{run}.pt",
                save_every=SAVE_EVERY,
                progress=True,
            )
            if speaks:
                click.echo(f"{run}: {measured}")


for _name, _recipe in RECIPES.items():
    _add(_name, _recipe)


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
    with running("cpu") as (_, speaks):  # where the committed results were made
        from course_lib.training import bottleneck as experiment

        one = [] if everything else [experiment.Run(**options)]
        for run in one or experiment.committed_runs():
            if options["task"] in (None, run.task):
                result = experiment.train(run, folder or experiment.RESULTS, True)
                if speaks:
                    click.echo(_in_one_line(run.name, result))


def _in_one_line(name, result):
    shares = zip(result["bins"], result["sequence_accuracy"][-1], strict=True)
    by_bin = (f"{first}-{last}: {share:.2f}" for (first, last), share in shares)
    return f"{name}: {', '.join(by_bin)}"
