"""The link on each notebook's page that runs it in the reader's own browser.

When the book is built, nobody knows yet whether the browser notebooks will stand beside
it. So the link leads to a page that tells about them, and site/js/launch.js turns it to
the notebook itself where `lite.json` says that it is there.
"""

import html
import json
from pathlib import Path

from docutils import nodes

ABOUT = "browser"  # the page that says what to expect
STATE = "lite.json"
ICON = "_static/images/logo_jupyterlite.svg"
# As long as what the script puts in its place, so that nothing jumps.
NOTE = (
    "Nothing to install. It loads some tens of megabytes once, and starts in about "
    "half a minute."
)
CALLS = {
    "chapters": "Run this chapter in your browser",
    "exercises": "Answer these questions in your browser",
}


def call(docname):
    """What the link of a page says; nothing where there is no notebook to run."""
    return CALLS.get(docname.split("/")[0], "")


def add_link(app, doctree, docname):
    """Put the link under the title of a notebook's page."""
    title = next(iter(doctree.findall(nodes.title)), None)
    if app.builder.format != "html" or not call(docname) or title is None:
        return
    about = app.builder.get_relative_uri(docname, ABOUT)
    text = (
        f'<p class="course-launch"><a class="launch-here" href="{about}" '
        f'data-notebook="{html.escape(docname)}.ipynb">{call(docname)}</a> '
        f'<span class="launch-note">{NOTE}</span> '
        f'<a href="{about}">What to expect</a></p>'
    )
    place = title.parent.index(title) + 1
    title.parent.insert(place, nodes.raw("", text, format="html"))


def add_button(app, pagename, templatename, context, doctree):
    """Put the same link first into the page's launch menu; bring script and style."""
    if not (call(pagename) or pagename == ABOUT):
        return
    app.add_js_file("launch.js", defer="defer")
    app.add_css_file("launch.css", priority=910)
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            button = {
                "type": "link",
                "text": "Your browser",
                "tooltip": call(pagename),
                "icon": ICON,
                "url": context["pathto"](ABOUT),
                "label": "launch-here",
            }
            group["buttons"].insert(0, button)


def tell_that_it_is_missing(app, exception):
    """Say so to the pages, unless an earlier build left the browser notebooks."""
    path = Path(app.outdir, STATE)
    there = path.exists() and Path(app.outdir, "lite").exists()
    ready = there and json.loads(path.read_text())["state"] == "ready"
    if exception is None and app.builder.format == "html" and not ready:
        path.write_text(json.dumps({"state": "missing"}))


def connect(app):
    """Connect the parts to Sphinx."""
    app.connect("doctree-resolved", add_link)
    app.connect("html-page-context", add_button, priority=900)
    app.connect("build-finished", tell_that_it_is_missing)
