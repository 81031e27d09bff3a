"""What one node of a syntax tree binds: names, and what is put into other things."""

import ast

# A name is bound; a value is stored, `x.a = b`; a value is handed in, `x.append(b)`.
NAMED, STORED, HANDED_IN = "named", "stored", "handed in"
TAKES_IN = frozenset(
    "add append appendleft extend extendleft insert push put register setdefault "
    "update __setattr__ __setitem__".split()
)


def bound(node):
    """(target, value, kind) for each thing that a node binds.

    Args:
        node: ast.AST, looked at alone: not what is below it

    Returns:
        iterable; the target is a name, or the expression that is stored to. The value
        is an expression, a definition, the dotted path of an import, or None.
    """
    binder = BINDERS.get(type(node))
    return binder(node) if binder else ()


def root(target):
    """The name at the root of `x.a[0].b`, and the first attribute: ("x", "a").

    The name is None if there is no such name, the attribute is "" likewise.
    """
    attribute = ""
    while not isinstance(target, ast.Name):
        if isinstance(target, ast.Attribute):
            attribute = target.attr
        if isinstance(target, (ast.Attribute, ast.Subscript, ast.Starred)):
            target = target.value
        elif isinstance(target, ast.Call) and isinstance(target.func, ast.Attribute):
            target = target.func
        elif isinstance(target, ast.Call) and target.args:
            target = target.args[0]  # vars(x)["a"], getattr(x, "a").b
        else:
            return None, ""
    return target.id, attribute


def _paired(target, value):
    """A target with its value; the parts of a tuple each with their own, if told."""
    if isinstance(target, ast.Name):
        yield target.id, value, NAMED
    elif isinstance(target, ast.Starred):
        yield from _paired(target.value, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        parts = value.elts if isinstance(value, (ast.Tuple, ast.List)) else []
        starred = any(isinstance(p, ast.Starred) for p in [*parts, *target.elts])
        if starred or len(parts) != len(target.elts):
            parts = [value] * len(target.elts)
        for one, part in zip(target.elts, parts, strict=True):
            yield from _paired(one, part)
    else:
        yield target, value, STORED


def _assign(node):
    for target in node.targets:
        yield from _paired(target, node.value)


def _assign_one(node):
    if node.value:
        yield from _paired(node.target, node.value)


def _add_to(node):
    yield node.target, node.value, STORED


def _loop(node):
    yield from _paired(node.target, node.iter)


def _with(node):
    if node.optional_vars:
        yield from _paired(node.optional_vars, node.context_expr)


def _import(node):
    for alias in node.names:
        first = alias.name.partition(".")[0]
        yield alias.asname or first, alias.name if alias.asname else first, NAMED


def _import_from(node):
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        path = f"{module}.{alias.name}" if alias.name != "*" else module
        yield alias.asname or alias.name, path, NAMED


def _call(node):
    function, arguments = node.func, node.args
    if isinstance(function, ast.Attribute) and function.attr in TAKES_IN:
        for value in [*arguments, *(keyword.value for keyword in node.keywords)]:
            yield function.value, value, HANDED_IN
    elif isinstance(function, ast.Name) and function.id == "setattr":
        if len(arguments) == 3:
            owner, name, value = arguments
            name = name.value if isinstance(name, ast.Constant) else ""
            yield ast.Attribute(owner, str(name), ast.Store()), value, STORED


def _name_alone(node):
    if node.name:
        yield node.name, None, NAMED


def _rest(node):
    if node.rest:
        yield node.rest, None, NAMED


def _definition(node):
    yield node.name, node, NAMED


BINDERS = {
    ast.Assign: _assign,
    ast.AnnAssign: _assign_one,
    ast.NamedExpr: _assign_one,
    ast.AugAssign: _add_to,
    ast.For: _loop,
    ast.AsyncFor: _loop,
    ast.comprehension: _loop,
    ast.withitem: _with,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Call: _call,
    ast.ExceptHandler: _name_alone,
    ast.MatchAs: _name_alone,
    ast.MatchStar: _name_alone,
    ast.MatchMapping: _rest,
    ast.FunctionDef: _definition,
    ast.AsyncFunctionDef: _definition,
    ast.ClassDef: _definition,
}
