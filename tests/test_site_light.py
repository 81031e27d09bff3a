"""What the pages weigh, what they load, and the parts that keep both small."""

import gzip
import json
import re
import shutil
import urllib.error
import urllib.request

import pytest
from browser import watched_page
from PIL import Image
from test_site import CHAPTERS, NAMES, ROOT, contrast, source

from course_lib.plotting import palette
from tools import lighthouse
from tools.compressed import compressing_server
from tools.screenshots import listening

TEXT_PAGE, WIDGET_PAGE = 700_000, 1_500_000  # bytes, compressed, before interaction
CHAPTER_1 = "chapters/01_bottleneck.html"

# Weight -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(html, browser):
    """{page: {address: bytes as sent}} of all that each page asks for by itself."""
    found = {}
    with listening(compressing_server(html)) as address:
        for name in NAMES:
            with watched_page(browser) as (page, _):
                found[name] = _loaded(page, f"{address}/{name}")
    return found


def _loaded(page, address):
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    addresses, sizes = {}, {}
    devtools.on(
        "Network.responseReceived",
        lambda event: addresses.update({event["requestId"]: event["response"]["url"]}),
    )
    devtools.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return {addresses[request]: size for request, size in sizes.items()}


@pytest.mark.parametrize("name", NAMES)
def test_page_is_light(loaded, name):
    is_widget = "application/vnd.jupyter.widget-view+json" in source(name)
    is_widget |= "{course-widget}" in source(name)
    assert sum(loaded[name].values()) <= (WIDGET_PAGE if is_widget else TEXT_PAGE)


@pytest.mark.parametrize("name", NAMES)
def test_page_loads_one_style_sheet_and_one_script_and_few_others(loaded, name):
    files = [address.split("/")[-1].split("?")[0] for address in loaded[name]]
    of_others = {"course_widgets.css", "launch.css", "reference.css"}
    assert {each for each in files if each.endswith(".css")} - of_others == {"site.css"}
    of_others = {"widgets.js", "launch.js", "attention_heatmap.js"}
    assert {each for each in files if each.endswith(".js")} - of_others == {"site.js"}


@pytest.mark.parametrize("name", CHAPTERS)
def test_figures_far_below_wait_for_the_reader(loaded, html, name):
    figures = re.findall(
        r'<img class="fig-\w+" src="[^"]*/([^"/]+)"', _text(html, name)
    )
    asked = [address for address in loaded[name] if address.endswith(".svg")]
    assert len(figures) >= 8 and len(asked) < len(figures) / 2


# Of the text; the table of contents beside it unfolds as the reader goes on.
JUMPS = """
    window.jumps = [];
    const inText = ({ node }) => node?.parentElement?.closest(".bd-article");
    new PerformanceObserver((list) => jumps.push(...list.getEntries()
        .filter((jump) => jump.sources.some(inText)).map((jump) => jump.value)))
        .observe({ type: "layout-shift", buffered: true });
"""


def test_nothing_jumps_while_a_chapter_loads_and_is_read(book_address, new_page):
    page = new_page(width=390, height=844)
    page.add_init_script(JUMPS)
    page.goto(f"{book_address}/{CHAPTER_1}")
    page.wait_for_load_state("networkidle")
    height = page.evaluate("document.documentElement.scrollHeight")
    for y in range(0, height, 700):
        page.evaluate(f"scrollTo(0, {y})")
        page.wait_for_timeout(30)
    assert sum(page.evaluate("jumps")) <= 0.05


def _text(html, name):
    return (html / name).read_text("utf-8")


@pytest.mark.parametrize("name", [*NAMES, "search.html", "404.html"])
def test_no_script_of_a_page_holds_up_its_text(html, name):
    scripts = re.findall(r"<script[^>]* src=[^>]*>", _text(html, name))
    assert scripts and all(" defer" in script for script in scripts)
    assert _text(html, name).count('name="viewport"') == 1


# Icons, style sheets, figures, formulas -----------------------------------------------


@pytest.fixture
def part(monkeypatch):
    """A function that imports a part of the book's Sphinx extension by its name."""
    monkeypatch.syspath_prepend(ROOT / "site" / "_ext")
    return __import__


def test_icons_are_drawn_and_their_script_is_not_published(html):
    for name in [*NAMES, "search.html"]:
        assert not re.search(r'<(i|span) class="[^"]*\bfa-', _text(html, name))
    assert "svg-inline--fa fa-solid fa-bars" in _text(html, "index.html")
    assert not list(html.rglob("*awesome*.js")) and not list(html.rglob("fa-*.woff2"))


def test_icon_keeps_its_classes_and_attributes(part):
    drawn = part("icons").draw('<i class="fas fa-sun fa-lg" data-mode="light"></i>')
    assert drawn.startswith('<svg class="svg-inline--fa fas fa-sun fa-lg" data-mode=')
    assert 'aria-hidden="true" viewBox="0 0 512 512"><path fill="currentColor"' in drawn


def test_regular_and_solid_icons_of_one_name_differ(part):
    regular, solid = (
        part("icons").draw(f'<i class="{kind} fa-lightbulb"></i>').split(" d=")[1]
        for kind in ("far", "fas")
    )
    assert regular != solid


def test_icon_that_the_theme_does_not_have_is_refused(part):
    with pytest.raises(LookupError, match="no icon for .*fa-no-such-thing"):
        part("icons").draw('<i class="fas fa-no-such-thing"></i>')


CSS = """
.used, .unused:hover { color: red }
.unused { color: green }
#here > p.used::before { content: "," }
@media print { .unused { color: blue } .used { color: black } }
@media screen { .unused { color: blue } }
:root { --ink: black }
div:not(.unused) { margin: 0 }
.bs-tooltip-auto { color: pink }
@font-face { font-family: "Font Awesome 6 Free"; src: url(icons.woff2) }
@font-face { font-family: Inter; src: url(inter.woff2) }
"""


def test_rules_for_what_no_page_has_are_dropped_and_no_others(part):
    kept = part("purge").purge(CSS, {"used", "here", "p", "div"})
    rules = re.sub(r"\s+", "", kept)
    assert rules == re.sub(
        r"\s+",
        "",
        """.used { color: red }
        #here > p.used::before { content: "," }
        @media print { .used { color: black } }
        :root { --ink: black }
        div:not(.unused) { margin: 0 }
        .bs-tooltip-auto { color: pink }
        @font-face { font-family: Inter; src: url(inter.woff2) }""",
    )


def test_style_sheet_holds_each_rule_that_our_own_sheets_have(html):
    published = re.sub(r"\s+", "", _text(html, "_static/site.css"))
    for name in ("colours", "course", "landing", "reading"):
        css = (ROOT / "site" / "css" / f"{name}.css").read_text()
        bodies = re.findall(r"{([^{}]*)}", re.sub(r"/\*.*?\*/", "", css, flags=re.S))
        lost = [each for each in bodies if re.sub(r"\s+", "", each) not in published]
        assert bodies and lost == []


def test_dark_figures_have_the_colours_of_the_dark_palette(html):
    drawings = [p for p in (html / "_images").glob("*.svg") if "-dark" not in p.stem]
    assert len(drawings) >= 10
    for path in drawings:
        dark = path.with_stem(f"{path.stem}-dark").read_text()
        colours = set(re.findall(r"#[0-9a-f]{6}\b", dark))
        assert palette.DARK["ink"] in colours or palette.DARK["muted"] in colours
        light = set(palette.LIGHT.values()) - {palette.LIGHT["paper"]}
        assert not colours & light


@pytest.mark.parametrize("name", palette.LIGHT)
def test_colour_of_the_palette_becomes_its_own_dark_one(part, name):
    assert part("figures").dark(palette.LIGHT[name]) == palette.DARK[name]


def test_tint_stays_a_tint_and_a_stranger_stays_itself(part):
    dark = part("figures").dark
    for grey in ("#cccccc", "#999999"):  # between paper and ink
        assert 1.2 < contrast(dark(grey), palette.DARK["paper"])
    assert contrast(dark("#999999"), palette.DARK["paper"]) > contrast(
        dark("#cccccc"), palette.DARK["paper"]
    )
    assert dark("#ff0000") == "#ff0000"


@pytest.mark.parametrize(
    "scheme, shown", [("light", "fig-light"), ("dark", "fig-dark")]
)
def test_a_page_shows_the_figures_of_its_scheme_and_paper_the_light_ones(
    book_address, new_page, scheme, shown
):
    page = new_page(color_scheme=scheme)
    page.goto(f"{book_address}/{CHAPTER_1}")
    visible = """() => [...new Set([...document.querySelectorAll("[class^=fig-]")]
        .filter((image) => image.getClientRects().length)
        .map((image) => image.className))]"""
    assert page.evaluate(visible) == [f"fig-{scheme}"]
    page.emulate_media(media="print")
    assert page.evaluate(visible) == ["fig-light"]


def test_formula_is_set_once_and_kept(part, tmp_path, monkeypatch):
    formulas = part("formulas")
    first = formulas.Typesetter(tmp_path / "kept.json")
    html = first.html(r"\sqrt{d_k}", display=False)
    assert "<mjx-msqrt>" in html and "<msqrt>" in html  # for eyes, for screen readers
    css = first.close()
    assert ".mjx-c1D458.TEX-I" in css and "mathjax/MathJax_Math-Italic.woff" in css
    monkeypatch.setattr(formulas.shutil, "which", lambda *_, **__: None)  # no Node.js
    second = formulas.Typesetter(tmp_path / "kept.json")
    assert second.html(r"\sqrt{d_k}", display=False) == html
    assert second.close() == css


def test_formula_that_cannot_be_set_says_why(part, tmp_path):
    typesetter = part("formulas").Typesetter(tmp_path / "kept.json")
    with pytest.raises(ValueError, match="Missing close brace|Extra open brace"):
        typesetter.html(r"\sqrt{d_k", display=True)
    typesetter.close()


# What others see ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "repository, expected",
    [
        ("https://github.com/Acme/course", "https://acme.github.io/course/"),
        ("https://github.com/Acme/acme.github.io", "https://acme.github.io/"),
    ],
)
def test_address_of_the_site_follows_from_the_repository_s(part, repository, expected):
    assert part("publish").address(repository) == expected


def test_sitemap_lists_every_page_and_robots_the_sitemap(html, part):
    base = part("publish").address(part("course").repository())
    listed = re.findall("<loc>(.*?)</loc>", _text(html, "sitemap.xml"))
    assert sorted(listed) == [f"{base}{name}" for name in NAMES]
    assert f"Sitemap: {base}sitemap.xml" in _text(html, "robots.txt")


@pytest.mark.parametrize("name", NAMES)
def test_a_link_to_a_page_shows_title_text_and_picture(html, part, name):
    tags = dict(
        re.findall(
            r'<meta property="og:([\w:]+)" content="([^"]*)">', _text(html, name)
        )
    )
    base = part("publish").address(part("course").repository())
    assert tags["title"] and tags["description"] and tags["image:alt"]
    assert tags["url"] == base + name
    picture = html / tags["image"].removeprefix(base)
    with Image.open(picture) as image:
        assert image.size == (int(tags["image:width"]), int(tags["image:height"]))


def test_a_wrong_address_shows_a_page_with_styles_and_links_that_work(
    html, browser, tmp_path, part
):
    base = part("publish").address(part("course").repository())
    folder = base.split("/")[-2]
    (tmp_path / folder).symlink_to(html)
    shutil.copy(html / "404.html", tmp_path)
    with listening(compressing_server(tmp_path)) as address:
        with watched_page(browser) as (page, complaints):
            page.goto(f"{address}/{folder}/chapters/no/such/page.html")
            assert page.get_by_role("heading", level=1).inner_text().startswith("There")
            assert len(complaints) == 2 and all("404" in each for each in complaints)
            font = page.evaluate(
                "getComputedStyle(document.querySelector('h1')).fontFamily"
            )
            assert font.startswith("Inter")
            page.get_by_role("link", name="the glossary").click()
            assert page.url == f"{address}/{folder}/glossary.html"


# The tools ----------------------------------------------------------------------------


def test_compressing_server_sends_less_and_the_same(html):
    with listening(compressing_server(html)) as address:
        with urllib.request.urlopen(f"{address}/index.html") as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.read()).decode() == _text(html, "index.html")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/no-such-page.html")


def report(performance, accessibility=1.0, failed=()):
    """What Lighthouse writes about one run, as far as the tool reads it."""
    audits = {"image-alt": 1, "color-contrast": 1, **dict.fromkeys(failed, 0)}
    return {
        "categories": {
            "performance": {"score": performance},
            "accessibility": {
                "score": accessibility,
                "auditRefs": [{"id": name} for name in audits],
            },
            "best-practices": {"score": 1},
            "seo": {"score": 0.92},
        },
        "audits": {name: {"score": score} for name, score in audits.items()}
        | {
            "largest-contentful-paint": {"numericValue": 1000 * performance},
            "total-blocking-time": {"numericValue": 100},
            "cumulative-layout-shift": {"numericValue": 0.012},
            "total-byte-weight": {"numericValue": 345_678},
        },
    }


def test_lighthouse_takes_the_median_of_its_runs():
    row = lighthouse.summary([report(0.5), report(0.97), report(0.9)])
    assert row["performance"] == 90 and row["seo"] == 92
    assert row["largest-contentful-paint"] == pytest.approx(0.9)
    assert row["failed"] == []


def test_lighthouse_table_marks_what_misses_its_aim():
    row = lighthouse.summary([report(0.9)])
    table = lighthouse.table({("notation.html", "desktop"): row})
    assert table.splitlines()[-1] == (
        "| notation.html | desktop | 90* | 100 | 100 | 92* | 0.9 | 0.1 | 0.012 | 346 |"
    )
    table = lighthouse.table({("notation.html", "mobile"): row})
    assert "| mobile | 90 |" in table


def test_lighthouse_fails_for_accessibility_alone(monkeypatch, html, capsys):
    reports = iter([report(0.1)] * 7 + [report(1.0, 0.99, ["image-alt"])] + [None])
    monkeypatch.setattr(lighthouse, "install", lambda: None)
    monkeypatch.setattr(lighthouse, "measure", lambda address, device: next(reports))
    assert lighthouse.main(["--html", str(html), "--runs", "1"]) is True
    said = capsys.readouterr().out
    assert "notation.html on a mobile has 99 of 100 points" in said
    assert "image-alt" in said and said.count("points for accessibility") == 1
    monkeypatch.setattr(lighthouse, "measure", lambda address, device: report(0.1))
    assert lighthouse.main(["--html", str(html), "--runs", "1"]) is False


def test_lighthouse_wants_a_book(tmp_path):
    with pytest.raises(SystemExit, match="no book in .*: build it first"):
        lighthouse.main(["--html", str(tmp_path)])


def test_lighthouse_is_locked_with_hashes():
    lock = json.loads((lighthouse.LOCK / "package-lock.json").read_text())
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert all(each["integrity"].startswith("sha512-") for each in packages.values())
    wanted = json.loads((lighthouse.LOCK / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
