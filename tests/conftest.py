"""Fixtures shared by every test module."""

import os

import pytest
from browser import browser, new_page

from tools import serve

__all__ = ["browser", "html", "new_page"]

# No test downloads weights: what is not installed is missing.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The folder of the book's pages, built once, outside the tree."""
    return serve.build(output=tmp_path_factory.mktemp("site"))
