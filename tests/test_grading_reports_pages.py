"""Feedback and overview as HTML: what they say, whoever the students are, and axe."""

import json
import re
from html.parser import HTMLParser

import pytest
from browser import served, watched_page
from click.testing import CliRunner
from grading_reports import HOSTILE, SEED, hostile_class, report, row
from hypothesis import given, settings
from hypothesis import strategies as st
from test_site import AXE

from course_lib.cli import main
from course_lib.grading.questions import all_questions
from course_lib.grading.reports.pages import (
    bars,
    feedback_page,
    page_name,
    prose,
    write_site,
)
from course_lib.grading.reports.summary import STATUSES, summarise
from course_lib.plotting import palette
from tools import vendor

TAGS = set(
    "html head meta title style body main footer h1 h2 h3 p strong code bdi span div "
    "section ol ul li a table caption thead tbody tr th td figure figcaption svg rect "
    "line text details summary".split()
)
ATTRIBUTES = set(
    "lang charset name content http-equiv id class href scope role tabindex viewbox x "
    "y x1 x2 y1 y2 width height text-anchor aria-label aria-labelledby aria-hidden"
    .split()
)  # fmt: skip


class _Read(HTMLParser):
    """Tags, attributes, links and visible text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.links, self.text = set(), set(), [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links += [value for name, value in attributes if name == "href"]

    def handle_data(self, data):
        self.text += data


def classroom():
    """Hostile students, and one for each status."""
    yield from hostile_class()
    for status in STATUSES:
        rows = [row(question.id, status) for question in all_questions(2)]
        yield report(*rows, student=f"All {status}", student_id=status)
    yield report(student="Unsafe", sandbox="plain", of_record=False)
    yield report(points=0, possible=0, questions=[], student="", file="empty.ipynb")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of that class."""
    folder = tmp_path_factory.mktemp("pages")
    assert write_site(classroom(), folder) == len(list(classroom()))
    return folder


def test_every_report_has_a_page_and_the_overview_leads_to_it(site):
    pages = {path.name for path in (site / "students").iterdir()}
    assert pages == {page_name(each) for each in classroom()}
    links = _Read((site / "overview.html").read_text()).links
    assert sorted(links) == sorted(f"students/{page}" for page in pages)


def test_the_name_of_a_page_is_safe_and_needs_the_seed_or_the_report():
    names = [page_name(each) for each in hostile_class()]
    assert len(set(names)) == len(HOSTILE)
    assert all(re.fullmatch(r"[0-9a-f]{32}\.html", name) for name in names)
    assert page_name(report()) == page_name(report())
    assert page_name(report()) != page_name(report(seed=SEED + 1))
    signature = report()["signature"]
    assert signature[:16] not in page_name(report())


def test_no_text_of_a_student_becomes_markup(site):
    for path in [site / "overview.html", *(site / "students").iterdir()]:
        read = _Read(path.read_text())
        assert read.tags <= TAGS and read.attributes <= ATTRIBUTES, path


@pytest.mark.parametrize("each", [*hostile_class()], ids=range(len(HOSTILE)))
def test_a_hostile_student_reads_what_was_written(site, each):
    text = re.sub(r"\s+", " ", _Read(feedback_page(each)).text)
    said = " ".join(each["student"].split())
    assert f"Feedback for {said}" in text
    assert said.replace("`", "") in text.replace("`", "")
    overview = re.sub(r"\s+", " ", _Read((site / "overview.html").read_text()).text)
    assert said in overview


@settings(deadline=None)
@given(st.text(st.sampled_from("<>&\"'`ab{}%\u202e\n"), max_size=12))
def test_prose_is_its_text_with_code_in_backquotes(text):
    read = _Read(str(prose(text)))
    n_quotes = text.count("`")
    code = {"code"} if n_quotes and n_quotes % 2 == 0 else set()
    assert read.tags == code and read.attributes == set()
    assert read.text.replace("`", "") == text.replace("`", "")


def test_a_page_says_points_status_message_and_property():
    wrong = row("2.2", "wrong", message="`weights` is 0.5.", property="sums to 1")
    odd = row("2.3", policy="not decidable", policy_message="See line 3.")
    text = _Read(feedback_page(report(row("2.1"), wrong, odd))).text
    points = [question.points for question in all_questions(2)[:3]]
    assert f"{points[0] + points[2]} of {sum(points)} points" in text
    assert "2.1: a softmax that does not overflow" in text
    assert "not right yet, 0 of" in text.replace("\n", " ")
    assert "What was tried: sums to 1." in text and "weights is 0.5." in text
    assert "See line 3." in text and "This is a score of record." in text


def test_a_page_says_when_a_score_is_not_of_record_or_nothing_was_graded():
    made = report(points=0, possible=0, questions=[], of_record=False)
    text = _Read(feedback_page(made)).text
    assert "This is no score of record" in text
    assert "No question could be graded." in text


def test_a_question_that_the_course_no_longer_has_is_shown_by_its_number():
    unknown = row("2.1") | {"id": "77.1"}
    assert "77.1" in _Read(feedback_page(report(unknown))).text


def test_overview_names_the_most_frequent_mistakes_and_what_to_look_at(site):
    text = re.sub(r"\s+", " ", _Read((site / "overview.html").read_text()).text)
    n_reports = len(list(classroom()))
    assert f"Overview of {n_reports} notebooks" in text
    assert f"{n_reports - 1} of {n_reports} scores are of record" in text
    assert "not right yet, rows sum to 1: weights is … at […]." in text
    for name in ("policy_findings", "unreadable"):
        assert f": {summarise(classroom())[name]['count']} " in text


def test_an_overview_of_nobody_is_a_page(tmp_path):
    assert write_site([], tmp_path) == 0
    assert "Overview of 0 notebooks" in (tmp_path / "overview.html").read_text()


@pytest.mark.parametrize("possible, points", [(0, [0]), (4, [4, 4, 0]), (60, [7, 60])])
def test_bars_are_as_high_as_their_numbers(possible, points):
    made = [report(row(points=p, possible=possible), student=str(p)) for p in points]
    chart = bars(summarise(made)["totals"][0])
    assert len(chart["bars"]) == possible + 1
    heights = [bar["height"] for bar in chart["bars"]]
    tallest = max(heights)
    for value, height in enumerate(heights):
        share = points.count(value) / max(map(points.count, points))
        assert height == pytest.approx(share * tallest, abs=0.1)
    last = chart["bars"][-1]
    assert last["x"] + last["width"] <= chart["width"]
    assert all(bar["y"] + bar["height"] == chart["floor"] for bar in chart["bars"])
    assert sum(bool(bar["label"]) for bar in chart["bars"]) <= 21


def test_the_colours_are_those_of_the_course(site):
    text = (site / "overview.html").read_text()
    for colours in (palette.LIGHT, palette.DARK):
        for name, colour in colours.items():
            assert f"--{name}: {colour};" in text


def test_command_writes_the_pages_and_is_kind(tmp_path):
    def command(*arguments):
        result = CliRunner().invoke(main, ["export", "html", *map(str, arguments)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    (tmp_path / "a.json").write_text("{}")
    code, output = command(tmp_path / "a.json", "-o", tmp_path / "out")
    assert code == 1 and output.startswith("Error: ") and "is not a report" in output
    (tmp_path / "b.json").write_text(json.dumps(report()))
    code, output = command(tmp_path / "b.json", "-o", tmp_path / "out")
    assert code == 0 and output.startswith("1 page of feedback, and ")
    assert (tmp_path / "out" / "students" / page_name(report())).is_file()
    code, output = command(tmp_path / "b.json", "-o", tmp_path / "b.json" / "out")
    assert code == 1 and "Error: cannot write" in output


def paths(site):
    """The overview, a page without a score of record, one of a hostile student."""
    made = [report(student="Unsafe", sandbox="plain", of_record=False)]
    made += list(hostile_class())[:1]
    return ["overview.html", *(f"students/{page_name(each)}" for each in made)]


def test_pages_ask_for_nothing_and_run_nothing(site, browser):
    with served(site) as address, watched_page(browser) as (page, complaints):
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        for path in paths(site):
            asked = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.goto(f"{address}/{path}")
            page.wait_for_timeout(50)
            assert asked == [f"{address}/{path}"]
        assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_a_phone_needs_no_sideways_scroll(
    site, browser, scheme, width
):
    vendor.main()
    options = {"width": width, "color_scheme": scheme, "bypass_csp": True}
    with served(site) as address, watched_page(browser, **options) as (page, _):
        for path in paths(site):
            page.goto(f"{address}/{path}")
            page.evaluate(
                "document.querySelectorAll('details').forEach(d => d.open = true)"
            )
            page.add_script_tag(path=vendor.VENDOR / "test" / "axe.min.js")
            found = [
                (each["id"], each["nodes"][0]["html"]) for each in page.evaluate(AXE)
            ]
            assert found == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
