"""Lighthouse on four pages of the built book: `python -m tools.lighthouse`.

On a desktop and on a phone, each the median of three runs, behind a server that
compresses. Prints a table. Fails if a page is not accessible to all; the other scores
are reported. Lighthouse is npm's, at the versions of tools/lighthouse_lock/.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from tools.compressed import compressing_server
from tools.screenshots import NAMES_ON_PATH, listening
from tools.serve import ROOT
from tools.vendor import find_npm

LOCK = Path(__file__).with_name("lighthouse_lock")
PROGRAM = LOCK / "node_modules" / "lighthouse" / "cli" / "index.js"
PAGES = {  # of each kind one
    "index.html": "widget",
    "chapters/02_query_key_value.html": "widget",
    "exercises/02_query_key_value.html": "text",
    "notation.html": "text",
}
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
FIGURES = {  # an audit's name: (what the table calls it, Lighthouse's units in one)
    "largest-contentful-paint": ("LCP, s", 1000),
    "total-blocking-time": ("TBT, s", 1000),
    "cumulative-layout-shift": ("CLS", 1),
    "total-byte-weight": ("KB", 1000),
}
AIMS = {
    ("desktop", "text"): 95,
    ("desktop", "widget"): 95,
    ("mobile", "text"): 80,
    ("mobile", "widget"): 60,
}
FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-background-networking"


def install():
    """Have npm put Lighthouse into place, unless it is there."""
    if PROGRAM.exists():
        return
    print("Fetching Lighthouse ...", flush=True)
    command = [find_npm(), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=LOCK, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[0]
        raise SystemExit(f"npm could not fetch Lighthouse ({reason}).")


def measure(address, device):
    """One run of Lighthouse: the report that it writes, as a dict."""
    node = Path(find_npm()).with_name("node")
    command = [node, PROGRAM, address, "--output=json", "--quiet"]
    command += [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={FLAGS}"]
    if device == "desktop":
        command.append("--preset=desktop")
    browser = next(filter(None, map(shutil.which, NAMES_ON_PATH)), None)
    environment = {**os.environ, **({"CHROME_PATH": browser} if browser else {})}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise SystemExit(f"Lighthouse could not look at {address}: {reason}")
    return json.loads(done.stdout)


def summary(reports):
    """The medians of several reports of one page.

    Returns:
        a dict: each of CATEGORIES in points of 100, each of FIGURES in the table's
        unit, and "failed", the accessibility audits that failed in any run.
    """
    row = {
        name: round(
            100 * _median(report["categories"][name]["score"] for report in reports)
        )
        for name in CATEGORIES
    }
    for name, (_, unit) in FIGURES.items():
        values = (report["audits"][name]["numericValue"] for report in reports)
        row[name] = _median(values) / unit
    row["failed"] = sorted({name for report in reports for name in _failed(report)})
    return row


def _median(values):
    return statistics.median(list(values))


def _failed(report):
    """The accessibility audits that a page did not pass."""
    for reference in report["categories"]["accessibility"]["auditRefs"]:
        if report["audits"][reference["id"]]["score"] == 0:
            yield reference["id"]


def table(rows):
    """A Markdown table of {(page, device): summary}; * marks what misses its aim."""
    titles = ["page", "device", *CATEGORIES, *(title for title, _ in FIGURES.values())]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for (page, device), row in rows.items():
        aims = [AIMS[device, PAGES[page]], 100, 100, 100]
        scores = [
            f"{row[name]}{'' if row[name] >= aim else '*'}"
            for name, aim in zip(CATEGORIES, aims, strict=True)
        ]
        figures = [_figure(name, row[name]) for name in FIGURES]
        lines.append("| " + " | ".join([page, device, *scores, *figures]) + " |")
    return "\n".join(lines)


def _figure(name, value):
    return {"cumulative-layout-shift": "{:.3f}", "total-byte-weight": "{:.0f}"}.get(
        name, "{:.1f}"
    ).format(value)


def gate(rows):
    """One sentence for each page with an accessibility score below 100."""
    return [
        f"{page} on a {device} has {row['accessibility']} of 100 points for "
        f"accessibility: {', '.join(row['failed']) or 'no audit is named'}."
        for (page, device), row in rows.items()
        if row["accessibility"] < 100
    ]


def main(arguments):
    """Measure all pages; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", default=ROOT / "_build" / "html", type=Path)
    parser.add_argument("--runs", default=3, type=int)
    options = parser.parse_args(arguments)
    if not (options.html / "index.html").exists():
        raise SystemExit(f"There is no book in {options.html}: build it first.")
    install()
    rows = {}
    with listening(compressing_server(options.html)) as address:
        for page in PAGES:
            for device in ("desktop", "mobile"):
                reports = []
                for run in range(options.runs):
                    print(f"{page}, {device}, run {run + 1}", file=sys.stderr)
                    reports.append(measure(f"{address}/{page}", device))
                rows[page, device] = summary(reports)
    print(table(rows))
    print("\n* below its aim", *gate(rows), sep="\n")
    return bool(gate(rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
