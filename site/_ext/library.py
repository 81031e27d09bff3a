"""Pages that describe the library: `api` on each, and `api-places`, their table.

reference/places.yml is the one home of which page describes a module and which chapters
teach it. Functions of `in_numpy` and `in_torch` with one name share an entry.
"""

import re
from functools import cache
from pathlib import Path

import docstrings
import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
PLACES = ROOT / "reference" / "places.yml"
CHAPTER = re.compile(r"^(\d+)\. \*\*\[?(.+?)\.?(?:\]\(.+?\))?\.?\*\*", re.MULTILINE)
PACKAGE = "course_lib"
STYLES = "reference.css"


def places():
    """{page: {module: chapters}}, the modules without the package's name."""
    return yaml.safe_load(PLACES.read_text(encoding="utf-8"))


def chapter_titles():
    """{number: title} of all chapters, from the map of the first page."""
    text = (ROOT / "index.md").read_text(encoding="utf-8")
    return {int(number): title for number, title in CHAPTER.findall(text)}


def path_of(module):
    """The source of a module such as `in_numpy.attention`."""
    return ROOT / PACKAGE / f"{module.replace('.', '/')}.py"


def twin_of(module):
    """The PyTorch module of the same name, if there is one."""
    part, _, name = module.partition(".")
    twin = f"in_torch.{name}"
    return twin if part == "in_numpy" and path_of(twin).exists() else None


@cache
def entries(module):
    """A module's docstring and entries; a process reads each once."""
    return docstrings.read(path_of(module))


@cache
def full_names():
    """{name: [full names]} of all that the pages describe, methods left out."""
    found = {}
    for modules in places().values():
        for module in filter(None, [*modules, *map(twin_of, modules)]):
            for entry in entries(module)[1]:
                full = f"{PACKAGE}.{module}.{entry.name}"
                found.setdefault(entry.name, []).append(full)
    return found


def section_id(module):
    """The anchor of a module on its page."""
    return nodes.make_id(f"module-{module}")


class Api(SphinxDirective):
    """All modules of the page that it stands on."""

    def run(self):
        """A section for each module."""
        page = self.env.docname.rsplit("/", 1)[1]
        self.env.note_dependency(str(PLACES))
        self.env.note_dependency(str(ROOT / "index.md"))
        return [self.section(*each) for each in places()[page].items()]

    def section(self, module, chapters):
        """A module: what it is, where it is taught, what it has."""
        twin = twin_of(module)
        for each in filter(None, (module, twin)):
            self.env.note_dependency(str(path_of(each)))
        about, found = entries(module)
        section = nodes.section("", ids=[section_id(module)])
        section += nodes.title("", "", nodes.literal("", module))
        section += docstrings.render(about, self.link_from(module))
        section += self.taught_in(chapters)
        theirs = {e.name: e for e in entries(twin)[1]} if twin else {}
        for entry in found:
            section += self.described(module, entry, twin, theirs.pop(entry.name, None))
        for entry in theirs.values():
            section += self.described(twin, entry)
        return section

    def taught_in(self, chapters):
        """A line that names the chapters; those that are there are links."""
        if not chapters:
            text = "Behind the scenes: no chapter teaches it."
            return nodes.paragraph("", text, classes=["api-place"])
        line = nodes.paragraph("", "Its place: chapter ", classes=["api-place"])
        for position, number in enumerate(chapters):
            line += nodes.Text(", " if position else "")
            line += self.chapter(number)
        line += nodes.Text(".")
        return line

    def chapter(self, number):
        """A chapter's number and title, as a link if it is there."""
        text = f"{number}, {chapter_titles()[number]}"
        start = f"chapters/{number:02}_"
        there = [doc for doc in self.env.found_docs if doc.startswith(start)]
        if not there:
            return nodes.Text(f"{text} (to come)")
        return nodes.reference("", text, refuri=f"../{there[0]}.html", internal=True)

    def described(self, module, entry, twin=None, other=None):
        """A function or class with what it says about itself."""
        node = self.signature(module, entry.kind, entry.name, entry.signature)
        description = node.next_node(addnodes.desc)
        content = description.next_node(addnodes.desc_content)
        content += docstrings.render(entry.docstring, self.link_from(module))
        codes = [("NumPy", entry)] if module.startswith("in_numpy") else []
        if other:
            theirs = self.signature(twin, other.kind, other.name, other.signature)
            second = theirs.next_node(addnodes.desc_signature)
            second["_toc_name"] = ""  # beside the page the name stands once
            description.insert(1, second)
            node += theirs.findall(addnodes.index)
            codes.append(("PyTorch", other))
        for method in entry.members:
            name = f"{entry.name}.{method.name}"
            one = self.signature(module, "method", name, method.signature)
            prefix = one.next_node(addnodes.desc_addname)
            prefix.parent.remove(prefix)  # it stands below its class
            inner = one.next_node(addnodes.desc_content)
            inner += docstrings.render(method.docstring, self.link_from(module))
            content += one.children
        if codes:
            content += nodes.container("", *map(_code, codes), classes=["api-code"])
        return node.children

    def signature(self, module, kind, name, arguments):
        """Sphinx's own nodes for an object, empty: they bring anchor and index."""
        text = f"```{{py:{kind}}} {PACKAGE}.{module}.{name}{arguments}\n```"
        return nodes.container("", *self.parse_text_to_nodes(text))

    def link_from(self, module):
        """A function that makes a name in backticks a link, where it is described."""

        def link(text):
            code = nodes.literal("", text)
            names = full_names().get(text.rpartition(".")[2], [])
            part = module.partition(".")[0]
            for wanted in (f".{text}", f".{module}.{text}", f".{part}."):
                fitting = [name for name in names if wanted in name]
                if len(fitting) == 1:
                    target = {"reftarget": fitting[0], "refdoc": self.env.docname}
                    kind = {"refdomain": "py", "reftype": "obj"}
                    return addnodes.pending_xref("", code, **target, **kind)
            return code

        return link


def _code(named):
    """Code that a reader may unfold."""
    name, entry = named
    block = nodes.literal_block("", entry.code, language="python")
    summary = f"<summary>Code in {name}</summary>"
    opening = nodes.raw("", f'<details class="api-unfold">{summary}', format="html")
    return nodes.container(
        "", opening, block, nodes.raw("", "</details>", format="html")
    )


class ApiPlaces(SphinxDirective):
    """The table of all modules: what each is, and its chapters."""

    def run(self):
        """One table."""
        self.env.note_dependency(str(PLACES))
        rows = [
            self.row(page, module, chapters)
            for page, modules in places().items()
            for module, chapters in modules.items()
        ]
        names = ("module", "what it is", "chapter")
        head = _row(*([nodes.Text(name)] for name in names))
        group = nodes.tgroup("", cols=3)
        group += [nodes.colspec(colwidth=width) for width in (25, 60, 15)]
        group += [nodes.thead("", head), nodes.tbody("", *rows)]
        return [nodes.table("", group)]

    def row(self, page, module, chapters):
        """A module's row."""
        path = path_of(module)
        self.env.note_dependency(str(path))
        address = f"{page}.html#{section_id(module)}"
        link = nodes.reference("", "", nodes.literal("", module), refuri=address)
        what = entries(module)[0].split("\n\n")[0]
        code = docstrings.inline(what, lambda name: nodes.literal("", name))
        return _row([link], code, [nodes.Text(", ".join(map(str, chapters)) or "-")])


def _row(*cells):
    made = [nodes.entry("", nodes.paragraph("", "", *cell)) for cell in cells]
    return nodes.row("", *made)


def add_styles(app, pagename, templatename, context, doctree):
    """Give the pages of the reference their style."""
    if pagename.startswith("reference/"):
        app.add_css_file(STYLES)


def connect(app):
    """Connect the parts to Sphinx."""
    app.config.toc_object_entries_show_parents = "hide"  # names alone beside a page
    app.add_directive("api", Api)
    app.add_directive("api-places", ApiPlaces)
    app.connect("html-page-context", add_styles)
