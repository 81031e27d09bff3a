"""The built book in a real browser with no network."""

import re
from itertools import chain

import numpy as np
import pytest
import yaml
from browser import served, settle, watched_page

from course_lib.in_numpy import softmax
from course_lib.plotting import palette
from tools import serve, vendor
from tools.screenshots import pages

ROOT = serve.ROOT
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())


def sources(entry):
    """The source files of a table of contents, in its order."""
    files = [entry[key] for key in ("root", "file") if key in entry]
    below = [entry.get(key, []) for key in ("parts", "chapters", "sections")]
    return files + [file for each in chain(*below) for file in sources(each)]


NAMES = sorted(f"{file}.html" for file in sources(TOC))
NOTEBOOKS = [name for name in NAMES if "/" in name]
CHAPTERS = [name for name in NAMES if name.startswith("chapters/")]
AXE = "() => axe.run({resultTypes: ['violations']}).then(found => found.violations)"
FACTS = """() => ({
    formulas: document.querySelectorAll("mjx-container").length,
    dollars: [...document.querySelectorAll(".math")]
        .filter((box) => !box.querySelector("mjx-container")).length,
    images: [...document.querySelectorAll(".bd-article img")].map((img) => img.alt),
    widgets: document.querySelectorAll(".course-widget").length,
    description: document.querySelector("meta[name=description]")?.content ?? "",
})"""
COLOURS = """(selector) => [...new Set([...document.querySelectorAll(selector)]
    .map((element) => getComputedStyle(element).color))]"""

WORN = {
    "query": "strong.query, code.query, .n-Query, .mjx-c1D45E.TEX-I, .mjx-c1D444.TEX-I",
    "key": "strong.key, code.key, .n-Key, .mjx-c1D458.TEX-I, .mjx-c1D43E.TEX-I",
    "value": "strong.value, code.value, .n-Value, .mjx-c1D463.TEX-I, .mjx-c1D449.TEX-I",
}


def examine(page, address):
    """What a page shows: facts, findings of axe in both schemes, width on a phone."""
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.goto(address)
    settle(page)
    page.add_script_tag(path=vendor.VENDOR / "test" / "axe.min.js")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    seen = page.evaluate(FACTS)
    seen["colours"] = {name: page.evaluate(COLOURS, css) for name, css in WORN.items()}
    seen["light"] = page.evaluate(AXE)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_timeout(200)
    seen["dark"] = page.evaluate(AXE)
    seen["width"] = page.evaluate("document.documentElement.scrollWidth")
    return seen


@pytest.fixture(scope="module")
def seen(html, browser):
    """What each page shows, by name, each visited once."""
    found = {}
    with served(html) as address, watched_page(browser) as (page, complaints):
        for name in NAMES:
            found[name] = examine(page, f"{address}/{name}")
            found[name]["complaints"] = complaints.copy()
            complaints.clear()
    return found


def source(name):
    """The text that a page was built from."""
    suffix = ".ipynb" if name in NOTEBOOKS else ".md"
    return (ROOT / name).with_suffix(suffix).read_text()


def test_every_page_of_the_book_is_visited(html):
    assert pages(html) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_page_loads_without_errors_and_asks_no_other_host(seen, name):
    assert seen[name]["complaints"] == []


@pytest.mark.parametrize("name", NAMES)
def test_formulas_are_typeset(seen, name):
    assert seen[name]["dollars"] == 0
    assert (seen[name]["formulas"] > 0) == ("$" in source(name))


@pytest.mark.parametrize("name", NAMES)
def test_images_have_alt_text_that_is_not_a_file_name(seen, name):
    for alt in seen[name]["images"]:
        assert len(alt.split()) >= 5 and not re.search(r"\.(png|svg|jpe?g)$", alt), alt
    assert bool(seen[name]["images"]) == ("image/svg+xml" in source(name))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing(seen, name, scheme):
    findings = [
        (violation["id"], [node["html"][:200] for node in violation["nodes"]])
        for violation in seen[name][scheme]
    ]
    assert findings == []


@pytest.mark.parametrize("name", NAMES)
def test_phone_needs_no_sideways_scroll(seen, name):
    assert seen[name]["width"] <= 390


@pytest.mark.parametrize("name", NAMES)
def test_widgets_appear_without_a_kernel(seen, name):
    stored = source(name).count('"application/vnd.jupyter.widget-view+json"')
    assert seen[name]["widgets"] == stored


def test_the_calculator_computes_on_the_page_by_mouse_and_by_keyboard(html, new_page):
    page = new_page()
    with served(html) as address:
        page.goto(f"{address}/chapters/02_query_key_value.html")
        settle(page)
        shares = page.locator(".qkv-share")
        start = [float(share) for share in shares.all_inner_texts()]
        page.get_by_label("query, number 2").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type("0")
        page.locator(".qkv-live", has_text="capital gets 0.72").wait_for()
        expected = softmax(np.array([1.0, 0, 0, 3, 0, 0, 0]))  # the query is now (1, 0)
        shown = [float(share) for share in shares.all_inner_texts()]
        assert np.allclose(shown, expected, rtol=0, atol=0.005)
        page.get_by_role("button", name="Reset").click()
        assert [float(share) for share in shares.all_inner_texts()] == start


def test_the_explorer_follows_the_keyboard_on_the_page(html, new_page):
    page = new_page()
    with served(html) as address:
        page.goto(f"{address}/chapters/01_bottleneck.html")
        settle(page)
        page.get_by_role("radio", name="32", exact=True).focus()
        page.keyboard.press("ArrowRight")
        page.get_by_text("With 64 numbers of state and one budget").wait_for()


@pytest.mark.parametrize("name", NAMES)
def test_page_describes_itself(seen, name):
    assert 5 <= len(seen[name]["description"].split())
    assert len(seen[name]["description"]) <= 160


@pytest.mark.parametrize("word", WORN)
@pytest.mark.parametrize("name", ["chapters/02_query_key_value.html", "notation.html"])
def test_text_code_and_formulas_wear_the_colour(seen, name, word):
    rgb = bytes.fromhex(palette.LIGHT[word].removeprefix("#"))
    assert seen[name]["colours"][word] == [f"rgb({', '.join(map(str, rgb))})"]
