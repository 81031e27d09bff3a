"""Fixtures shared by every test module."""

import os

import pytest
from browser import browser, new_page, served
from filelock import FileLock

from tools import serve

__all__ = ["book_address", "browser", "html", "new_page"]

# No test downloads weights: what is not installed is missing.
os.environ["HF_HUB_OFFLINE"] = "1"


# More than a minute each. Begun last, they would keep one process busy on its own.
LONGEST = (
    "test_grading_killed",
    "test_lite_built",
    "test_site",
    "test_notebooks",
    "test_number_words_trained",
)


def pytest_collection_modifyitems(items):
    """The longest files first, and training at its full speed.

    What is trained for long is tested in small elsewhere, and seen by coverage there.
    """
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    for item in items:
        if item.get_closest_marker("trained"):
            item.add_marker("no_cover")


@pytest.fixture(scope="session")
def html(tmp_path_factory, worker_id):
    """The folder of the book's pages, built once by one process, outside the tree."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # which all processes of a run share
    built = folder / "site-is-built"
    with FileLock(folder / "site.lock"):
        if not built.exists():
            serve.build(output=folder / "site")
            built.touch()
    return folder / "site" / "_build" / "html"


@pytest.fixture(scope="session")
def book_address(html):
    """Where the book is served, for longer than any page of a test is open.

    A page that still loads something when its server goes away says so as an error.
    """
    with served(html) as address:
        yield address
