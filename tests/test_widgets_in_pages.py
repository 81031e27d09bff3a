"""Widgets in the pages of the book: links to a state, static forms, starting late."""

import re
from functools import cache

import numpy as np
import pytest
from browser import served
from test_attention_heatmap import small_sentences
from test_bottleneck_explorer import made_up_results
from widget_page import model, mount, start, write_page

from course_lib.widgets import AttentionHeatmap, BottleneckExplorer, QKVCalculator

QUERY, KEY, VALUE = [1, 0], [[1, 0], [3, 0], [0, 2]], [[0, 0], [2, 0], [0, 2]]


SHOWN = """() => JSON.stringify([document.querySelector(".course-widget").innerText,
    [...document.querySelectorAll("input, select")].map((e) =>
        e.type === "radio" || e.type === "checkbox" ? e.checked : e.value)])"""


def calculator():
    """The calculator of three keys."""
    return QKVCalculator(QUERY, KEY, VALUE, ["a", "b", "c"])


def all_widgets():
    """One of each kind, by name."""
    made = (
        calculator(),
        BottleneckExplorer(made_up_results(), task="digits"),
        AttentionHeatmap(small_sentences(), compare=True),
    )
    return {widget.name: widget for widget in made}


@pytest.fixture
def address(tmp_path):
    """Where a test's own folder is served, for longer than its pages are open."""
    with served(tmp_path) as address:
        yield address


@pytest.fixture
def open_page(address, tmp_path, new_page):
    """A function that opens a page with widgets: `open_page([w], "?a=b#c")`."""

    def go(widgets, rest="", above=0, started=True, **options):
        write_page(tmp_path, *widgets, above=above)
        page = new_page(**options)
        page.goto(f"{address}/page.html{rest}")
        return start(page) if started else page

    return go


def query(page):
    """What the address asks for, once the widgets have written it."""
    page.wait_for_timeout(400)
    return page.evaluate("decodeURIComponent(location.search)")


# Links --------------------------------------------------------------------------------


LINKS = [
    ("qkv", "query=-2,0.5"),
    ("qkv", "key=1,0;3,0;7,-1.5"),
    ("qkv", "value=0,0;2,0;-1,1e-7"),
    ("qkv", "mask=1,0,1"),
    ("qkv", "temperature=0.05"),
    ("qkv", "scale=1"),
    ("explorer", "task=lists"),
    ("explorer", "hidden=96"),
    ("explorer", "budget=5"),
    ("explorer", "bin=0"),
    ("heatmap", "sentence=2"),
    ("heatmap", "layer=3"),
    ("heatmap", "head=2"),
    ("heatmap", "word=0"),
    ("heatmap", "compare=0"),
]


@pytest.fixture(scope="module")
def shown(browser, tmp_path_factory):
    """A function that gives what a widget's page shows at an address, and its link."""
    folder = tmp_path_factory.mktemp("pages")
    for name, widget in all_widgets().items():
        (folder / name).mkdir()
        write_page(folder / name, widget)
    page = browser.new_page()
    with served(folder) as address:

        @cache
        def at(name, asked=""):
            page.goto(f"{address}/{name}/page.html?{asked}")
            start(page)
            page.locator("details").evaluate_all("(all) => all.map(d => d.open = true)")
            state = page.evaluate(SHOWN)
            page.get_by_role("button", name="Copy link").click()
            return state, page.evaluate("decodeURIComponent(location.search)")

        yield at
    page.close()


@pytest.mark.parametrize(("name", "asked"), LINKS)
def test_a_link_leads_to_a_state_and_the_state_gives_the_link(shown, name, asked):
    state, link = shown(name, f"{name}.{asked}")
    assert state != shown(name)[0]
    assert link == f"?{name}.{asked}"


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("qkv", "query=1 key=1,0;3,0 value=0,0;2,0;7 mask=1,0,2 temperature=0 scale=y"),
        ("qkv", "query=1,x key=1,0;3,0;7,1e7 value=;; mask=1,0 temperature=21 scale=2"),
        ("qkv", "query=1,Infinity key=0x1,0;3,0;7,1 value= temperature=-1 scale="),
        ("qkv", "query=1,1e7 key= temperature=warm"),
        ("qkv", "query="),
        ("explorer", "task=nothing hidden=33 budget=-1 bin=4"),
        ("explorer", "task=<b> hidden=96.5 budget= bin=-1"),
        ("heatmap", "sentence=0 layer=1.5 head=99 word=-1 compare=\N{GRINNING FACE}"),
        ("heatmap", "sentence=5 layer=4 head=0 word=7 compare=true"),
    ],
)
def test_what_a_link_must_not_ask_for_is_ignored(shown, name, asked):
    parts = "&".join(f"{name}.{part}" for part in asked.split(" "))
    assert shown(name, parts) == shown(name)


def test_a_good_part_of_a_link_counts_beside_a_bad_one(shown):
    both = shown("qkv", "qkv.query=x,y&qkv.temperature=2")
    assert both == shown("qkv", "qkv.temperature=2") != shown("qkv")


def test_a_word_is_looked_for_in_the_sentence_that_the_link_asks_for(shown):
    longer = shown("heatmap", "heatmap.sentence=3&heatmap.word=5")
    assert longer != shown("heatmap", "heatmap.sentence=3")
    ignored = shown("heatmap", "heatmap.word=5")  # the first has five words
    assert ignored == shown("heatmap")


def test_the_copied_link_opens_what_was_shown(open_page):
    allowed = ["clipboard-read", "clipboard-write"]
    page = open_page([calculator()], permissions=allowed)
    page.get_by_label("key of b, number 2").fill("-4.25")
    page.get_by_role("checkbox", name="may attend to c").uncheck()
    page.get_by_role("button", name="Copy link").press("Enter")
    page.get_by_role("status").get_by_text("Link copied").wait_for()
    before = page.locator(".qkv").inner_text()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith("/page.html?qkv.key=1,0;3,-4.25;0,2&qkv.mask=1,1,0")
    page.goto("about:blank")
    page.goto(link)
    start(page)
    page.get_by_role("checkbox", name="may attend to c").wait_for()
    assert not page.get_by_role("checkbox", name="may attend to c").is_checked()
    after = page.locator(".qkv").inner_text()
    assert after.split() == before.replace("Link copied", "").split()


def test_where_copying_is_not_allowed_the_link_stands_there_to_be_copied(open_page):
    page = open_page([calculator()])
    page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.get_by_label("query, number 1").fill("5")
    page.get_by_role("button", name="Copy link").click()
    field = page.get_by_role("textbox", name="Link to what is shown")
    assert field.input_value() == page.url and "qkv.query=5,0" in page.url
    assert page.evaluate("document.activeElement.selectionEnd") == len(page.url)
    page.get_by_text("Copy the link from the field").wait_for()


def test_two_widgets_of_one_kind_have_links_of_their_own(open_page):
    page = open_page(
        [calculator(), calculator()], "?qkv.temperature=2&qkv2.temperature=3"
    )
    temperatures = page.locator(".qkv-temperature")
    assert temperatures.all_inner_texts() == ["2", "3"]
    page.get_by_label("query, number 1").nth(1).fill("9")
    assert query(page) == "?qkv.temperature=2&qkv2.query=9,0&qkv2.temperature=3"
    page.get_by_role("button", name="Reset").first.click()
    assert query(page) == "?qkv2.query=9,0&qkv2.temperature=3"
    assert temperatures.all_inner_texts() == ["1", "3"]


def test_what_else_the_address_says_stays(open_page):
    page = open_page([calculator()], "?from=mail&qkv.scale=1&qkvx.scale=1#below")
    page.get_by_role("checkbox", name="divide by").uncheck()
    assert query(page) == "?from=mail&qkvx.scale=1"
    assert page.url.endswith("#below")


def test_going_back_leads_to_the_page_before_and_never_through_every_change(open_page):
    page = open_page([calculator()])
    before = page.evaluate("history.length")
    field = page.get_by_label("query, number 1")
    for number in ("2", "3", "4"):
        field.fill(number)
        query(page)
    assert page.evaluate("history.length") == before
    page.get_by_role("link", name="anchor").click()
    field.fill("5")
    assert query(page) == "?qkv.query=5,0" and page.url.endswith("#below")
    page.go_back()  # the page before the anchor, and what it showed
    assert not page.url.endswith("#below") and query(page) == "?qkv.query=4,0"
    assert field.input_value() == "4"
    page.go_forward()
    assert field.input_value() == "5"
    page.reload()
    start(page)
    assert field.input_value() == "5"


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_outside_the_courses_pages_the_address_is_left_alone(new_page, name):
    page = mount(new_page(), all_widgets()[name])
    page.evaluate("() => { history.replaceState = () => { throw Error('touched'); }; }")
    address = page.url
    page.locator(":is(input[type=radio]:checked, input[type=range])").first.focus()
    page.keyboard.press("ArrowRight")
    assert model(page, "model.saved") == 1
    page.wait_for_timeout(400)
    assert page.url == address
    assert page.get_by_role("button", name="Copy link").count() == 0


# Static forms -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_without_scripts_the_static_form_says_what_the_widget_says(open_page, name):
    widget = all_widgets()[name]
    page = open_page([widget], started=False, java_script_enabled=False)
    static = page.locator(".course-static")
    assert static.is_visible() and page.locator(".course-widget").count() == 0
    numbers = re.findall(r"\d\.\d\d\b", static.inner_text())
    page = open_page([widget])
    assert not page.locator(".course-static").is_visible()
    live = page.locator(".course-widget").inner_text()
    assert len(numbers) > 5 and set(numbers) <= set(re.findall(r"\d\.\d\d\b", live)) | {
        f"{number}.00" for number in re.findall(r"\d+", live)
    }


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_paper_gets_the_static_form_in_light_colours(open_page, name):
    page = open_page([all_widgets()[name]])
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.emulate_media(media="print")
    static = page.locator(".course-static")
    assert static.is_visible() and not page.locator(".course-widget").is_visible()
    ground = static.evaluate("(e) => getComputedStyle(e).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    kept = static.evaluate("(e) => getComputedStyle(e).minHeight")
    assert kept in {"0px", "auto"}  # paper keeps no room for a widget


def test_text_in_a_static_form_is_never_markup():
    labels = ["<b>x</b>", "<i>", "&amp;"]
    static = QKVCalculator(QUERY, KEY, VALUE, labels).static_html()
    assert "<b>" not in static and "&lt;b&gt;x&lt;/b&gt;" in static
    sentences = small_sentences("<b>bold</b>")
    assert "<b>" not in AttentionHeatmap(sentences, compare=True).static_html()


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_an_output_holds_the_view_with_its_metadata_and_the_static_form(name):
    widget = all_widgets()[name]
    data, metadata = widget._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert data["text/html"] == widget.static_html()
    assert isinstance(metadata, dict)


# Starting -----------------------------------------------------------------------------


def test_a_widget_starts_when_the_reader_comes_near_it(open_page):
    page = open_page([calculator()], above=4000, started=False)
    page.wait_for_timeout(200)
    assert page.locator(".course-widget").count() == 0
    page.mouse.wheel(0, 2600)  # 4000 - 2600 - 900 is less than 800 below the screen
    page.locator(".course-widget").wait_for()
    assert not page.locator(".course-static").is_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_a_place_keeps_the_room_that_its_widget_takes(open_page, name, width):
    widget = {**all_widgets(), "heatmap": AttentionHeatmap.of_minilm()}[name]
    fingers = {"has_touch": True, "is_mobile": True} if width < 600 else {}
    page = open_page([widget], above=4000, started=False, width=width, **fingers)
    heights = "() => document.querySelector('.course-place').offsetHeight"
    kept = page.evaluate(heights)
    start(page)
    assert abs(page.evaluate(heights) - kept) < 0.25 * kept


def test_a_widget_starts_on_a_page_from_the_disk(tmp_path, new_page):
    write_page(tmp_path, calculator())
    page = new_page()
    page.goto((tmp_path / "page.html").as_uri() + "?qkv.scale=1")
    start(page)
    assert page.get_by_role("checkbox", name="divide by").is_checked()


# For everyone -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_every_target_of_a_finger_is_44_pixels_high(open_page, name):
    page = open_page([all_widgets()[name]], width=390, has_touch=True, is_mobile=True)
    sizes = page.locator(
        ".course-widget :is(button, select, input, summary):visible"
    ).evaluate_all(
        """(all) => all.map((e) => (e.closest("label") ?? e).getBoundingClientRect())
            .map((box) => box.height)"""
    )
    assert len(sizes) > 5 and np.min(sizes) >= 44


@pytest.mark.parametrize("name", ["qkv", "explorer", "heatmap"])
def test_nothing_moves_for_who_prefers_that(open_page, name):
    page = open_page([all_widgets()[name]])
    page.emulate_media(reduced_motion="reduce")
    longest = page.locator(".course-widget, .course-widget *").evaluate_all(
        """(all) => Math.max(...all.map((e) => getComputedStyle(e)).flatMap((s) =>
            [s.transitionDuration, s.animationDuration].map(parseFloat)))"""
    )
    assert longest == 0
