"""A real browser for the tests that look at pages.

Every page that `new_page` opens may talk to this machine only. The test fails in
the end if the page asked for more, missed a file, or wrote an error to its console.
"""

import os
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from tools.screenshots import launch, served, settle

__all__ = ["browser", "new_page", "served", "settle", "watched_page"]

LOCAL_HOSTS = {"localhost", "127.0.0.1"}


def is_local(url):
    """Whether a request stays on this machine (files, data: and blob: addresses do)."""
    parts = urlsplit(url)
    return (
        parts.scheme in {"data", "blob", "about", "file"}
        or parts.hostname in LOCAL_HOSTS
    )


def _no_browser(reason):
    message = f"No browser for the tests that look at pages: {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


# One per module, not per session: Playwright keeps an event loop running, and tests of
# other modules that execute notebooks need to start their own.
@pytest.fixture(scope="module")
def browser():
    """A running Chromium: the one on the PATH, else Playwright's own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _no_browser("the Python package playwright is not installed")
    with sync_playwright() as playwright:
        try:
            chromium = launch(playwright)
        except Error as error:
            _no_browser(error.message.strip().splitlines()[0])
        yield chromium
        chromium.close()


@contextmanager
def watched_page(browser, width=1280, height=900, color_scheme="light", **options):
    """Open a page that may talk to this machine only.

    Gives the page and the list of its complaints: requests to other hosts, missing
    files, errors in its console. It grows while the page is in use.
    """
    complaints = []

    def request(asked):
        if not is_local(asked.url):
            complaints.append(f"asked another host: {asked.url}")

    def console(message):
        if message.type == "error":
            complaints.append(f"console: {message.text}")

    def response(answer):
        if answer.status >= 400:
            complaints.append(f"{answer.status}: {answer.url}")

    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=color_scheme,
        reduced_motion="reduce",
        **options,
    )
    # Of the context, so that pages which this one opens are watched, too.
    context.on("weberror", lambda e: complaints.append(f"script failed: {e.error}"))
    context.on("console", console)
    context.on("request", request)
    context.on("response", response)
    yield context.new_page(), complaints
    context.close()


@pytest.fixture
def new_page(browser):
    """A function that opens a page: `new_page(width=1280, color_scheme="light")`."""
    with ExitStack() as stack:
        opened = []

        def open_page(**options):
            page, complaints = stack.enter_context(watched_page(browser, **options))
            opened.append(complaints)
            return page

        yield open_page
    complaints = [complaint for of_page in opened for complaint in of_page]
    if complaints:
        pytest.fail("\n".join(complaints), pytrace=False)
