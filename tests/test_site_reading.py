"""The built book as readers use it: without scripts, searching, looking words up."""

import json
import re
from html.parser import HTMLParser

import pytest
from browser import settle
from test_site import AXE, CHAPTERS, NAMES, NOTEBOOKS, ROOT, TOC, sources

from course_lib.grading.questions import load
from tools import vendor

ORDER = [f"{file}.html" for file in sources(TOC)]
EXERCISES = [name for name in NAMES if name.startswith("exercises/")]
TERM = "a.course-term[href$='#term-convex-hull']"
CHAPTER_2 = "chapters/02_query_key_value.html"

# Without scripts ----------------------------------------------------------------------

# What a reader would miss: pieces of text and figures that take no room.
MISSING = """() => [...document.querySelectorAll(
    ".bd-article :is(h1, h2, h3, p, li, dt, pre, td, img, .math, .course-static)")]
    .filter((piece) => !piece.closest("details:not([open]) > :not(summary)"))
    .filter((piece) => !piece.matches(".fig-dark, summary .expanded"))
    .filter((piece) => !piece.getClientRects().length || piece.naturalWidth === 0)
    .map((piece) => piece.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def missing(book_address, browser):
    """What each page lacks without scripts, by name."""
    found = {}
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in NAMES:
        page.goto(f"{book_address}/{name}")
        found[name] = page.evaluate(MISSING)
        shown = page.locator(".pst-js-only").evaluate_all(
            "buttons => buttons.filter(each => each.getClientRects().length).length"
        )
        found[name] += ["a button that does nothing"] * shown
    context.close()
    return found


@pytest.mark.parametrize("name", NAMES)
def test_without_scripts_a_page_lacks_no_text_and_no_figure(missing, name):
    assert missing[name] == []


# Search -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, expected",
    [
        ("scaled dot-product attention", CHAPTER_2),
        ("softmax", CHAPTER_2),
        ("GRU", "chapters/01_bottleneck.html"),
        ("Bahdanau", "references.html"),
        ("convex hull", "glossary.html#term-convex-hull"),
    ],
)
def test_search_finds_a_formula_a_name_and_a_term(
    book_address, new_page, words, expected
):
    page = new_page()
    page.goto(f"{book_address}/notation.html")
    page.get_by_role("button", name=re.compile("Search")).first.click()
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=*")
    page.locator("#search-results .search-summary").wait_for()
    links = page.locator("#search-results li > a").evaluate_all(
        "links => links.map(link => link.getAttribute('href'))"
    )
    assert any(link.startswith(expected) for link in links)
    page.add_script_tag(path=vendor.VENDOR / "test" / "axe.min.js")
    assert page.evaluate(AXE) == []


# Formulas that the mark behind them has left for the next line.
STRAY = """() => [...document.querySelectorAll(".bd-article .math")].filter(formula => {
    const range = document.createRange();
    const texts = document.createTreeWalker(formula.closest("p, li, td, dd, summary") ??
        formula.parentElement, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const text = texts.currentNode;
        if (!(formula.compareDocumentPosition(text) & Node.DOCUMENT_POSITION_FOLLOWING)
            || formula.contains(text)) continue;
        if (!/^[.,;:!?)]/.test(text.data)) return false;
        range.setStart(text, 0);
        range.setEnd(text, 1);
        const mark = range.getBoundingClientRect();
        return mark.height && mark.left < formula.getBoundingClientRect().left;
    }
}).map((formula) => formula.textContent)"""


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_no_line_opens_with_the_mark_behind_a_formula(book_address, new_page, width):
    page = new_page(width=width)
    page.goto(f"{book_address}/{CHAPTER_2}")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(STRAY) == []


def test_menu_contents_and_scheme_work_on_a_phone(book_address, new_page):
    page = new_page(width=390, height=844)
    page.goto(f"{book_address}/{CHAPTER_2}")
    page.locator(".primary-toggle").click()
    page.get_by_role("link", name="Glossary", exact=True).wait_for()
    page.keyboard.press("Escape")
    page.locator(".secondary-toggle").click()
    page.get_by_role("link", name="The file drawer", exact=True).wait_for()
    page.keyboard.press("Escape")
    scheme = "document.documentElement.dataset.theme"
    assert page.evaluate(scheme) == "light"
    page.locator(".theme-switch-button").click()
    assert page.evaluate(scheme) == "dark"
    page.reload()
    assert page.evaluate(scheme) == "dark"  # it is remembered


# Previews -----------------------------------------------------------------------------


@pytest.fixture
def chapter(book_address, new_page):
    """A function that opens chapter 2 where it speaks of the convex hull."""

    def open_chapter(**options):
        page = new_page(**options)
        page.goto(f"{book_address}/{CHAPTER_2}")
        settle(page)
        page.locator(TERM).scroll_into_view_if_needed()
        return page

    return open_chapter


def test_pointing_at_a_term_shows_it_and_escape_or_leaving_hides_it(chapter):
    page = chapter()
    preview = page.locator("#course-preview")
    page.locator(TERM).hover()
    preview.get_by_text("All weighted averages of some points").wait_for()
    assert page.locator(TERM).get_attribute("aria-describedby") == "course-preview"
    page.keyboard.press("Escape")  # the pointer stays where it is
    preview.wait_for(state="detached")
    assert page.locator(TERM).get_attribute("aria-describedby") is None
    page.mouse.move(0, 0)
    page.locator(TERM).hover()
    preview.wait_for()
    page.mouse.move(0, 0)
    preview.wait_for(state="detached")


def test_the_pointer_may_go_into_a_preview(chapter):
    page = chapter()
    page.locator(TERM).hover()
    page.locator("#course-preview").hover()
    page.wait_for_timeout(600)  # longer than leaving a link takes to hide it
    assert page.locator("#course-preview").is_visible()
    page.add_script_tag(path=vendor.VENDOR / "test" / "axe.min.js")
    assert page.evaluate(AXE) == []


def test_the_keyboard_reaches_a_preview(chapter):
    page = chapter()
    page.keyboard.press("Tab")  # what comes next is reached by keyboard
    page.locator(TERM).focus()
    page.get_by_role("tooltip").wait_for()
    page.keyboard.press("Tab")
    page.get_by_text("All weighted averages").wait_for(state="detached")


def test_a_first_tap_shows_a_preview_and_a_second_follows_the_link(chapter):
    page = chapter(width=390, height=844, has_touch=True)
    page.locator(TERM).tap()
    page.get_by_role("tooltip").wait_for()
    box = page.locator("#course-preview").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 390
    assert page.url.endswith(CHAPTER_2)
    page.locator(TERM).tap()
    page.wait_for_url("**/glossary.html#term-convex-hull")


def test_a_paper_shows_its_entry_also_in_a_copy_on_a_disk(html, browser):
    page = browser.new_page()  # files may not preload fonts: the console says so
    page.goto((html / CHAPTER_2).as_uri())
    paper = page.locator("a[href='https://arxiv.org/abs/1706.03762']").first
    paper.hover()
    page.locator("#course-preview", has_text="Attention is all you need").wait_for()
    page.close()


class _Links(HTMLParser):
    """Collects the links of a page, each with its class, and the page's anchors."""

    def __init__(self):
        super().__init__()
        self.links, self.anchors = [], {"", "top"}

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        if tag == "a" and "href" in attributes:
            self.links.append((attributes["href"], attributes.get("class") or ""))


@pytest.fixture(scope="module")
def parsed(html):
    """The links and anchors of every page, by its name."""
    found = {}
    for name in [*NAMES, "404.html", "genindex.html", "search.html"]:
        found[name] = _Links()
        found[name].feed((html / name).read_text())
    return found


def where(name, link):
    """The file below the site's root that a link on a page leads to, and the anchor."""
    path, _, anchor = link.partition("#")
    parts = [] if path else [name]
    if path:
        parts = name.split("/")[:-1] + path.partition("?")[0].split("/")
    flat = []
    for part in parts:
        flat = flat[:-1] if part == ".." else flat + [part] * (part != ".")
    return "/".join(flat), anchor


@pytest.mark.parametrize("name", [*NAMES, "404.html", "genindex.html"])
def test_links_inside_the_book_lead_somewhere(html, parsed, name):
    base = "/REPO/"
    for link, _ in parsed[name].links:
        if re.match(r"\w+:", link):
            continue
        target, anchor = where(name, link.removeprefix(base))
        assert (html / target).is_file(), link
        if anchor and target in parsed:
            assert anchor in parsed[target].anchors, link


@pytest.mark.parametrize("name", NAMES)
def test_every_term_and_citation_has_a_preview(html, parsed, name):
    script = (html / "_static" / "preview_texts.js").read_text()
    texts = json.loads(script.removeprefix("coursePreviews(").removesuffix(");\n"))
    for link, kind in parsed[name].links:
        target = "#".join(where(name, link))
        is_citation = target.startswith("references.html#id") and "reference" in kind
        if "course-term" in kind or is_citation:
            assert len(re.sub("<[^>]+>", "", texts[target]).split()) >= 5
        if "arxiv.org/abs/" in link and not name.startswith("reference/"):
            assert link in texts


# Facts and what is next ---------------------------------------------------------------


def facts(html, name):
    """{label: text} of the facts under a page's title."""
    row = re.search(
        r'<dl class="[^"]*course-facts">(.*?)</dl>', (html / name).read_text(), re.S
    )
    pairs = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", row[1], re.S)
    return {
        label: " ".join(re.sub("<[^>]+>", "", text).split()) for label, text in pairs
    }


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_s_page_opens_with_time_level_and_needs(html, name):
    found = facts(html, name)
    assert list(found) == ["Time", "Level", "You need"]
    assert all(found.values()) and re.match(r"About \d+ minutes", found["Time"])


@pytest.mark.parametrize("name", EXERCISES)
def test_the_time_of_exercises_is_that_of_their_questions(html, name):
    chapter = int(re.search(r"\d+", name)[0])
    source = (ROOT / name).with_suffix(".ipynb").read_text()
    questions = sorted(set(re.findall(rf"Exercise ({chapter}\.\d+):", source)))
    minutes = sum(load(question).minutes for question in questions)
    assert facts(html, name)["Time"].startswith(f"About {minutes} minutes")
    of_chapter = facts(html, name.replace("exercises/", "chapters/"))
    assert of_chapter["Time"].endswith(f"about {minutes} for the exercises")


def test_every_page_but_the_last_says_what_is_next(html):
    for name, following in zip(ORDER, ORDER[1:], strict=False):
        page = (html / name).read_text()
        link = re.search(r'<a class="course-next" href="([^"]+)"', page)[1]
        assert where(name, link)[0] == following
    assert "course-next" not in (html / ORDER[-1]).read_text()


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_page_before_a_chapter_tells_its_question(html, name):
    question = re.search(
        r'class="course-question">(.*?)</p>', (html / name).read_text(), re.S
    )[1]
    before = (html / ORDER[ORDER.index(name) - 1]).read_text()
    assert re.sub("<[^>]+>", "", question) in before
