"""`python -m benchmarks`: measure, print tables, and keep the results."""

import json
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.attention import (
    additive_against_dot,
    against_length,
    ours_against_torchs,
)
from benchmarks.decoding import cached_against_uncached
from benchmarks.grading import grading_against_peers
from benchmarks.imports import beside_numpy
from benchmarks.measure import Failed, machine

BENCHMARKS = (
    beside_numpy,
    additive_against_dot,
    ours_against_torchs,
    cached_against_uncached,
    against_length,
    grading_against_peers,
)


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--quick", is_flag=True, help="Small sizes, a few seconds in all.")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(__file__).parent / "results",
    help="Where results go.  [default: benchmarks/results]",
)
def main(names, quick, folder):
    """Measure everything, or what is NAMEd, and write one JSON file for each.

    Times are medians of processor time on one thread, and wall time for graders.
    Compare within a file only. The first run makes environments for other graders.
    """
    known = {benchmark.__name__: benchmark for benchmark in BENCHMARKS}
    for name in names:
        if name not in known:
            raise click.UsageError(f"no benchmark {name!r}: one of {', '.join(known)}")
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or known:
        try:
            rows = known[name](quick)
        except Failed as problem:
            raise click.ClickException(f"{name}: {problem}") from None
        about = known[name].__doc__.splitlines()[0]
        result = {"about": about, "machine": machine(torch.__version__), "rows": rows}
        (folder / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
        _print(about, rows)


def _print(title, rows):
    """One table, a row a measurement."""
    table = Table(title=title, title_justify="left")
    for column in rows[0]:
        table.add_column(column, justify="right", overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row.values()))
    Console().print(table)


def _text(value):
    """A cell: four digits of a float, nothing for what was not measured."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


if __name__ == "__main__":
    main()
