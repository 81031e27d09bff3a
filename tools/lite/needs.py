"""What a part of the course's library needs besides NumPy, read from its sources.

The browser fetches a package when a cell imports it by name. A cell that says
`from course_lib.plotting import show` does not name matplotlib, so we say it for it.
"""

import ast
from functools import cache

from tools.lite.files import ROOT

LIBRARY = "course_lib"


def modules():
    """The dotted names of all modules of the library, with their files."""
    found = {}
    for path in sorted((ROOT / LIBRARY).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imported(path):
    """Every dotted name that a file imports, wherever the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return names


def prefixes(name):
    """`a`, `a.b` and `a.b.c` for `a.b.c`: importing it imports them all."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def closure(name):
    """The top-level names of all packages that a module of the library imports."""
    known, seen, ahead, foreign = modules(), set(), prefixes(name), set()
    while ahead:
        name = ahead.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in known:
            for imports in imported(known[name]):
                ahead += prefixes(imports)
        elif name.split(".")[0] != LIBRARY:
            foreign.add(name.split(".")[0])
    return foreign


def groups(provided):
    """Modules of the library by what they need: {names of packages: [modules]}.

    Args:
        provided: {top-level name: package} of what the browser can fetch
    """
    found = {}
    for name in modules():
        needs = frozenset(provided[n] for n in closure(name) if n in provided)
        found.setdefault(needs, []).append(name)
    return {needs: names for needs, names in found.items() if needs}
