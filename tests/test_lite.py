"""The browser notebooks before they are built: lock, sources, copies, links."""

import hashlib
import json
import random
import re
import signal
import tarfile

import nbformat
import pytest

from tools import serve
from tools.lite import build, copies, files, lock, needs

LOCK = files.read_lock()
COLAB = "https://colab.example/owner/course/blob/main"


def test_every_file_of_the_lock_has_a_name_a_version_a_hash_and_sources():
    for name, file in LOCK["files"].items():
        assert file["name"] and file["version"], name
        assert re.fullmatch("[0-9a-f]{64}", file["sha256"]), name
        assert file["from"] and set(file["from"]) <= set(files.SOURCES), name


def test_the_lock_holds_what_it_says_is_wanted():
    versions = {
        file["name"].lower(): file["version"] for file in LOCK["files"].values()
    }
    wanted = LOCK["wanted"]
    assert set(wanted["pyodide"]) <= versions.keys()
    for requirement in wanted["browser"] + wanted["build"]:
        name, version = requirement.split("==")
        assert versions[name] == version


def small_lock(**texts):
    """A lock of a few files: {name: (right text, sources)}."""
    return {
        "sources": {},
        "files": {
            name: {
                "name": name,
                "version": "1",
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                "from": sources,
            }
            for name, (text, sources) in texts.items()
        },
    }


@pytest.fixture
def sources(monkeypatch):
    """Sources that write what they are told to; gives (what, which were asked)."""
    texts, asked = {}, []

    def source(name):
        def write(locked, names, folder):
            asked.append(name)
            if name not in texts:
                raise files.Unreachable("no network here")
            for each in names:
                (folder / each).write_text(texts[name])

        return write

    monkeypatch.setattr(files, "SOURCES", {n: source(n) for n in ("first", "second")})
    return texts, asked


def test_a_file_comes_from_the_first_source_that_has_it_right(sources, tmp_path):
    texts, asked = sources
    texts |= {"first": "wrong", "second": "right"}
    locked = small_lock(wheel=("right", ["first", "second"]))
    assert files.fetch(locked, tmp_path) == 1
    assert asked == ["first", "second"]
    assert (tmp_path / "wheel").read_text() == "right"
    assert [path.name for path in tmp_path.iterdir()] == ["wheel"]


def test_what_is_there_is_checked_and_not_fetched_again(sources, tmp_path):
    texts, asked = sources
    texts["first"] = "right"
    locked = small_lock(wheel=("right", ["first"]))
    files.fetch(locked, tmp_path)
    assert files.fetch(locked, tmp_path) == 0 and asked == ["first"]
    (tmp_path / "wheel").write_text("damaged")
    assert files.fetch(locked, tmp_path) == 1
    assert (tmp_path / "wheel").read_text() == "right"


def test_what_has_another_hash_is_not_kept(sources, tmp_path):
    texts, _ = sources
    texts["first"] = "wrong"
    with pytest.raises(SystemExit, match="another hash"):
        files.fetch(small_lock(wheel=("right", ["first"])), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_no_source_has_stops_with_its_name_and_the_reasons(
    sources, tmp_path
):
    locked = small_lock(wheel=("right", ["first", "second"]))
    with pytest.raises(SystemExit) as stop:
        files.fetch(locked, tmp_path)
    for part in ("1 of 1", "wheel", "first: no network here", "second:", "network?"):
        assert part in str(stop.value)


def test_the_release_is_read_no_further_than_it_must_be(tmp_path):
    archive, inside = tmp_path / "release.tar.bz2", tmp_path / "numpy.whl"
    inside.write_text("right")
    (tmp_path / "large.whl").write_bytes(random.Random(0).randbytes(3_000_000))
    with tarfile.open(archive, "w:bz2") as release:
        release.add(inside, "pyodide/other.whl")
        release.add(inside, "pyodide/numpy.whl")
        release.add(tmp_path / "large.whl", "pyodide/large.whl")
    archive.write_bytes(archive.read_bytes()[:1_500_000])  # and no further it can be
    folder = tmp_path / "folder"
    folder.mkdir()
    locked = {"sources": {"release": {"address": archive.as_uri()}}}
    files.from_release(locked, ["numpy.whl"], folder)
    assert [path.name for path in folder.iterdir()] == ["numpy.whl"]
    with pytest.raises(files.TROUBLE):
        files.from_release(locked, ["large.whl"], folder)


def test_a_package_brings_what_it_needs_under_any_spelling():
    packages = {
        "matplotlib": {"depends": ["python_dateutil"]},
        "python-dateutil": {"depends": ["six"]},
        "six": {"depends": []},
        "other": {"depends": []},
    }
    expected = ["matplotlib", "python-dateutil", "six"]
    assert lock.closure(packages, ["Matplotlib"]) == expected
    with pytest.raises(SystemExit, match="no package called pandas"):
        lock.closure(packages, ["pandas"])


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A folder with the copies of all notebooks."""
    folder = tmp_path_factory.mktemp("copies")
    copies.write(folder, COLAB)
    return folder


def test_no_chapter_asks_the_browser_for_pytorch(copied):
    for path in copied.glob("chapters/*.ipynb"):
        original = nbformat.read(files.ROOT / path.relative_to(copied), as_version=4)
        copy = nbformat.read(path, as_version=4)
        nbformat.validate(copy)
        assert [cell.id for cell in copy.cells] == [cell.id for cell in original.cells]
        for before, after in zip(original.cells, copy.cells, strict=True):
            if "torch" in before.metadata.get("tags", []):
                assert after.cell_type == "markdown"
                assert before.source in after.source and "PyTorch" in after.source
                assert f"{COLAB}/chapters/{path.name}" in after.source
            else:
                assert after == before


def test_a_cell_that_is_only_read_shows_what_it_printed_and_drew():
    output = nbformat.v4.new_output
    data, alt = (
        {"image/svg+xml": "<svg/>"},
        {"image/svg+xml": {"alt": "A falling curve"}},
    )
    cell = nbformat.v4.new_code_cell(
        "train()",
        outputs=[
            output("stream", name="stdout", text="loss 0.1\n"),
            output("display_data", data=data, metadata=alt),
        ],
    )
    text = copies.to_be_read(cell, COLAB)
    assert "loss 0.1\n```" in text.source
    assert "![A falling curve](attachment:figure-1.svg)" in text.source
    assert text.attachments == {"figure-1.svg": {"image/svg+xml": "PHN2Zy8+"}}


def test_exercises_go_to_the_browser_as_they_are(monkeypatch, tmp_path):
    cell = nbformat.v4.new_code_cell("answer = ...", metadata={"tags": ["torch"]})
    path = tmp_path / "exercises" / "01_name.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    monkeypatch.setattr(copies, "ROOT", tmp_path)
    copies.write(tmp_path / "copies", COLAB)
    copy = tmp_path / "copies" / "exercises" / path.name
    assert copy.read_bytes() == path.read_bytes()  # so its answers can be graded


def test_a_part_of_the_library_says_what_it_needs():
    provided = {name: name for name in ("matplotlib", "num2words", "anywidget")}
    of_module = {
        module: set(names)
        for names, modules in needs.groups(provided).items()
        for module in modules
    }
    assert of_module["course_lib.plotting"] == {"matplotlib"}
    assert of_module["course_lib.data.number_words"] == {"num2words"}
    assert of_module["course_lib.widgets"] >= {"anywidget"}
    assert "course_lib.grading" not in of_module  # a check waits for NumPy alone


def test_a_module_needs_what_the_packages_around_its_imports_need(
    monkeypatch, tmp_path
):
    texts = {
        "course_lib/__init__.py": "",
        "course_lib/one.py": "def f():\n    from course_lib.two.three import x",
        "course_lib/two/__init__.py": "import numpy.linalg",
        "course_lib/two/three.py": "import os",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(needs, "ROOT", tmp_path)
    assert needs.closure("course_lib.one") == {"numpy", "os"}
    assert needs.groups({"numpy": "numpy"}) == {
        frozenset(["numpy"]): [
            "course_lib.one",
            "course_lib.two",
            "course_lib.two.three",
        ]
    }


NOTEBOOKS = [p.relative_to(files.ROOT).with_suffix("") for p in copies.notebooks()]


@pytest.mark.parametrize("name", NOTEBOOKS, ids=str)
def test_every_notebooks_page_links_to_a_page_that_is_there(html, name):
    text = (html / name).with_suffix(".html").read_text()
    (link,) = re.findall(
        r'<a class="launch-here" href="([^"]+)" data-notebook="([^"]+)"', text
    )
    assert ((html / name).parent / link[0]).resolve() == html / "browser.html"
    assert link[1] == f"{name}.ipynb"
    assert (
        text.count("btn-launch-here") == 1
    )  # and in the menu, beside Binder and Colab
    assert (html / "browser.html").exists()


@pytest.mark.parametrize(
    "state, note",
    [
        ({"state": "missing"}, "built without it"),
        ({"state": "building"}, "being built"),
    ],
)
def test_a_page_says_so_while_the_notebook_is_not_there(
    book_address, new_page, tmp_path, state, note
):
    page = new_page()
    page.route("**/lite.json", lambda route: route.fulfill(json=state))
    page.goto(f"{book_address}/{NOTEBOOKS[0]}.html")
    page.locator(".launch-note", has_text=note).wait_for()
    for selector in (".launch-here", ".btn-launch-here"):
        assert page.locator(selector).get_attribute("href") == "../browser.html"


def test_a_link_turns_to_the_notebook_when_it_is_ready_meanwhile(
    book_address, new_page
):
    page, states = new_page(), ["building", "ready"]
    ready = {"start": 39_000_001, "figures": 9_000_000}

    def answer(route):
        state = states.pop(0) if len(states) > 1 else states[0]
        route.fulfill(json={"state": state, **ready})

    page.route("**/lite.json", answer)
    page.goto(f"{book_address}/{NOTEBOOKS[0]}.html")
    page.locator(".launch-note", has_text="at most 40 MB").wait_for()
    path = str(NOTEBOOKS[0]).replace("/", "%2F")
    target = f"{book_address}/lite/notebooks/index.html?path={path}.ipynb"
    for selector in (".launch-here", ".btn-launch-here"):
        link = page.locator(selector)
        assert link.evaluate("link => link.href") == target
    page.goto(f"{book_address}/browser.html")
    page.get_by_text("The first time it loads at most 40 MB.").wait_for()
    page.get_by_text("This copy of the course has it.").wait_for()


def test_a_book_without_its_browser_notebooks_says_so(html):
    assert json.loads((html / build.STATE).read_text()) == {"state": "missing"}
    assert not (html / build.FOLDER).exists()


@pytest.fixture
def book(monkeypatch, tmp_path):
    """A folder to build into, without success, and how it was meanwhile."""
    seen = []

    def colab_address(folder):
        return COLAB

    def place(folder, colab):
        seen.append(json.loads((folder / build.STATE).read_text())["state"])
        raise SystemExit("there is no network")

    monkeypatch.setattr(build, "colab_address", colab_address)
    monkeypatch.setattr(build, "place", place)
    return tmp_path, seen


@pytest.mark.parametrize(
    "before, meanwhile, after",
    [("missing", "building", "missing"), ("ready", "ready", "ready")],
)
def test_a_build_that_fails_leaves_the_pages_telling_the_truth(
    book, before, meanwhile, after
):
    folder, seen = book
    build.tell(folder, state=before)
    with pytest.raises(SystemExit):
        build.build(folder)
    assert seen == [meanwhile]
    assert json.loads((folder / build.STATE).read_text()) == {"state": after}


def test_serving_ends_what_is_still_being_built(monkeypatch, tmp_path):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(serve.sys, "executable", str(slow))
    with serve.add_browser_notebooks(tmp_path) as building:
        assert building.poll() is None
    assert building.returncode == -signal.SIGTERM


def test_the_browser_notebooks_need_a_book_to_be_built_into(tmp_path):
    with pytest.raises(SystemExit, match="holds no book"):
        build.build(tmp_path)
