"""Draw the pictures that stand for the site elsewhere: `python -m tools.pictures`.

The browser draws them with the site's fonts and colours; they are committed.
"""

from tools.screenshots import launch
from tools.serve import ROOT

PICTURES = ROOT / "site" / "pictures"
DRAWN = {  # name: (source, width, height)
    "social.png": (ROOT / "tools" / "social.html", 1200, 630),  # for links in posts
    "icon.png": (PICTURES / "favicon.svg", 180, 180),  # for a phone's home screen
}


def main():
    """Draw them all."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, (source, width, height) in DRAWN.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(source.as_uri())
            page.evaluate("() => document.fonts.ready.then(() => true)")
            page.screenshot(path=PICTURES / name)
        browser.close()


if __name__ == "__main__":
    main()
