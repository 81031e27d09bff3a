"""A real browser and a local server, for the tests that look at pages.

Every page that `new_page` opens may talk to this machine only. When the test ends it
fails if the page asked for anything else, missed a file, or wrote an error to its console.
"""

import functools
import http.server
import os
import shutil
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

NAMES_ON_PATH = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LOCAL_HOSTS = {"localhost", "127.0.0.1"}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing about it."""

    def log_message(self, *args):
        """Keep the test report readable."""


@contextmanager
def served(folder):
    """Serve a folder on a free port of this machine; gives its address, no slash at the end."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def is_local(url):
    """Whether a request stays on this machine (data: and blob: addresses do)."""
    parts = urlsplit(url)
    return parts.scheme in {"data", "blob", "about"} or parts.hostname in LOCAL_HOSTS


def _no_browser(reason):
    message = f"No browser for the tests that look at pages: {reason}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _launch(playwright):
    on_path = next(filter(None, map(shutil.which, NAMES_ON_PATH)), None)
    try:
        return playwright.chromium.launch(executable_path=on_path, args=ARGUMENTS)
    except Exception as error:
        _no_browser(str(error).strip().splitlines()[0])


# One per module, not per session: Playwright keeps an event loop running, and tests of
# other modules that execute notebooks need to start their own.
@pytest.fixture(scope="module")
def browser():
    """A running Chromium: the one on the PATH, else Playwright's own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _no_browser("the Python package playwright is not installed")
    with sync_playwright() as playwright:
        chromium = _launch(playwright)
        yield chromium
        chromium.close()


@pytest.fixture
def new_page(browser):
    """A function that opens a page: `new_page(width=1280, color_scheme="light")`."""
    complaints, contexts = [], []

    def guard(route):
        if is_local(route.request.url):
            route.continue_()
        else:
            complaints.append(f"asked another host: {route.request.url}")
            route.abort()

    def open_page(width=1280, height=900, color_scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=color_scheme,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        context.route("**/*", guard)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"script failed: {error}"))
        page.on("console", lambda message: _complain(complaints, message))
        page.on("response", lambda response: _missing(complaints, response))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _complain(complaints, message):
    if message.type == "error":
        complaints.append(f"console: {message.text}")


def _missing(complaints, response):
    if response.status >= 400:
        complaints.append(f"{response.status}: {response.url}")
