"""Colours and notes that need no markup: notebooks stay plain Markdown.

The words query, key and value get their colour where they are bold or code, and a
paragraph that opens with "**Claim.**" and the like becomes a note.
"""

from docutils import nodes
from pygments.formatters import HtmlFormatter
from pygments.token import Name
from sphinx.highlighting import PygmentsBridge

WORDS = {
    "query": "query",
    "queries": "query",
    "key": "key",
    "keys": "key",
    "value": "value",
    "values": "value",
}
NOTES = {
    "Predict first": "predict",
    "Claim": "claim",
    "Takeaway": "takeaway",
    "What would make this false": "falsify",
}


def mark(app, doctree, docname):
    """Add the classes to a page's tree."""
    coloured = (nodes.strong, nodes.literal)
    for node in doctree.findall(lambda node: isinstance(node, coloured)):
        word = WORDS.get(node.astext().lower())
        if word:
            node["classes"].append(word)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        kind = _note(paragraph)
        if kind:
            _outermost(paragraph)["classes"] += ["course-note", f"course-{kind}"]


def _note(paragraph):
    first = next((child for child in paragraph if child.astext()), None)
    if isinstance(first, (nodes.strong, nodes.emphasis)):
        return NOTES.get(first.astext().rstrip(".:?"))
    return None


def _outermost(paragraph):
    """The quotation that the paragraph opens, else the paragraph."""
    parent = paragraph.parent
    opens = isinstance(parent, nodes.block_quote) and parent[0] is paragraph
    return parent if opens else paragraph


def list_references(app, doctree, docname):
    """Make the bibliography a plain list: docutils gives it roles that ARIA withdrew.

    Runs after the citations are resolved; links to an entry keep working.
    """
    for citation in list(doctree.findall(nodes.citation)):
        paragraph = citation[1]  # the label before it says no more than the entry
        item = nodes.list_item("", paragraph, ids=citation["ids"])
        index = citation.parent.index(citation)
        before = citation.parent[index - 1] if index else None
        if isinstance(before, nodes.bullet_list):
            before.append(item)
            citation.parent.remove(citation)
        else:
            citation.replace_self(nodes.bullet_list("", item))


class _Formatter(HtmlFormatter):
    """Marks the names query, key and value in code."""

    def format_unencoded(self, tokens, outfile):
        super().format_unencoded(map(_marked, tokens), outfile)


def _marked(token):
    kind, text = token
    word = WORDS.get(text) if kind in Name else None
    return (getattr(kind, word.capitalize()), text) if word else token


def colour_code():
    """Have Sphinx highlight code with our formatter."""
    PygmentsBridge.html_formatter = _Formatter
