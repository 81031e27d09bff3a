"""Fixtures shared by every test module."""

import pytest
from browser import browser, new_page

from tools import serve

__all__ = ["browser", "html", "new_page"]


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The folder of the book's pages, built once, outside the tree."""
    return serve.build(output=tmp_path_factory.mktemp("site"))
