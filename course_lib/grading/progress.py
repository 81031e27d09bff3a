"""A batch on the terminal: a bar while it runs, counts when it ends."""

from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text


class Tally:
    """Counts reports, and shows a bar if a person looks on.

    Args:
        total: how many there will be
        console: rich's Console; None = standard error
    """

    def __init__(self, total, console=None):
        self.graded = self.unreadable = self.there_before = 0
        self.of_record = True
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.completed} of {task.total} graded"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[unreadable]} unreadable"),
            _Rate(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, unreadable=0)

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *exception):
        self._bar.stop()

    def add(self, report, was_there=False):
        """Count a report; what was there before is no work done."""
        self.unreadable += bool(report["trouble"])
        self.of_record &= report["of_record"]
        if was_there:
            self.there_before += 1
            left = self._bar.tasks[0].total - 1
            self._bar.update(self._task, total=left, unreadable=self.unreadable)
        else:
            self.graded += 1
            self._bar.update(self._task, advance=1, unreadable=self.unreadable)

    def __str__(self):
        parts = [f"{self.graded} graded"]
        if self.there_before:
            parts.append(f"{self.there_before} there already")
        if self.unreadable:
            parts.append(f"{self.unreadable} of them unreadable")
        return ", ".join(parts)


class _Rate(ProgressColumn):
    """Notebooks a minute, and the time left."""

    def render(self, task):
        if not task.speed:
            return Text("")
        left = timedelta(seconds=int(task.time_remaining or 0))
        return Text(f"{60 * task.speed:.0f} a minute, {left} left", no_wrap=True)
