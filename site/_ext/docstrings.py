"""Python source as nodes of a page: read, never imported, so it needs no PyTorch.

Docstrings have the course's own form: paragraphs, then Args, Returns and so on, each an
indented block. Their text is no markup, apart from `code` and arXiv's numbers.
"""

import ast
import inspect
import re
from itertools import groupby

from docutils import nodes

TITLES = {
    "Args": "Arguments",
    "Attributes": "Attributes",
    "Returns": "Returns",
    "Yields": "Yields",
    "Raises": "Raises",
}
LISTS = {"Args", "Attributes"}  # "name: text", one below the other
PIECE = re.compile(r"`([^`]+)`|arXiv:(\d{4}\.\d{4,5})")


class Entry:
    """A public function or class of a module.

    Attributes:
        name, kind: kind is "function", "method" or "class"
        signature:  the arguments in parentheses, as in the source
        docstring:  its text, without the indentation
        members:    public methods of a class, as entries
        code:       the source without the docstring
    """

    def __init__(self, node, source, kind):
        self.name, self.kind = node.name, kind
        if isinstance(node, ast.ClassDef):
            self.kind, self.signature = "class", _class_signature(node)
            self.members = _entries(node, source, "method")
        else:
            self.signature = _signature(node, skip=int(kind == "method"))
            self.members = []
        self.docstring = inspect.cleandoc(ast.get_docstring(node) or "")
        self.code = _without_docstring(node, source)


def read(path):
    """A module's docstring and its public entries, in the order of the source."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    return ast.get_docstring(tree) or "", _entries(tree, source, "function")


def _entries(tree, source, kind):
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = [node for node in tree.body if isinstance(node, kinds)]
    public = [node for node in found if not node.name.startswith("_")]
    return [
        Entry(node, source, kind)
        for node in public
        if kind != "method" or ast.get_docstring(node)
    ]


def _signature(function, skip=0):
    static = any(ast.unparse(d) == "staticmethod" for d in function.decorator_list)
    arguments = function.args
    if skip and not static:
        arguments.args = arguments.args[skip:]
    return f"({ast.unparse(arguments)})"


def _class_signature(node):
    """Of `__init__`, else the fields of a dataclass or a named tuple."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            return _signature(each, skip=1)
    fields = [
        each.target.id + (f"={ast.unparse(each.value)}" if each.value else "")
        for each in node.body
        if isinstance(each, ast.AnnAssign)
    ]
    return f"({', '.join(fields)})"


def _without_docstring(node, source):
    lines = source.splitlines()
    kept = range(node.lineno, node.end_lineno + 1)
    if ast.get_docstring(node):
        first = node.body[0]
        kept = [n for n in kept if not first.lineno <= n <= first.end_lineno]
    return "\n".join(lines[n - 1] for n in kept)


def render(docstring, link):
    """The nodes of a docstring; `link(name)` gives a node for a name in backticks."""
    found, fields = [], nodes.field_list()
    for title, block in _sections(docstring):
        if title is None:
            found += _blocks(block, link)
            continue
        body = nodes.field_body("", *_field(title, block, link))
        fields += nodes.field("", nodes.field_name("", TITLES[title]), body)
    return [*found, fields] if len(fields) else found


def _blocks(text, link):
    """Paragraphs; indented lines and formulas, one a line, stay as they are."""
    lines = text.splitlines()
    formulas = len(lines) > 1 and all(" = " in line for line in lines)
    for kept, group in groupby(lines, lambda line: formulas or line[0] == " "):
        part = "\n".join(group)
        if kept:
            code = inspect.cleandoc("\n" + part)
            yield nodes.literal_block("", code, language="text")
        else:
            yield nodes.paragraph("", "", *inline(part, link))


def _sections(docstring):
    """(None, paragraph) and (title, block) pairs, in order."""
    for block in re.split(r"\n\s*\n", docstring):
        heading, _, rest = block.partition(":\n")
        if heading in TITLES:
            yield heading, inspect.cleandoc("\n" + rest)
        elif block:
            yield None, block


def _field(title, block, link):
    if title not in LISTS:
        return [nodes.paragraph("", "", *inline(block, link))]
    items = re.split(r"\n(?=\S)", block)
    return [nodes.bullet_list("", *(_item(item, link) for item in items))]


def _item(item, link):
    name, _, text = item.partition(":")
    parts = [nodes.strong("", name), nodes.Text(": "), *inline(text, link)]
    return nodes.list_item("", nodes.paragraph("", "", *parts))


def inline(text, link):
    """Nodes of a text, with what is in backticks and arXiv's numbers as links."""
    text, end = " ".join(text.split()), 0
    for piece in PIECE.finditer(text):
        yield nodes.Text(text[end : piece.start()])
        if piece[1]:
            yield link(piece[1])
        else:
            address = f"https://arxiv.org/abs/{piece[2]}"
            yield nodes.reference("", piece[0], refuri=address)
        end = piece.end()
    yield nodes.Text(text[end:])
