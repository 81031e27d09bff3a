"""Ways through syntax trees: definitions have scopes of their own."""

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (*FUNCTIONS, *COMPREHENSIONS, ast.ClassDef)

IDLE = (
    ast.Constant,
    ast.boolop,
    ast.cmpop,
    ast.expr_context,
    ast.operator,
    ast.unaryop,
)


def outer_parts(node):
    """What of a definition is read where it stands: decorators, defaults, bases."""
    parts = list(getattr(node, "decorator_list", ()))
    if isinstance(node, ast.ClassDef):
        parts += [*node.bases, *(keyword.value for keyword in node.keywords)]
    elif isinstance(node, FUNCTIONS):
        parts += [*node.args.defaults, *filter(None, node.args.kw_defaults)]
    return parts


def inner_parts(node):
    """What of a definition is read in its own scope."""
    if isinstance(node, COMPREHENSIONS):
        return list(ast.iter_child_nodes(node))
    return node.body if isinstance(node.body, list) else [node.body]


def children(node):
    """The nodes below a node, in the same scope, without those that do nothing."""
    if isinstance(node, SCOPES):
        return outer_parts(node)
    if isinstance(node, ast.AnnAssign):
        return [node.target, node.value] if node.value else []
    below = []
    for field in node._fields:
        part = getattr(node, field, None)
        parts = part if isinstance(part, list) else [part]
        below += [n for n in parts if isinstance(n, ast.AST)]
    return [n for n in below if not isinstance(n, IDLE)]


def walk(nodes, into_blocks=True):
    """Every node in the same scope, in order; definitions are not entered."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        below = reversed(children(node))
        stack.extend(
            below if into_blocks else (n for n in below if not isinstance(n, ast.stmt))
        )


def parameters(arguments):
    """Name and default (or None) of each parameter, those by position first."""
    by_position = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * len(by_position) + arguments.defaults
    defaults = defaults[len(arguments.defaults) :]
    pairs = list(zip(by_position, defaults, strict=True))
    pairs += zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    pairs += [(arg, None) for arg in (arguments.vararg, arguments.kwarg) if arg]
    return [(arg.arg, default) for arg, default in pairs]
