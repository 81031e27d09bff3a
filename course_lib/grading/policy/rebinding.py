"""Does the code that runs with the cells rebind names in a way that cannot be read?

`exec` in one cell can replace a function of another, whatever that one says.
"""

import ast
from functools import lru_cache

from course_lib.grading.policy.cells import Met
from course_lib.grading.policy.libraries import NAMES, TEXT
from course_lib.grading.policy.meaning import END
from course_lib.grading.policy.scopes import Scope
from course_lib.grading.policy.trees import outer_parts

RUNS_TEXT = frozenset({"eval", "exec"})
ALL_NAMES = frozenset({"globals", "locals", "vars"})
READS = frozenset({"copy", "get", "items", "keys", "values"})
BEHIND = frozenset(
    "__builtins__ __globals__ _getframe currentframe f_builtins f_globals f_locals "
    "get_objects get_referents get_referrers".split()
)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# The last two are the grader's own, beside the cells.
MODULES = frozenset(
    {"__main__", "builtins", "ctypes", "mock", "unittest.mock", "calling", "magics"}
)


@lru_cache(maxsize=1)  # the questions of one notebook come one after the other
def rebinding(notebook):
    """Met, for the first place that may rebind any name at all, or None."""
    waiting = [([node], place.cell, False) for place, node in notebook.statements]
    waiting.reverse()
    called = set()
    while waiting:
        nodes, cell, whole = waiting.pop()
        harmless = set()
        for node in _run_with(nodes, whole):
            harmless.update(map(id, _only_read(node)))
            if id(node) not in harmless and (reason := _reason(node, notebook)):
                return Met(reason, cell, node.lineno)
            # A function that is named may be called, by a signal or a thread, say.
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                for binding, _ in notebook.meanings(node.id, END)[0]:
                    scope = binding.value
                    if isinstance(scope, Scope) and scope not in called:
                        called.add(scope)
                        waiting.append((scope.node.body, scope.born.cell, True))
    return None


def _run_with(nodes, whole):
    """The nodes that run with some statements.

    Args:
        nodes: statements
        whole: True for all that is in them, as in the body of a function that is
            called; else without the bodies of functions, which are only defined there,
            and without the blocks that a statement leads, which stand for themselves
    """
    stack = [(node, whole) for node in reversed(nodes)]
    while stack:
        node, whole = stack.pop()
        yield node
        if isinstance(node, DEFINITIONS) and not whole:
            below = outer_parts(node)
        else:
            whole = whole or isinstance(node, ast.ClassDef)
            below = ast.iter_child_nodes(node)
            below = [n for n in below if whole or not isinstance(n, ast.stmt)]
        stack.extend((child, whole) for child in reversed(below))


def _only_read(node):
    """What below a node is only read there: `"np" in globals()`."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
        return [node.value] if isinstance(node.ctx, ast.Load) else []
    if isinstance(node, ast.Call):
        function = node.func
        read = [keyword.value for keyword in node.keywords if keyword.arg is None]
        if isinstance(function, ast.Attribute) and function.attr in READS:
            read.append(function.value)
        return read
    return []


def _reason(node, notebook):
    """Why a node may rebind any name, or None."""
    if isinstance(node, ast.Name):
        if node.id == "__builtins__":
            return NAMES
        own = notebook.meanings(node.id, END)[0]
        return TEXT if node.id in RUNS_TEXT and not own else None
    if isinstance(node, ast.Attribute):
        of_sys = isinstance(node.value, ast.Name) and node.value.id == "sys"
        inside = node.attr in BEHIND or (node.attr == "modules" and of_sys)
        of_library = node.attr == "__dict__" and _is_library(node.value, notebook)
        return NAMES if inside or of_library else None
    if isinstance(node, ast.Call):
        function = node.func.id if isinstance(node.func, ast.Name) else ""
        named = [a.value for a in node.args if isinstance(a, ast.Constant)]
        all_names = function in ALL_NAMES and not (node.args or node.keywords)
        if function == "vars" and node.args:
            all_names = _is_library(node.args[0], notebook)
        return NAMES if all_names or MODULES & {*filter(_is_text, named)} else None
    if isinstance(node, ast.Import):
        return NAMES if MODULES & {alias.name for alias in node.names} else None
    if isinstance(node, ast.ImportFrom):
        names = {alias.name for alias in node.names}
        paths = {node.module, *(f"{node.module}.{name}" for name in names)}
        return NAMES if MODULES & paths or BEHIND & names else None
    return None


def _is_library(node, notebook):
    if not isinstance(node, ast.Name):
        return False
    meanings = notebook.meanings(node.id, END)[0]
    return any(isinstance(binding.value, str) for binding, _ in meanings)


def _is_text(value):
    return isinstance(value, str)
