"""The pages that describe the library: complete, true to the source, in their place."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from browser import settle
from bs4 import BeautifulSoup
from test_layout import LIBRARY, public_functions

ROOT = Path(__file__).parents[1]
NOT_DESCRIBED = {
    "cli",
    *(f"grading/{inner}" for inner in "explanations policy questions reports".split()),
}
IN_NUMPY = sorted(
    (path.stem, name)
    for path in (LIBRARY / "in_numpy").glob("*.py")
    for name in public_functions(path)
)


@pytest.fixture(scope="module")
def library():
    """The extension that writes the pages."""
    sys.path.insert(0, str(ROOT / "site" / "_ext"))
    import library

    yield library
    sys.path.pop(0)


@pytest.fixture(scope="module")
def entry(html):
    """A function that gives the text of an entry, found by its full name."""
    paths = (html / "reference").glob("*.html")
    pages = [BeautifulSoup(path.read_text("utf-8"), "lxml") for path in paths]
    found = {sig["id"]: sig for page in pages for sig in page.select("dt.sig[id]")}

    @cache
    def text(name):
        said = found[name].find_parent("dl").get_text(" ")
        return " ".join(said.replace("\u2026", "...").replace("\u2019", "'").split())

    return text


def described_modules():
    """Every module that should be on a page, as places.yml writes it."""
    for path in LIBRARY.rglob("*.py"):
        name = path.relative_to(LIBRARY).with_suffix("").as_posix()
        if path.stem != "__init__" and not name.startswith(tuple(NOT_DESCRIBED)):
            yield name.replace("/", ".")


def test_every_module_has_one_place_or_is_the_twin_of_one_that_has(library):
    placed = [name for modules in library.places().values() for name in modules]
    twins = [twin for twin in map(library.twin_of, placed) if twin]
    assert len(set(placed)) == len(placed)
    assert sorted(placed + twins) == sorted(described_modules())


def test_every_page_of_the_reference_is_in_the_table_of_contents(library):
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    named = set(re.findall(r"file: reference/(\w+)", toc)) - {"index"}
    there = {path.stem for path in (ROOT / "reference").glob("*.md")} - {"index"}
    assert named == there == set(library.places())


def test_a_module_is_taught_where_the_table_says(library):
    """What a chapter that is here teaches, it or its exercises name."""
    for modules in library.places().values():
        for module, chapters in modules.items():
            assert set(chapters) <= set(library.chapter_titles())
            names = set(public_functions(library.path_of(module)))
            names |= {entry.name for entry in library.entries(module)[1]}
            for number in chapters:
                texts = [
                    path.read_text("utf-8")
                    for folder in ("chapters", "solutions")
                    for path in (ROOT / folder).glob(f"{number:02}_*.py")
                ]
                assert not texts or any(
                    re.search(rf"\b{name}\b", text) for name in names for text in texts
                ), f"chapter {number} does not use {module}: see places.yml"


@pytest.mark.parametrize(("module", "name"), IN_NUMPY)
def test_a_numpy_function_has_an_entry_that_says_what_its_docstring_says(
    entry, module, name
):
    tree = ast.parse((LIBRARY / "in_numpy" / f"{module}.py").read_text("utf-8"))
    (function,) = [node for node in tree.body if getattr(node, "name", "") == name]
    said = entry(f"course_lib.in_numpy.{module}.{name}")
    for argument in function.args.args:
        assert argument.arg in said
    docstring = ast.get_docstring(function)
    for word in re.findall(r"\w+", re.sub(r"\w+:\n", " ", docstring)):
        assert word in said
    for paper in re.findall(r"arXiv:\d{4}\.\d{4,5}", docstring):
        assert paper in said


def test_twins_share_an_entry_with_the_code_of_both(entry):
    said = entry("course_lib.in_numpy.masks.causal_mask")
    assert said == entry("course_lib.in_torch.masks.causal_mask")
    assert "Code in NumPy" in said and "Code in PyTorch" in said
    alone = entry("course_lib.in_numpy.ops.softmax_backward")
    assert "in_torch" not in alone and "Code in PyTorch" not in alone


def test_a_class_is_described_with_its_methods(entry):
    said = entry("course_lib.in_torch.masked_model.MaskedModel")
    assert "max_length : longest sequence" in said
    assert re.search(r"encode_words \( ids , mask", said)


def test_papers_are_links(html):
    page = (html / "reference" / "attention.html").read_text("utf-8")
    assert re.search(r'href="https://arxiv.org/abs/1706.03762">arXiv:1706.03762<', page)


def test_no_answer_to_a_question_and_no_private_name_is_described(html):
    for path in (html / "reference").glob("*.html"):
        ids = re.findall(r'id="(course_lib\.[\w.]+)"', path.read_text("utf-8"))
        assert not [
            name for name in ids if re.search(r"\._|\.(questions|explanations)\.", name)
        ]


def test_the_pages_are_made_without_pytorch(library):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'site' / '_ext')!r})\n"
        "sys.modules['torch'] = None\n"
        "import library\n"
        "for modules in library.places().values():\n"
        "    for module in modules:\n"
        "        library.entries(module)\n"
        "        library.entries(library.twin_of(module) or module)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stderr == ""


def test_the_search_finds_a_function_by_its_name(book_address, new_page):
    page = new_page()
    page.goto(f"{book_address}/search.html?q=online_softmax")
    settle(page)
    first = page.locator("ul.search li a").first
    first.wait_for()
    assert "reference/" in first.get_attribute("href")
