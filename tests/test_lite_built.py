"""The browser notebooks as they are published, and in a real browser: run, graded."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import nbformat
import numpy as np
import pytest
from browser import served, watched_page
from packaging.utils import canonicalize_name

from course_lib.grading import NotYet, check, checking
from course_lib.grading.questions import load
from tools import notebooks, vendor
from tools.lite import build, copies, files, needs, packages

START = 180_000  # milliseconds: Python in a browser, on a busy machine
CHAPTERS = [p.stem for p in copies.notebooks() if p.parent.name == "chapters"]
EXERCISES = [p.stem for p in copies.notebooks() if p.parent.name == "exercises"]
CHECK = re.compile(r'check\("([\d.]+)"')
# Runs a notebook's cells one by one in the kernel of the page that is open.
RUN = """async (cells) => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
    for (const code of ["get_ipython().run_line_magic('reset', '-f')", ...cells]) {
        const { content } = await kernel.requestExecute({ code }).done;
        if (content.status !== "ok") return `${content.evalue} in: ${code}`;
    }
}"""


# What failed, or nothing; null while cells are still to run.
ERRORS = """() => {
    const { cells } = jupyterapp.shell.currentWidget.content.model.sharedModel;
    const code = cells.filter((cell) => cell.cell_type === "code");
    const failed = code.flatMap((cell) => cell.outputs)
        .filter((output) => output.output_type === "error")
        .map((error) => error.evalue);
    return failed.length || code.every((cell) => cell.execution_count) ? failed : null;
}"""
SLIDER = """
import ipywidgets
slider, label = ipywidgets.IntSlider(value=3), ipywidgets.Label()
slider.observe(lambda change: setattr(label, "value", f"now {change.new}"), "value")
display(slider, label)
"""


@pytest.fixture(scope="module")
def site(html, tmp_path_factory):
    """The folder of a book with its browser notebooks."""
    try:
        files.fetch(files.read_lock())
    except SystemExit as problem:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(problem))
    folder = tmp_path_factory.mktemp("lite") / "html"
    shutil.copytree(html, folder)
    build.build(folder)
    return folder


def imported(path):
    """The top-level names of all that a notebook's cells import, in the end."""
    named = set()
    for cell in nbformat.read(path, as_version=4).cells:
        tree = ast.parse(cell.source if cell.cell_type == "code" else "")
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                named |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return set().union(*map(needs.closure, named)) - sys.stdlib_module_names


def python_packages(site):
    """The packages that Python in the browser can fetch, as its list has them."""
    folder = site / "lite" / "static" / "pyodide"
    return folder, json.loads((folder / packages.LIST).read_text())["packages"]


def test_every_package_that_the_numpy_parts_import_is_there(site):
    _, listed = python_packages(site)
    provided = {top for package in listed.values() for top in package["imports"]}
    for path in (site / "lite" / "files").rglob("*.ipynb"):
        missing = imported(path) - provided
        assert not missing, (
            f"{path.name} imports {missing}: add the package to `wanted` in "
            "site/lite.lock.json, then run `python -m tools.lite lock`"
        )


def test_every_package_is_there_as_the_list_has_it_and_needs_no_other(site):
    folder, listed = python_packages(site)
    for name, package in listed.items():
        assert package["sha256"] == vendor.digest(folder / package["file_name"]), name
        assert {canonicalize_name(n) for n in package["depends"]} <= listed.keys(), name


def test_an_unchanged_course_is_packed_under_the_same_name(site, tmp_path):
    folder, listed = python_packages(site)
    packages.build_course(tmp_path)
    (wheel,) = tmp_path.iterdir()
    assert wheel.name == listed[packages.COURSE]["file_name"]
    assert wheel.read_bytes() == (folder / wheel.name).read_bytes()


def test_what_is_published_is_light_and_holds_no_source_maps(site):
    paths = [path for path in site.rglob("*") if path.is_file()]
    assert not [path for path in paths if path.suffix == ".map"]
    assert sum(path.stat().st_size for path in paths) <= 120e6


def test_no_setting_of_the_browser_notebooks_names_another_host(site):
    for path in (site / "lite").glob("**/jupyter-lite.json"):
        assert "//" not in path.read_text(), path
    settings = json.loads((site / "lite" / "jupyter-lite.json").read_text())
    plugins = settings["jupyter-config-data"]["litePluginSettings"]
    assert plugins[build.KERNEL]["disablePyPIFallback"] is True


@pytest.fixture(scope="module")
def address(site):
    """Where the site is served."""
    with served(site) as address:
        yield address


@pytest.fixture
def page(browser, site):
    """A page that sees what it and the pages it opens ask for."""
    with watched_page(browser, accept_downloads=True) as (page, complaints):
        config = json.loads((site / "lite" / "jupyter-lite.json").read_text())
        config["jupyter-config-data"]["exposeAppInBrowser"] = True
        page.context.route(
            "**/lite/jupyter-lite.json*", lambda route: route.fulfill(json=config)
        )
        yield page
        assert complaints == []


def open_notebook(page, address, name):
    """Follow the link on a page of the book; gives the page of the notebook."""
    page.goto(f"{address}/{name}.html")
    page.get_by_text("Opens in a new tab").wait_for()
    with page.expect_popup() as opened:
        page.locator(".launch-here").click()
    wait_for_cells(opened.value)
    return opened.value


def wait_for_cells(notebook):
    """Wait until the notebook's cells are there and something will run them."""
    notebook.locator(".jp-CodeCell").first.wait_for()
    notebook.wait_for_function(
        "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
    )


def choose(notebook, menu, item):
    """Choose an item of a menu."""
    notebook.get_by_role("menuitem", name=menu, exact=True).click()
    notebook.get_by_role("menuitem", name=item, exact=True).click()


def write(cell, text):
    """Replace what a cell says, by keyboard."""
    cell.locator(".cm-content").click()
    cell.page.keyboard.press("Control+A")
    cell.page.keyboard.insert_text(text)


def run_all(notebook):
    """Run all cells; gives the errors: none, or the one at which it stopped."""
    choose(notebook, "Edit", "Clear Outputs of All Cells")  # those of the copy
    choose(notebook, "Run", "Run All Cells")
    notebook.wait_for_function(f"({ERRORS})() !== null", timeout=START)
    return notebook.evaluate(ERRORS)


def answers(name):
    """{number of the code cell: answer}, and the cell's number of each check."""
    solution = notebooks.compose(notebooks.ROOT / "solutions" / f"{name}.py")
    code = [cell.source for cell in solution.cells if cell.cell_type == "code"]
    found = {n: text for n, text in enumerate(code) if "### BEGIN SOLUTION" in text}
    checks = {
        CHECK.match(text)[1]: n for n, text in enumerate(code) if CHECK.match(text)
    }
    return found, checks


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_is_answered_checked_kept_and_graded(
    name, page, address, site, tmp_path
):
    loaded = {}
    page.context.on("response", lambda answer: loaded.update({answer.url: answer}))
    notebook = open_notebook(page, address, f"exercises/{name}")
    cells, (found, checks) = notebook.locator(".jp-CodeCell"), answers(name)
    for number, answer in found.items():
        write(cells.nth(number), answer)
    assert run_all(notebook) == []
    assert verdicts(cells, checks) == dict.fromkeys(checks, True)

    lengths = [int(a.headers.get("content-length", 0)) for a in loaded.values()]
    told = json.loads((site / build.STATE).read_text())["start"]
    assert 0.7 * told <= sum(lengths) <= told

    last = max(found)  # now a mistake
    stub = notebooks.SOLUTION.sub(r"\g<1>return None\n", found[last])
    write(cells.nth(last), stub)
    for _ in ("answer", "check"):
        notebook.keyboard.press("Shift+Enter")
    *_, id = checks
    feedback = cells.nth(checks[id]).locator(".jp-OutputArea-output").first
    feedback.get_by_text(f"✗ {id} not yet").wait_for(timeout=START)
    for line in said_here(id, stub):
        assert line.split("$")[0] in feedback.inner_text()  # formulas are set there
    shown = verdicts(cells, checks)
    notebook.keyboard.press("Control+S")
    notebook.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")

    notebook.reload()
    wait_for_cells(notebook)
    assert verdicts(cells, checks) == shown
    assert stub.split() == cells.nth(last).locator(".cm-content").inner_text().split()
    with notebook.expect_download() as download:
        choose(notebook, "File", "Download")
    path = tmp_path / f"{name}.ipynb"
    download.value.save_as(path)
    assert graded(path) == shown


def verdicts(cells, checks):
    """{question: whether its check shows that it passed} in an open notebook."""
    shown = {
        id: cells.nth(n).locator(".jp-OutputArea-output") for id, n in checks.items()
    }
    return {
        id: f"✓ {id} passed" in area.first.inner_text() for id, area in shown.items()
    }


def said_here(id, text):
    """What `check` says in this process about a wrong answer, without the example."""
    names = {"np": np}
    exec(text, names)
    checking._failures.clear()
    with redirect_stdout(StringIO()) as said, pytest.raises(NotYet):
        check(id, names[load(id).function])
    head, message, *_, hint = said.getvalue().replace("`", "").splitlines()
    return head, message, hint


def graded(path):
    """{question: whether it has all its points} from the command line."""
    report = path.with_suffix(".json")
    command = [sys.executable, "-m", "course_lib.cli", "grade", path, "--json", report]
    subprocess.run(command, check=True, capture_output=True)
    questions = json.loads(report.read_text())["questions"]
    return {row["id"]: row["points"] == row["possible"] for row in questions}


def test_the_numpy_part_of_every_chapter_runs(page, address, site):
    first, *others = [f"chapters/{name}" for name in reversed(CHAPTERS)]
    notebook = open_notebook(page, address, first)
    assert run_all(notebook) == []
    for name in others:
        saved = nbformat.read(site / "lite" / "files" / f"{name}.ipynb", as_version=4)
        code = [cell.source for cell in saved.cells if cell.cell_type == "code"]
        assert notebook.evaluate(RUN, code) is None, name


def test_widgets_obey_the_keyboard_and_tell_python(page, address):
    notebook = open_notebook(page, address, f"exercises/{EXERCISES[0]}")
    cell = notebook.locator(".jp-CodeCell").first
    run(cell, "import torch")
    cell.get_by_text("NoTorch: PyTorch does not run in the browser").wait_for(
        timeout=START
    )
    run(cell, SLIDER)
    cell.locator(".noUi-handle").focus(timeout=START)
    notebook.keyboard.press("ArrowRight")
    cell.get_by_text("now 4").wait_for()


def run(cell, text):
    """Replace what a cell says, and run it."""
    write(cell, text)
    cell.page.keyboard.press("Control+Enter")
