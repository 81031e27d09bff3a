"""What a page says about itself at its top, and what the page before says about it.

A notebook opens with its question and one paragraph "**You need** ... **Time:** ...
**Level:** ...". That reads well anywhere; on the site it becomes a row of facts under
the title, and the end of each page tells what comes next and how long it takes.
"""

from docutils import nodes

LABELS = ("Time", "Level", "You need")  # in the order of the row
QUESTION = "The question"


def collect(app, doctree):
    """Keep the question and the facts of each page that is read."""
    env = app.env
    if not hasattr(env, "course_facts"):
        env.course_facts = {}
    env.course_facts[env.docname] = {
        label: "".join(node.astext() for node in parts)
        for label, parts in read(doctree).items()
    }


def forget(app, env, docname):
    """Drop what was kept of a page that is read anew or gone."""
    getattr(env, "course_facts", {}).pop(docname, None)


def read(doctree):
    """{label: nodes} of a page's opening, a label being QUESTION or one of LABELS."""
    found = {}
    for paragraph in _opening(doctree):
        for node in filter(_text, paragraph):
            if _label(node):
                parts = found[_label(node)] = []
            else:
                parts.append(node)
    return {label: _polished(parts) for label, parts in found.items()}


def _opening(doctree):
    """The paragraphs near the title that open with a label."""
    section = next(iter(doctree.findall(nodes.section)), [])
    near = [node for node in section[:6] if isinstance(node, nodes.paragraph)]
    return [each for each in near if _label(next(filter(_text, each), each))]


def _text(node):
    return node.astext()


def _label(node):
    name = node.astext().rstrip(".:")
    is_label = isinstance(node, nodes.strong) and name in (QUESTION, *LABELS)
    return name if is_label else ""


def _polished(parts):
    """Copies of the nodes behind a label, as a text that stands alone."""
    parts = [part.deepcopy() for part in parts]
    while not parts[0].astext().strip():  # the end of a line
        parts.pop(0)
    if isinstance(parts[0], nodes.Text):
        text = parts[0].lstrip()
        parts[0] = nodes.Text(text[:1].upper() + text[1:])
    while not parts[-1].astext().strip():
        parts.pop()
    if isinstance(parts[-1], nodes.Text):
        parts[-1] = nodes.Text(parts[-1].rstrip().removesuffix("."))
    return parts


def show(app, doctree, docname):
    """Put the question and the row of facts under the title of a page."""
    found = read(doctree)
    if not set(LABELS) <= set(found):
        return
    opening = _opening(doctree)
    section = opening[0].parent
    for paragraph in opening:
        section.remove(paragraph)
    section.insert(1, _row(found))
    if QUESTION in found:
        lead = nodes.paragraph("", "", *found[QUESTION], classes=["course-question"])
        section.insert(1, lead)


def _row(found):
    row = nodes.definition_list(classes=["course-facts"])
    for label in LABELS:
        definition = nodes.definition("", nodes.paragraph("", "", *found[label]))
        row += nodes.definition_list_item("", nodes.term("", label), definition)
    return row


def tell_next(app, pagename, templatename, context, doctree):
    """Give the page what the template says about the one that comes next."""
    _, _, following = app.builder.relations.get(pagename, (None, None, None))
    facts = getattr(app.env, "course_facts", {}).get(following, {})
    names = [name for name in (QUESTION, "Time") if name in facts]
    context["next_about"] = [facts[name] for name in names]


def setup(app):
    """Connect the parts to Sphinx."""
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", collect)
    app.connect("doctree-resolved", show, priority=600)
    app.connect("html-page-context", tell_next)
