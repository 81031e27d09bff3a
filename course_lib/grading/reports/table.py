"""A report as a table in the terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

WORTH_SAYING = ("broken", "not decidable")


def print_report(report, console=None):
    """Print one report: points and messages, and what the policy found.

    Args:
        report: dict, see report.schema.json
        console: rich's Console; None = standard output
    """
    console = console or Console()
    total = f"{report['points']} of {report['possible']} points"
    console.print(Text(f"{report['file']}: {total}"), soft_wrap=True)
    rows = report["questions"]
    if rows:
        console.print(_table(rows))
    if not report["of_record"]:
        console.print(
            Text(f"Sandbox: {report['sandbox']}. This is no score of record."),
            soft_wrap=True,
        )


def _table(rows):
    policy = any(row["policy"] in WORTH_SAYING for row in rows)
    table = Table()
    table.add_column("Question")
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("Status")
    table.add_column("Message")
    if policy:
        table.add_column("Policy")
    for row in rows:
        points = f"{row['points']} of {row['possible']}"
        cells = [row["id"], points, row["status"], row["message"]]
        if policy:
            cells.append(_finding(row))
        # Text, not markup: messages quote what students wrote.
        table.add_row(*map(Text, cells))
    return table


def _finding(row):
    if row["policy"] not in WORTH_SAYING:
        return ""
    return f"{row['policy']}: {row['policy_message']}"
