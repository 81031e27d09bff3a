"""The built book as files: what it names, what it holds, and the tools that make it."""

import base64
import json
import re
import socket
import urllib.request
from html.parser import HTMLParser

import pytest
from browser import served
from test_site import CHAPTERS, NOTEBOOKS, ROOT, contrast

from course_lib.plotting import palette
from tools import serve, vendor

# Relations of a page that name an address and load nothing.
PLACES = {"canonical", "index", "next", "prev", "search"}


class _Loaded(HTMLParser):
    """Collects what a page would load, and the text of its own scripts."""

    def __init__(self):
        super().__init__()
        self.addresses, self.scripts, self.in_script = [], [], False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.in_script = tag == "script"
        if tag == "link" and attributes.get("rel") not in PLACES:
            self.addresses.append(attributes.get("href") or "")
        if tag != "a":
            loaded = ("src", "srcset", "data", "poster")
            self.addresses += [attributes.get(name) or "" for name in loaded]

    def handle_data(self, data):
        if self.in_script:
            self.scripts.append(data)


def foreign(text):
    """Addresses on other hosts in a text; names of XML languages are not addresses."""
    found = re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+[^\s\"'\\)<>]*", text)
    return [each for each in found if "//www.w3.org/" not in each]


def test_no_page_names_a_script_style_font_or_image_of_another_host(html):
    for path in html.rglob("*.html"):
        loaded = _Loaded()
        loaded.feed(path.read_text())
        assert foreign(" ".join(loaded.addresses)) == [], path
        assert foreign(" ".join(loaded.scripts)) == [], path


def test_no_style_sheet_or_script_of_ours_names_another_host(html):
    for path in html.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import)\s*([^);]+)", path.read_text())
        assert foreign(" ".join(url for url in urls if "data:" not in url)) == [], path
    for path in (ROOT / "site" / "js").iterdir():
        assert foreign(path.read_text()) == [], path


def test_solutions_and_test_tools_are_not_published(html):
    for path in html.rglob("*"):
        assert "solutions" not in path.parts and "axe" not in path.name
        if path.suffix in {".html", ".ipynb", ".js", ".txt"}:
            assert "### BEGIN SOLUTION" not in path.read_text(), path


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_set_up_cells_are_hidden(html, name):
    assert "find_spec" not in (html / name).read_text()


@pytest.fixture
def course(monkeypatch):
    """The book's Sphinx extension."""
    monkeypatch.syspath_prepend(ROOT / "site" / "_ext")
    import course

    return course


def test_repository_has_one_home_and_a_fork_overrides_it(course, monkeypatch):
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    project = (ROOT / "pyproject.toml").read_text()
    assert f'Repository = "{course.repository()}"' in project
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/fork")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com/")
    assert course.repository() == "https://github.com/somebody/fork"


def css_colours(selector):
    """The custom properties that colours.css sets for a selector."""
    css = (ROOT / "site" / "css" / "colours.css").read_text()
    block = re.search(rf"^ *{re.escape(selector)} {{(.*?)}}", css, re.M | re.S)[1]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))


@pytest.mark.parametrize(
    "selector, colours",
    [("html", palette.LIGHT), ('html[data-theme="dark"]', palette.DARK)],
)
def test_colours_are_the_palette_and_can_be_read(selector, colours):
    assert css_colours(selector) == colours
    for name in colours.keys() - {"paper"}:
        assert contrast(colours[name], colours["paper"]) >= 4.5


def test_map_links_the_chapters_that_are_there_and_marks_the_others():
    entries = re.findall(r"^\d+\. \*\*.*$", (ROOT / "index.md").read_text(), re.M)
    linked = [re.search(r"\*\*\[.+\]\((chapters/.+?)\)", entry) for entry in entries]
    assert len(entries) == 14 and "*This page.*" in entries[0]
    assert [each[1].replace(".ipynb", ".html") for each in linked if each] == CHAPTERS
    for entry, link in list(zip(entries, linked, strict=True))[1:]:
        assert ("*To come.*" in entry) == (link is None)


def test_server_says_what_a_font_is(html):
    with served(html / "_static") as address:
        font = f"{address}/fonts/inter-latin-wght-normal.woff2"
        with urllib.request.urlopen(font) as answer:
            assert answer.headers["Content-Type"] == "font/woff2"


def test_taken_port_is_said_in_one_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=f"Port {port} is taken.*PORT="):
            serve.serve(port)


def test_vendored_file_with_another_hash_is_refused(tmp_path):
    tarball = tmp_path / "widget-1.0.0.tgz"
    tarball.write_bytes(b"not what was locked")
    locked = "sha512-" + base64.b64encode(bytes(64)).decode()
    with pytest.raises(SystemExit, match="widget is not the file"):
        vendor.check("widget", tarball, locked)


def test_changed_vendored_file_is_noticed(html, tmp_path, monkeypatch):
    assert vendor.complete()
    stamp = json.loads(vendor.STAMP.read_text())
    stamp["files"]["test/axe.min.js"] = "0" * 64
    changed = tmp_path / "verified.json"
    changed.write_text(json.dumps(stamp))
    monkeypatch.setattr(vendor, "STAMP", changed)
    assert not vendor.complete()
