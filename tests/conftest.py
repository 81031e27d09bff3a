"""Fixtures shared by every test module."""

from browser import browser, new_page

__all__ = ["browser", "new_page"]
