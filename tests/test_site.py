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
NOTEBOOKS = [name for name in NAMES if name.startswith(("chapters/", "exercises/"))]
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
# [colour, background] of all elements of a kind, each as [red, green, blue].
COLOURS = """(selector) => {
    const brush = new OffscreenCanvas(1, 1).getContext("2d");
    const numbers = (colour) => {
        brush.clearRect(0, 0, 1, 1);
        brush.fillStyle = colour;
        brush.fillRect(0, 0, 1, 1);
        return [...brush.getImageData(0, 0, 1, 1).data];
    };
    const behind = (element) => {
        const [r, g, b, opacity] = numbers(getComputedStyle(element).backgroundColor);
        return opacity ? [r, g, b] : behind(element.parentElement);
    };
    const pairs = [...document.querySelectorAll(selector)].map((element) =>
        [numbers(getComputedStyle(element).color).slice(0, 3), behind(element)]);
    return [...new Set(pairs.map(JSON.stringify))].map(JSON.parse);
}"""
# How many characters stand in each line of text, the last of a paragraph aside.
LINES = """() => [...document.querySelectorAll(".bd-article section > p")].map((p) => {
    const texts = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
    const range = document.createRange(), lines = [];
    let bottom = -Infinity;
    while (!p.querySelector(".math") && texts.nextNode()) {
        for (let i = 0; i < texts.currentNode.length; i++) {
            range.setStart(texts.currentNode, i);
            range.setEnd(texts.currentNode, i + 1);
            const box = range.getClientRects()[0];
            if (!box?.width) continue;
            if (box.top > bottom - 4) { lines.push(0); bottom = box.bottom; }
            lines[lines.length - 1]++;
        }
    }
    return lines.slice(0, -1);
}).flat()"""

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
    seen["lines"] = page.evaluate(LINES)
    seen["colours"] = {"light": colours(page)}
    seen["light"] = page.evaluate(AXE)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_timeout(200)
    seen["colours"]["dark"] = colours(page)
    seen["dark"] = page.evaluate(AXE)
    seen["width"] = page.evaluate("document.documentElement.scrollWidth")
    return seen


def colours(page):
    """The colours of query, key and value on a page, each with what is behind it."""
    return {word: page.evaluate(COLOURS, css) for word, css in WORN.items()}


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


def rgb_hex(numbers):
    """(red, green, blue) as "#rrggbb"."""
    return f"#{bytes(numbers).hex()}"


def contrast(first, second):
    """The WCAG 2 contrast ratio of two colours, from 1 to 21."""
    levels = np.array([list(bytes.fromhex(hex[1:])) for hex in (first, second)]) / 255
    linear = np.where(
        levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4
    )
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


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
    assert seen[name]["widgets"] == stored + source(name).count("{course-widget}")


@pytest.mark.parametrize("name", NAMES)
def test_lines_of_text_are_neither_long_nor_short(seen, name):
    lines = seen[name]["lines"]
    if len(lines) >= 10:
        assert 60 <= np.median(lines) <= 75
        assert np.quantile(lines, 0.9) <= 80


def test_the_calculator_computes_on_the_page_by_mouse_and_by_keyboard(
    book_address, new_page
):
    page = new_page()
    page.goto(f"{book_address}/chapters/02_query_key_value.html")
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


def test_the_explorer_follows_the_keyboard_on_the_page(book_address, new_page):
    page = new_page()
    page.goto(f"{book_address}/chapters/01_bottleneck.html")
    settle(page)
    page.get_by_role("radio", name="32", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("With 64 numbers of state and one budget").wait_for()


@pytest.mark.parametrize("name", NAMES)
def test_page_describes_itself(seen, name):
    assert 5 <= len(seen[name]["description"].split())
    assert len(seen[name]["description"]) <= 160


@pytest.mark.parametrize("word", WORN)
@pytest.mark.parametrize("scheme", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["chapters/02_query_key_value.html", "notation.html"])
def test_text_code_and_formulas_wear_the_colour(seen, name, scheme, word):
    worn = seen[name]["colours"]["light" if scheme is palette.LIGHT else "dark"][word]
    assert {rgb_hex(colour) for colour, _ in worn} == {scheme[word]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_query_key_and_value_can_be_read_wherever_they_stand(seen, name, scheme):
    for word, worn in seen[name]["colours"][scheme].items():
        for pair in worn:
            assert contrast(*map(rgb_hex, pair)) >= 4.5, (word, pair)
