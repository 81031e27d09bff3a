"""Places for the course's widgets: a static form that steps back when scripts run.

A notebook's output holds a widget both as a view and as HTML. The page gets both, in
one place: site/js/widgets.js starts the view when the reader comes near; on paper and
without scripts the HTML is what there is. The directive `course-widget` makes the same
place in a Markdown page.
"""

import hashlib
import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from course_lib import widgets

LOGGER = logging.getLogger(__name__)
VIEW = "application/vnd.jupyter.widget-view+json"
STYLES, SCRIPT = "course_widgets.css", "widgets.js"
PUBLISHED = {"attention_heatmap": widgets.AttentionHeatmap.of_minilm}


class WidgetPlaces(SphinxPostTransform):
    """Put the two forms of each widget of a notebook into one place."""

    default_priority = 3  # before myst-nb keeps one form of each output
    formats = ("html",)

    def run(self, **kwargs):
        """Change the outputs of one page."""
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            forms = {form["mime_type"]: form for form in bundle}
            if VIEW not in forms:
                continue
            if "text/html" not in forms:
                LOGGER.warning("a widget has no static form", location=bundle)
                continue
            view = forms[VIEW]
            model = re.search(r'"model_id": "(\w+)"', view.astext())[1]
            view.children = place(f'data-model="{model}"', forms["text/html"].children)


class CourseWidgetDirective(SphinxDirective):
    """A widget of `PUBLISHED` in a Markdown page."""

    required_arguments = 1

    def run(self):
        """The place of the widget; its state comes in a file of its own."""
        (name,) = self.arguments
        for path in Path(widgets.__file__).parent.iterdir():
            self.env.note_dependency(str(path))
        widget = PUBLISHED[name]()
        version = hashlib.sha256(state_script(widget).encode()).hexdigest()[:8]
        root = "../" * self.env.docname.count("/")
        source = f"{root}_static/{name}.js?v={version}"
        return place(f'data-source="{source}"', [raw(widget.static_html())])


def place(attributes, static):
    """The nodes of a place around the nodes of a static form."""
    opening = raw(f'<div class="course-place" {attributes}>')
    return [opening, *static, raw("</div>")]


def raw(text):
    """Markup of our own."""
    return nodes.raw("", text, format="html")


def state_script(widget):
    """A script that gives the page a widget's state."""
    traits = {
        name: value
        for name, value in widget.get_state().items()
        if name == "_esm" or not name.startswith("_")
    }
    return f"courseWidgets.give({json.dumps(traits)});\n"


def publish(app):
    """Write the widgets' styles, and the states of those in Markdown pages."""
    folder = Path(app.outdir, "_static")
    folder.mkdir(parents=True, exist_ok=True)
    all_widgets = widgets.CourseWidget.__subclasses__()
    sheets = dict.fromkeys(
        name for widget in all_widgets for name in ("base", widget.stem)
    )
    texts = [
        Path(widgets.__file__).with_name(f"{name}.css").read_text() for name in sheets
    ]
    (folder / STYLES).write_text("".join(texts))
    for name, make in PUBLISHED.items():
        (folder / f"{name}.js").write_text(state_script(make()))


def add_files(app, pagename, templatename, context, doctree):
    """Give the pages that have a place what places need."""
    if doctree and any(
        'class="course-place"' in node.astext() for node in doctree.findall(nodes.raw)
    ):
        app.add_css_file(STYLES)
        app.add_js_file(SCRIPT, defer="defer")


def connect(app):
    """Connect the parts to Sphinx."""
    app.add_directive("course-widget", CourseWidgetDirective)
    app.add_post_transform(WidgetPlaces)
    app.connect("builder-inited", publish)
    app.connect("html-page-context", add_files)
