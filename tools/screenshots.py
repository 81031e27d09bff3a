"""Pictures of every page of the built book: `python -m tools.screenshots FOLDER`.

Desktop and phone, light and dark, for people to look at. The book must be built.
"""

import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from tools.serve import ROOT, server

NAMES_ON_PATH = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    # As with the cable pulled: no name but this machine's leads anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]
LOAD_IMAGES = """() => Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().catch(() => {});
})).then(() => true)"""
WIDTHS = {"desktop": 1280, "phone": 390}


def launch(playwright):
    """Start the Chromium on the PATH, else Playwright's own."""
    on_path = next(filter(None, map(shutil.which, NAMES_ON_PATH)), None)
    return playwright.chromium.launch(executable_path=on_path, args=ARGUMENTS)


@contextmanager
def listening(server):
    """Have a server answer; gives its address, without a slash at its end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def served(folder):
    """Serve a folder on a free port; gives the address, without a slash at its end."""
    return listening(server(folder, port=0))


def settle(page):
    """Start every widget and image; wait until they and the letters are drawn."""
    page.wait_for_load_state("load")
    page.evaluate(LOAD_IMAGES)
    page.evaluate("() => window.courseWidgets?.startAll().then(() => true)")
    page.evaluate("() => document.fonts.ready.then(() => true)")


def pages(html):
    """The pages of a built book that people read, as paths below its folder."""
    made = {"404.html", "genindex.html", "search.html"}
    found = sorted(path.relative_to(html).as_posix() for path in html.rglob("*.html"))
    return [n for n in found if n not in made and not n.startswith(("_", "lite/"))]


def main(folder):
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    html, folder = ROOT / "_build" / "html", Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with served(html) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        for scheme in ("light", "dark"):
            for device, width in WIDTHS.items():
                size = {"width": width, "height": 844}
                page = browser.new_page(
                    viewport=size,
                    color_scheme=scheme,
                    reduced_motion="reduce",  # no picture of a thing on its way
                )
                for name in pages(html):
                    page.goto(f"{address}/{name}")
                    settle(page)
                    stem = name.removesuffix(".html").replace("/", "-")
                    path = folder / f"{stem}-{device}-{scheme}.png"
                    page.screenshot(path=path, full_page=True)
                    print(path)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "_build/screenshots")
