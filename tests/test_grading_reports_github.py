"""GitHub Actions: the summary of a job, whatever students wrote, and a workflow."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from grading_reports import HOSTILE, hostile_class, report, row
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from course_lib.cli import main
from course_lib.grading.reports.github import (
    MAX_TEXT,
    MOST_LINES,
    below,
    in_markdown,
    job_summary,
    prose,
    workflow,
)

ROOT = Path(__file__).parents[1]
LIMIT = 2**20  # bytes of a summary, by GitHub's documentation
OURS = set("h2 p table thead tbody tr th td code strong".split())


class _Read(HTMLParser):
    """Tags, attributes and text of what Markdown became."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        # With raw HTML let through, and bare addresses made links.
        github = MarkdownIt("gfm-like", {"html": True, "linkify": True})
        self.feed(github.render(markdown))

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes} - {"style"}

    def handle_data(self, data):
        self.text += data


def words(text):
    return " ".join(text.split())


@settings(deadline=None)
@given(st.text(max_size=MAX_TEXT))
def test_any_text_is_shown_as_it_is_on_one_line_of_a_table(text):
    shown = in_markdown(text)
    read = _Read(f"| a | b |\n| - | - |\n| x{shown}x | y |\n\nz{shown}z")
    assert read.tags == {"table", "thead", "tbody", "tr", "th", "td", "p"}
    assert read.attributes == set()
    said = "".join(c if c.isprintable() else " " for c in text)
    assert words(read.text) == words(f"a b x{said}x y z{said}z")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_only_text(text):
    alone, many = (job_summary([report(student=text, file=text)] * n) for n in (1, 2))
    for markdown in (alone, many):
        read = _Read(markdown)
        assert read.tags <= OURS and read.attributes == set()
        assert "@" not in markdown and "://" not in markdown
    said = words("".join(c if c.isprintable() else " " for c in text))
    assert said in words(_Read(alone).text)


@settings(deadline=None)
@given(st.text(st.sampled_from("<>&*_[]()`|ab{}%\\\n"), max_size=12))
def test_prose_has_code_in_backquotes_and_nothing_else(text):
    read = _Read(f"z{prose(text)}z")
    assert read.tags - {"code"} == {"p"} and read.attributes == set()
    n_quotes = text.count("`")
    assert ("code" in read.tags) == (n_quotes > 0 and n_quotes % 2 == 0)
    said = words(text.replace("`", ""))
    assert said in words(read.text.replace("`", ""))


def test_one_notebook_shows_its_questions():
    text = _Read(job_summary([report()])).text
    assert re.search(r"2 of \d+ points", text) and "Ana/02.ipynb" in text
    assert "2.1 a softmax that does not overflow" in text
    assert "not right yet" in text and "weights is 0.25 at [0, 3]." in text
    assert "No score of record" not in text


def test_what_is_not_of_record_unreadable_or_undecidable_is_said():
    odd = row(policy="not decidable", policy_message="Line 3: `getattr`.")
    made = report(odd, trouble="no cells", of_record=False)
    text = _Read(job_summary([made])).text
    for says in ("No score of record", "no cells.", "To look at by hand: Line 3"):
        assert says in text
    unread = report(row(status="unreadable"), student="B")
    text = _Read(job_summary([made, unread])).text
    assert "1 of 2 were graded without a sandbox" in text
    assert "for the policy: 1." in text and "could not be read: 1." in text


def test_many_notebooks_are_a_line_each_up_to_a_number():
    made = [report(student=f"S{number}") for number in range(MOST_LINES + 3)]
    text = _Read(job_summary(made)).text
    assert f"{len(made)} notebooks" in text and "3 more are not shown here." in text
    assert f"S{MOST_LINES - 1}/" in text and f"S{MOST_LINES}/" not in text


def test_a_summary_fits_whatever_the_reports_say():
    worst = chr(0x10FFFD) * 10**4
    rows = [row(f"2.{n}", "wrong", message=worst) for n in range(1, 7)]
    rows = [
        each | {"policy": "not decidable", "policy_message": worst} for each in rows
    ]
    made = report(*rows, student=worst, file=worst, trouble=worst, seed=1)
    assert len(job_summary([made]).encode()) < LIMIT
    assert len(job_summary([made] * (MOST_LINES + 1)).encode()) < LIMIT


def test_the_workflow_installs_from_where_the_repository_lies_and_has_a_sandbox():
    text = workflow()
    assert "REPOSITORY" not in text and "git+https://" in text
    (job,) = yaml.safe_load(text)["jobs"].values()
    runs = "\n".join(step.get("run", "") for step in job["steps"])
    assert "apt-get install -y bubblewrap" in runs
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in runs
    assert '>> "$GITHUB_STEP_SUMMARY"' in runs
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    uses = [step["uses"] for step in job["steps"] if "uses" in step]
    ours = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert all(each in ours for each in uses)


def test_the_commands_of_the_workflow_are_commands():
    (job,) = yaml.safe_load(workflow())["jobs"].values()
    runs = "\n".join(step.get("run", "") for step in job["steps"])
    lines = re.sub(r"\\\n", " ", runs).splitlines()
    called = [line.split() for line in lines if line.startswith("attention-course")]
    assert len(called) == 3
    for _, *arguments in called:
        options = [each for each in arguments if each.startswith("--")]
        names = [each for each in arguments if each.isalpha()]
        shown = CliRunner().invoke(main, [*names, "--help"])
        assert shown.exit_code == 0
        assert all(option in shown.output for option in options)


def test_low_points_are_no_failure_unless_asked_for():
    made = [report(student="A"), report(row(), student="B")]
    assert below(made, 0) == [] and below(made, 100) == ["A/02.ipynb"]
    half = row("2.1", possible=4, points=2)
    assert below([report(half)], 50) == [] and below([report(half)], 51) != []
    empty = report(points=0, possible=0, questions=[])
    assert below([empty], 100) == []


def command(*arguments):
    """Run `attention-course export github`; exit code, output, errors."""
    result = CliRunner().invoke(main, ["export", "github", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_command_prints_summary_or_workflow_and_is_kind(tmp_path):
    path = tmp_path / "reports.json"
    path.write_text(json.dumps([*hostile_class()]))
    assert command(path) == (0, job_summary(hostile_class()), "")
    code, printed, errors = command(path, "--fail-below", 100)
    assert code == 1 and printed == job_summary(hostile_class())
    assert errors.startswith("Fewer than 100 %: ")
    assert command("--workflow") == (0, workflow(), "")
    for arguments, says in [
        ([], "give REPORTS, or --workflow"),
        ([path, "--workflow"], "give REPORTS, or --workflow"),
        ([tmp_path / "no"], "Error: there is no file"),
        ([tmp_path / "reports.json", "--fail-below", 101], "101"),
    ]:
        code, printed, errors = command(*arguments)
        assert code != 0 and says in errors and printed == ""
