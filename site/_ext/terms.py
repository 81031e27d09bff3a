"""Links to the glossary that need no markup, and what previews of links say.

The first mention of a glossary's term on a page leads to the glossary. Such links, and
citations, show what they lead to when the reader points at them: site/js/previews.js
reads the texts from one file, which it fetches when it needs one.
"""

import json
import re
from pathlib import Path

from docutils import nodes

GLOSSARY, REFERENCES = "glossary", "references"
FILE = "preview_texts.js"
# Words with other meanings too: they lead to the glossary only where they are bold.
EVERYDAY = set(
    "attention head key mask output query score temperature value weight".split()
)
NO_PLACE = (  # a link inside these would be wrong, or in the way
    nodes.reference,
    nodes.title,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.math_block,
    nodes.raw,
    nodes.table,
    nodes.caption,
)
NO_CLASS = {"course-facts", "course-map"}  # there they would be clutter
PLURALS = (("y", "ies"), ("", "s"))


def terms(env):
    """{a word or words, in lower case: anchor} of the glossary, plurals too."""
    found = {}
    for (kind, name), (docname, anchor) in env.domains["std"].objects.items():
        if kind == "term" and docname == GLOSSARY:
            found[name.lower()] = anchor
            for end, plural in PLURALS:
                if name.endswith(end):
                    found.setdefault(name.lower().removesuffix(end) + plural, anchor)
    return found


def link(app, doctree, docname):
    """Have the first mention of each term on a page lead to the glossary."""
    known = terms(app.env)
    if docname in (GLOSSARY, REFERENCES) or not known or app.builder.format != "html":
        return
    names = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    pattern = re.compile(rf"(?<![\w-])({names})(?![\w-])", re.IGNORECASE)
    address = app.builder.get_relative_uri(docname, GLOSSARY)
    linked = set()
    for text in list(doctree.findall(nodes.Text)):
        if _may_hold_a_link(text):
            _link_in(text, pattern, known, linked, address)


def _may_hold_a_link(text):
    node = text.parent
    while node is not None:
        if isinstance(node, NO_PLACE) or NO_CLASS & set(node.get("classes", ())):
            return False
        node = node.parent
    return True


def _link_in(text, pattern, known, linked, address):
    """Replace one text by what it was with links in it."""
    pieces, end = [], 0
    is_bold = isinstance(text.parent, nodes.strong)
    for mention in pattern.finditer(text):
        anchor = known[mention[0].lower()]
        everyday = anchor.removeprefix("term-") in EVERYDAY
        if anchor in linked or (everyday and not is_bold):
            continue
        linked.add(anchor)
        pieces += [
            nodes.Text(text[end : mention.start()]),
            nodes.reference(
                "",
                mention[0],
                internal=True,
                refuri=f"{address}#{anchor}",
                classes=["course-term"],
            ),
        ]
        end = mention.end()
    if pieces:
        text.parent.replace(text, [*pieces, nodes.Text(text[end:])])


def texts(app):
    """{address below the site's root, or a paper's address: HTML} of all previews."""
    found = {}
    for item in _items(app, GLOSSARY, nodes.definition_list_item):
        for term in item.findall(nodes.term):
            text = f"<p><strong>{term.astext()}</strong></p>" + _html(app, item[-1])
            found |= {f"{GLOSSARY}.html#{anchor}": text for anchor in term["ids"]}
    for item in _items(app, REFERENCES, nodes.list_item):
        links = [link["refuri"] for link in item.findall(nodes.reference)]
        text = _html(app, item)
        found |= {f"{REFERENCES}.html#{anchor}": text for anchor in item["ids"]}
        found |= {link: text for link in links}
    return found


def _items(app, docname, kind):
    if docname not in app.env.all_docs:
        return []
    return app.env.get_and_resolve_doctree(docname, app.builder).findall(kind)


def _html(app, node):
    """What a node holds, as HTML without links: it is shown on other pages."""
    node = node.deepcopy()
    for reference in list(node.findall(nodes.reference)):
        reference.parent.replace(reference, reference.children)
    for element in node.findall(nodes.Element):
        element["ids"] = []
    return "".join(
        app.builder.render_partial(child)["fragment"].strip() for child in node
    )


def publish(app, exception):
    """Write the texts as a script, which a page from a disk may read too."""
    if exception is None:
        path = Path(app.outdir, "_static", FILE)
        path.write_text(f"coursePreviews({json.dumps(texts(app))});\n", "utf-8")


def setup(app):
    """Connect the parts to Sphinx."""
    app.connect("doctree-resolved", link, priority=700)
    app.connect("build-finished", publish, priority=400)
